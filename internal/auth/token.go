package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// minToken keeps out tokens that can be guessed: 16 random bytes of
	// printable text are more than anybody tries, and the digests in a policy
	// that leaks do not give them away.
	minToken = 16
	// maxToken bounds what is hashed and parsed before anybody is known.
	// Issuers' tokens with many groups in them are a few KiB long.
	maxToken = 16 << 10
)

// Token is a static bearer token that lets its holder pass. The token itself is
// not kept.
type Token struct {
	Name string
	// SHA256 is the digest of the token.
	SHA256 [sha256.Size]byte
	Scopes []Scope
	Games  []string
}

// HashToken returns what a policy has as the token's sha256.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// CheckToken says whether the text is fit to become a token. The error says
// what it lacks and repeats nothing of it.
func CheckToken(token string) error {
	switch {
	case len(token) < minToken:
		return fmt.Errorf("token: shorter than %d bytes, so that it could be guessed", minToken)
	case len(token) > maxToken:
		return fmt.Errorf("token: longer than %d bytes, which no request may have", maxToken)
	case !visible(token):
		return errors.New("token: has characters other than visible ASCII, which Authorization cannot carry")
	}
	return nil
}

// Entry returns the lines of a policy, to be put below "tokens:", that let the
// token's holder pass. A nil games means all games. The error is that of
// [CheckToken] or lists what a policy would not take of the others.
func Entry(name string, scopes []Scope, games []string, token string) (string, error) {
	if err := CheckToken(token); err != nil {
		return "", err
	}
	entry := Token{Name: name, SHA256: sha256.Sum256([]byte(token)), Scopes: scopes, Games: games}
	if err := (Policy{Tokens: []Token{entry}}).check(); err != nil {
		return "", errors.New(strings.ReplaceAll(err.Error(), "tokens[0].", ""))
	}
	list := make([]string, len(scopes))
	for i, scope := range scopes {
		list[i] = string(scope)
	}
	lines := fmt.Sprintf("  - name: %s\n    sha256: %s\n    scopes: [%s]\n",
		strconv.Quote(name), strconv.Quote(HashToken(token)), strings.Join(list, ", "))
	if games != nil {
		quoted := make([]string, len(games))
		for i, game := range games {
			quoted[i] = strconv.Quote(game)
		}
		lines += fmt.Sprintf("    games: [%s]\n", strings.Join(quoted, ", "))
	}
	return lines, nil
}

// visible tells whether text is made of visible ASCII characters only.
func visible(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// static returns the caller that a static token stands for. It looks at all
// digests, each in constant time, so that the time tells nothing about any.
func (policy *Policy) static(token string) (Caller, error) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range policy.Tokens {
		if subtle.ConstantTimeCompare(sum[:], policy.Tokens[i].SHA256[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return Caller{}, refuse(reasonToken)
	}
	entry := policy.Tokens[found]
	return Caller{Name: entry.Name, Scopes: entry.Scopes, Games: entry.Games}, nil
}
