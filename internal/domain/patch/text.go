package patch

import (
	"strings"
	"unicode/utf8"
)

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

// Storable makes text fit a column of that many bytes: what somebody wrote, and
// nobody checked, must not keep a run from its audit row, nor a history from its
// export.
func Storable(text string, limit int) string {
	return Truncate(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"), limit)
}
