package auth

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"
)

// Certificate is a client certificate that lets its holder pass. Exactly one of
// DNSName, URI and CommonName is set.
type Certificate struct {
	Name string
	// DNSName is one of the certificate's DNS names, compared without case. A
	// wildcard in the certificate stands for itself only.
	DNSName string
	// URI is the certificate's only URI, as SPIFFE has it: an identity with two
	// of them is none.
	URI string
	// CommonName is the subject's.
	CommonName string
	Scopes     []Scope
	Games      []string
}

// matches tells whether the entry is about the certificate.
func (entry Certificate) matches(leaf *x509.Certificate) bool {
	switch {
	case entry.URI != "":
		return len(leaf.URIs) == 1 && leaf.URIs[0].String() == entry.URI
	case entry.DNSName != "":
		for _, name := range leaf.DNSNames {
			if strings.EqualFold(name, entry.DNSName) {
				return true
			}
		}
		return false
	default:
		return entry.CommonName != "" && leaf.Subject.CommonName == entry.CommonName
	}
}

// certified returns the caller that a client certificate stands for: the first
// entry that is about it. Only what the listener has verified counts, and only
// if the policy has such entries. Its expiry is looked at again, because
// connections outlive handshakes.
func (policy *Policy) certified(state *tls.ConnectionState, now time.Time) (Caller, error) {
	if len(policy.Certificates) == 0 || state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return Caller{}, ErrNoCredentials
	}
	leaf := state.VerifiedChains[0][0]
	if now.After(leaf.NotAfter) {
		return Caller{}, refuse(reasonCertExpired)
	}
	for _, entry := range policy.Certificates {
		if entry.matches(leaf) {
			return Caller{Name: entry.Name, Scopes: entry.Scopes, Games: entry.Games}, nil
		}
	}
	return Caller{}, refuse(reasonCertificate)
}
