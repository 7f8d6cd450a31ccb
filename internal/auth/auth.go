// Package auth says who may pass to the REST API and what they may do there.
//
// # Three ways to be known
//
// One YAML file, the policy, lists who may pass:
//
//	tokens:                       # static bearer tokens, as their SHA-256
//	  - name: admin-service       # entries may share a name: rotation
//	    sha256: 9f86d0…           # 64 hex digits; see [Entry]
//	    scopes: [runtime:read, runtime:patch]
//	    games: [demo-, prod-]     # optional: only game ids that start so
//	oidc:                         # bearer tokens that an issuer signed
//	  - issuer: https://issuer.example
//	    audience: gamemaster
//	    algorithms: [RS256]       # default RS256 and ES256
//	    name_claim: sub           # default sub
//	    name_prefix: "oidc:"      # default "oidc:", differs between issuers
//	    scopes_claim: scope       # default scope; a string or a list
//	    games: [demo-]            # optional
//	    jwks_url: https://…       # default: by discovery
//	    ca_file: issuer-ca.pem    # default: the system's roots; beside the policy
//	certificates:                 # client certificates of the TLS listener
//	  - name: ops
//	    dns_name: ops.example     # or uri, or common_name: exactly one
//	    scopes: [runtime:read]
//	    games: [demo-]            # optional
//
// A policy without any entry is refused: nobody is let in by an omission. An
// error about a policy says what is wrong at which place, and repeats nothing
// of the file, since a token may have been put where its digest belongs.
//
// # What a Gate answers
//
// [Gate.Authenticate] returns the [Caller], or an error that wraps exactly one
// of [ErrNoCredentials], [ErrUnknown] and [ErrUnavailable]. No error and no log
// line holds a token, a digest or a claim.
package auth

import (
	"errors"
	"slices"
	"strings"
)

// Scope is a right. None includes another: who may patch may not therefore read.
type Scope string

// The scopes there are.
const (
	ScopeRead  Scope = "runtime:read"
	ScopePatch Scope = "runtime:patch"
	ScopeAdmin Scope = "runtime:admin"
)

// Scopes returns all scopes, in the order in which a [Caller] has them.
func Scopes() []Scope { return []Scope{ScopeRead, ScopePatch, ScopeAdmin} }

// Caller is somebody who may pass. The slices are shared between requests and
// not to be written to.
type Caller struct {
	// Name is the same for all credentials of one caller. The names of an
	// issuer's callers start with its prefix, which ends in a colon, and are at
	// most 160 bytes; all others are 1 to 64 of letters, digits, '.', '_' and
	// '-', so that nobody gets another's name by asking their issuer for it.
	Name string
	// Scopes are the rights; there may be none.
	Scopes []Scope
	// Games are prefixes of game ids; nil means all games.
	Games []string
}

// May tells whether the caller has the scope.
func (caller Caller) May(scope Scope) bool { return slices.Contains(caller.Scopes, scope) }

// Limited tells whether there are games that the caller may not see.
func (caller Caller) Limited() bool { return caller.Games != nil }

// MaySee tells whether the caller has to do with the game.
func (caller Caller) MaySee(gameID string) bool {
	return !caller.Limited() || slices.ContainsFunc(caller.Games, func(prefix string) bool {
		return strings.HasPrefix(gameID, prefix)
	})
}

// The verdicts on a request that may not pass.
var (
	// ErrNoCredentials: there was neither an Authorization header nor a verified
	// client certificate.
	ErrNoCredentials = errors.New("no credentials")
	// ErrUnknown: the credentials are wrong, and stay wrong when sent again.
	// [Reason] says why.
	ErrUnknown = errors.New("credentials are not accepted")
	// ErrUnavailable: the issuer that could tell does not answer, so that
	// nobody knows whether the credentials are right. The same request may pass
	// later.
	ErrUnavailable = errors.New("credentials cannot be checked now")
)

// The reasons of [ErrUnknown], fit for the caller's eyes and for logs.
const (
	reasonManyHeaders = "there is more than one Authorization header"
	reasonScheme      = "the scheme of Authorization is not Bearer"
	reasonForm        = "the bearer token is empty, too long or has characters that tokens do not have"
	reasonToken       = "token is not known"
	reasonCertificate = "client certificate is not known"
	reasonCertExpired = "client certificate is expired"
	reasonMalformed   = "token is malformed"
	reasonAlgorithm   = "signing algorithm is not allowed"
	reasonIssuer      = "issuer is not known"
	reasonSignature   = "signature does not match any of the issuer's keys"
	reasonAudience    = "audience is not ours"
	reasonExpired     = "token is expired"
	reasonNoExpiry    = "token has no expiry"
	reasonNotYet      = "token is not valid yet"
	reasonName        = "the claim with the caller's name is missing or unfit"
	reasonClaims      = "claims of the token are not well-formed"
)

// refusal is an [ErrUnknown] with its reason.
type refusal struct{ reason string }

// Error says why, without anything that the caller sent.
func (r *refusal) Error() string { return ErrUnknown.Error() + ": " + r.reason }

// Unwrap makes the refusal an [ErrUnknown].
func (r *refusal) Unwrap() error { return ErrUnknown }

func refuse(reason string) error { return &refusal{reason} }

// Reason returns why credentials are not accepted, one of a few fixed
// sentences that may be shown to the caller; it is empty unless err wraps
// [ErrUnknown].
func Reason(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.reason
	}
	return ""
}
