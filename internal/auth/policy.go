package auth

import (
	"fmt"
	"slices"
)

// Policy says who may pass. At least one entry is required.
type Policy struct {
	Tokens       []Token
	Issuers      []Issuer
	Certificates []Certificate
}

// Issuer is an OpenID Connect issuer whose tokens let their holders pass. Only
// URL and Audience are required; what is empty has the default of its key.
type Issuer struct {
	// URL is the issuer, compared with the iss claim as it is.
	URL string
	// Audience has to be among the token's.
	Audience string
	// Algorithms are the signing algorithms that are allowed.
	Algorithms []string
	// NameClaim is the claim with the caller's name, and NamePrefix what is put
	// before it.
	NameClaim, NamePrefix string
	// ScopesClaim is the claim with the scopes, a string with spaces between
	// them or a list of strings. Scopes that are not ours are passed over.
	ScopesClaim string
	// Games limit all callers of the issuer.
	Games []string
	// JWKSURL is where the issuer's keys are; empty means by discovery.
	JWKSURL string
	// CAFile has the root certificates for the issuer's https, in PEM; empty
	// means the system's.
	CAFile string

	// roots is the content of CAFile, once it is read.
	roots string
}

// The defaults of an issuer's keys.
const (
	defaultNameClaim   = "sub"
	defaultNamePrefix  = "oidc:"
	defaultScopesClaim = "scope"
)

var defaultAlgorithms = []string{"RS256", "ES256"}

// String tells how many entries there are and nothing of them.
func (policy Policy) String() string {
	return fmt.Sprintf("%d tokens, %d issuers, %d certificates", len(policy.Tokens), len(policy.Issuers), len(policy.Certificates))
}

// completed returns the policy with the defaults filled in and its lists
// copied, so that nobody else holds what callers are judged by.
func (policy Policy) completed() Policy {
	policy.Tokens = slices.Clone(policy.Tokens)
	policy.Issuers = slices.Clone(policy.Issuers)
	policy.Certificates = slices.Clone(policy.Certificates)
	for i := range policy.Tokens {
		entry := &policy.Tokens[i]
		entry.Scopes, entry.Games = slices.Clone(entry.Scopes), slices.Clone(entry.Games)
	}
	for i := range policy.Certificates {
		entry := &policy.Certificates[i]
		entry.Scopes, entry.Games = slices.Clone(entry.Scopes), slices.Clone(entry.Games)
	}
	for i := range policy.Issuers {
		entry := &policy.Issuers[i]
		entry.Algorithms, entry.Games = slices.Clone(entry.Algorithms), slices.Clone(entry.Games)
		if entry.Algorithms == nil {
			entry.Algorithms = slices.Clone(defaultAlgorithms)
		}
		entry.NameClaim = orDefault(entry.NameClaim, defaultNameClaim)
		entry.NamePrefix = orDefault(entry.NamePrefix, defaultNamePrefix)
		entry.ScopesClaim = orDefault(entry.ScopesClaim, defaultScopesClaim)
	}
	return policy
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// check returns an error with all faults, each with its place, or nil.
func (policy Policy) check() error {
	var found faults
	policy.completed().examine(&found)
	return found.err()
}
