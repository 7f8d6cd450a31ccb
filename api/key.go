package api

import (
	"fmt"
	"strings"
)

const headerIdempotencyKey = "Idempotency-Key"

// readKey returns the key of an Idempotency-Key header, "" when there is none.
// The bare key and the structured-field string of
// draft-ietf-httpapi-idempotency-key-header ("key" in double quotes) are the
// same key.
func readKey(text string) (string, *problem) {
	const field = headerIdempotencyKey
	key := text
	if strings.HasPrefix(key, `"`) {
		var ok bool
		if key, ok = unquote(key); !ok {
			return "", mend(field, "is not a well-formed quoted string")
		}
		if key == "" {
			return "", mend(field, "is empty")
		}
	}
	if len(key) > MaxIdempotencyKey {
		return "", mend(field, fmt.Sprintf("is %d bytes long, want 1 to %d", len(key), MaxIdempotencyKey))
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return "", mend(field, "want visible ASCII characters only")
		}
	}
	return key, nil
}

// unquote reads an RFC 9651 string: double quotes around it, a backslash
// before a quote or a backslash and before nothing else.
func unquote(text string) (string, bool) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", false
	}
	text = text[1 : len(text)-1]
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return "", false
		case text[i] != '\\':
		case i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
		default:
			return "", false
		}
		plain.WriteByte(text[i])
	}
	return plain.String(), true
}
