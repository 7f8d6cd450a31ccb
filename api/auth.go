package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"
)

// Anonymous is the caller's name when nobody has to say who they are.
const Anonymous = "anonymous"

// Token is one bearer token that lets its holder pass under a name. The token
// itself is not kept.
type Token struct {
	// Name is the caller's; it scopes idempotency keys and goes into the logs.
	Name string
	// SHA256 is the digest of the token.
	SHA256 [sha256.Size]byte
}

// Tokens say who may pass. One name may have several tokens, so that one can
// be replaced by another without a gap.
type Tokens []Token

var tokenNameRegexp = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ParseTokens reads "name:digest" entries that commas separate, each digest
// the SHA-256 of a token as 64 hex digits:
//
//	admin-service:9f86d0…,ops:60303a…
//
// Names are 1 to 64 of letters, digits, '.', '_' and '-', starting with a
// letter or digit. An error counts the entries from one and says what is wrong
// with which, but quotes nothing: a token may have been put where its digest
// belongs.
func ParseTokens(text string) (Tokens, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("tokens: empty, want name:sha256hex, separated by commas")
	}
	var tokens Tokens
	seen := map[[sha256.Size]byte]bool{}
	for i, entry := range strings.Split(text, ",") {
		name, digest, found := strings.Cut(strings.TrimSpace(entry), ":")
		switch {
		case !found:
			return nil, fmt.Errorf("tokens: entry %d has no colon, want name:sha256hex", i+1)
		case !tokenNameRegexp.MatchString(name):
			return nil, fmt.Errorf("tokens: the name of entry %d is not 1 to 64 of letters, digits, '.', '_' and '-'", i+1)
		case name == Anonymous:
			return nil, fmt.Errorf("tokens: the name of entry %d is reserved", i+1)
		}
		sum, err := hex.DecodeString(digest)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("tokens: the digest of entry %d is not the 64 hex digits of a SHA-256", i+1)
		}
		token := Token{Name: name, SHA256: [sha256.Size]byte(sum)}
		if seen[token.SHA256] {
			return nil, fmt.Errorf("tokens: entry %d repeats the digest of an earlier one", i+1)
		}
		seen[token.SHA256] = true
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// String tells how many tokens there are and nothing of them.
func (tokens Tokens) String() string { return fmt.Sprintf("%d tokens", len(tokens)) }

// caller returns the name that token stands for. It looks at all digests, each
// in constant time, so that the time tells nothing about any of them.
func (tokens Tokens) caller(token string) (name string, ok bool) {
	sum := sha256.Sum256([]byte(token))
	for _, known := range tokens {
		if subtle.ConstantTimeCompare(sum[:], known.SHA256[:]) == 1 {
			name, ok = known.Name, true
		}
	}
	return name, ok
}

// authenticate lets callers pass that are known, and notes who they are.
func (server *Server) authenticate(c *gin.Context) {
	if server.anonymous {
		c.Set(keyCaller, Anonymous)
		return
	}
	token, given := bearer(c.Request.Header)
	name, known := server.tokens.caller(token)
	if given && known {
		c.Set(keyCaller, name)
		return
	}
	challenge := `Bearer realm="gamemaster"`
	detail := "send Authorization: Bearer with a token"
	if given {
		challenge += `, error="invalid_token"`
		detail = "the token is not known"
	}
	c.Header("WWW-Authenticate", challenge)
	server.refuse(c, faulty(codeUnauthorized, "Authorization", detail))
}

// bearer returns the bearer token of a request that has exactly one
// Authorization header.
func bearer(header http.Header) (token string, ok bool) {
	values := header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, found := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, found && token != "" && strings.EqualFold(scheme, "Bearer")
}
