package patch

import "unicode/utf8"

// Truncate cuts text to at most limit bytes, never inside a character.
func Truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
