package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// patchRequest reads all of a request for a patch, or tells what is to be
// mended first.
func patchRequest(c *gin.Context) (patch.Request, *Problem) {
	gameID, problem := gameOf(c)
	if problem != nil {
		return patch.Request{}, problem
	}
	if _, problem := query(c); problem != nil {
		return patch.Request{}, problem
	}
	key, problem := idempotencyKey(c.Request.Header)
	if problem != nil {
		return patch.Request{}, problem
	}
	encoded, problem := readBody(c)
	if problem != nil {
		return patch.Request{}, problem
	}
	body, mistakes := decodePatch(encoded)
	if len(mistakes) > 0 {
		problem := invalid(mistakes...)
		return patch.Request{}, &problem
	}
	patchID := patch.NewID(gameID)
	if key != "" {
		patchID = patch.DeriveID(gameID, c.GetString(keyCaller), key)
	}
	return patch.Request{
		PatchID:   patchID,
		GameID:    gameID,
		Version:   body.Version,
		OpSource:  operation.OpSource(body.OpSource).OrDefault(),
		SourceRef: body.SourceRef,
		Reason:    body.Reason,
		Force:     body.Force,
	}, nil
}

func mend(field, detail string) *Problem {
	problem := invalid(FieldError{Field: field, Detail: detail})
	return &problem
}

// gameOf returns the game that the path names. It arrives decoded, so that %2F
// and %00 are seen here for what they are.
func gameOf(c *gin.Context) (string, *Problem) {
	gameID := c.Param("game_id")
	if !runtime.ValidGameID(gameID) {
		return "", mend("game_id", "want 1 to 64 of a-z, 0-9, '_' and '-', starting with a letter or digit")
	}
	return gameID, nil
}

// query returns the values of the query, which may have the allowed keys, each
// once: a mistyped filter must not silently list everything.
func query(c *gin.Context, allowed ...string) (url.Values, *Problem) {
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return nil, mend("query", "cannot be read, want key=value pairs with & between them")
	}
	want := "want none here"
	if len(allowed) > 0 {
		want = "want only " + strings.Join(allowed, ", ")
	}
	for key, given := range values {
		switch {
		case !slices.Contains(allowed, key):
			return nil, mend(patch.Truncate(key, 64), "is an unknown query key, "+want)
		case len(given) > 1:
			return nil, mend(key, "is in the query more than once, want it once")
		}
	}
	return values, nil
}

const headerIdempotencyKey = "Idempotency-Key"

// idempotencyKey returns the request's Idempotency-Key, "" when it has none.
// The bare key and the structured-field string of the IETF draft ("key" in
// double quotes) are the same key.
func idempotencyKey(header http.Header) (string, *Problem) {
	const field = headerIdempotencyKey
	values := header.Values(field)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", mend(field, "is there more than once, want it once")
	}
	key := values[0]
	if strings.HasPrefix(key, `"`) {
		var ok bool
		if key, ok = unquote(key); !ok {
			return "", mend(field, "is not a well-formed quoted string")
		}
	}
	if len(key) == 0 || len(key) > MaxIdempotencyKey {
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

// readBody returns the body of a request that says it is JSON.
func readBody(c *gin.Context) ([]byte, *Problem) {
	header := c.Request.Header
	if len(header.Values("Content-Encoding")) > 0 {
		c.Header("Accept-Encoding", "identity")
		problem := faulty(codeUnsupportedMedia, "Content-Encoding", "is not taken, send the body as it is")
		return nil, &problem
	}
	if !saysJSON(header.Values("Content-Type")) {
		c.Header("Accept", "application/json")
		problem := faulty(codeUnsupportedMedia, "Content-Type", "want application/json")
		return nil, &problem
	}
	// A length that is announced need not be waited for.
	if c.Request.ContentLength > MaxBody {
		return nil, tooLarge(c)
	}
	encoded, err := io.ReadAll(c.Request.Body)
	if err == nil {
		return encoded, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(c)
	}
	c.Header("Connection", "close")
	if errors.Is(err, os.ErrDeadlineExceeded) {
		problem := faulty(codeRequestTimeout, "body", fmt.Sprintf("did not arrive within %s", requestTimeout))
		return nil, &problem
	}
	return nil, mend("body", "broke off before its end")
}

func tooLarge(c *gin.Context) *Problem {
	// The rest of the body is not read, so nothing can follow it.
	c.Header("Connection", "close")
	problem := faulty(codeBodyTooLarge, "body", fmt.Sprintf("at most %d bytes are allowed", MaxBody))
	return &problem
}

// saysJSON reports whether there is one content type and it is JSON in UTF-8.
func saysJSON(values []string) bool {
	if len(values) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(values[0])
	if err != nil || media != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
