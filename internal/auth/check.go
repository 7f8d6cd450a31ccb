package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	// knownAlgorithms are those with a private and a public key. With HS* the
	// issuer's public key would be the secret, and none has no signature.
	knownAlgorithms = []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"}

	nameRegexp  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	gamesRegexp = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	// A prefix has its only colon at its end, so that no two of them can make
	// the same name of different claims.
	prefixRegexp = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,30}:$`)
)

// examine notes all faults of a completed policy.
func (policy Policy) examine(found *faults) {
	if len(policy.Tokens)+len(policy.Issuers)+len(policy.Certificates) == 0 {
		found.at("policy", "nobody could pass; want at least one of tokens, oidc and certificates")
	}
	digests := places[[sha256.Size]byte]{}
	for i, entry := range policy.Tokens {
		place := fmt.Sprintf("tokens[%d]", i)
		checkName(found, place, entry.Name)
		if entry.SHA256 == ([sha256.Size]byte{}) {
			found.at(place+".sha256", "want 64 hex digits, the SHA-256 of the token")
		} else {
			digests.once(found, entry.SHA256, place+".sha256")
		}
		checkScopes(found, place, entry.Scopes)
		checkGames(found, place, entry.Games)
	}
	policy.examineIssuers(found)
	policy.examineCertificates(found)
}

func (policy Policy) examineIssuers(found *faults) {
	urls, prefixes := places[string]{}, places[string]{}
	for i, entry := range policy.Issuers {
		place := fmt.Sprintf("oidc[%d]", i)
		checkURL(found, place+".issuer", entry.URL)
		if strings.Contains(entry.URL, "?") {
			found.at(place+".issuer", "want a URL without query")
		}
		urls.once(found, entry.URL, place+".issuer")
		if entry.JWKSURL != "" {
			checkURL(found, place+".jwks_url", entry.JWKSURL)
		}
		if !printable(entry.Audience, maxClaim) {
			found.at(place+".audience", "want the audience of our tokens, 1 to %d bytes", maxClaim)
		}
		if len(entry.Algorithms) == 0 {
			found.at(place+".algorithms", "want at least one; leave the key out for %s", strings.Join(defaultAlgorithms, " and "))
		}
		for j, algorithm := range entry.Algorithms {
			if !slices.Contains(knownAlgorithms, algorithm) {
				found.at(fmt.Sprintf("%s.algorithms[%d]", place, j), "want one of %s", strings.Join(knownAlgorithms, ", "))
			}
		}
		for _, claim := range [][2]string{{"name_claim", entry.NameClaim}, {"scopes_claim", entry.ScopesClaim}} {
			if !printable(claim[1], maxClaim) {
				found.at(place+"."+claim[0], "want the name of a claim, 1 to %d bytes", maxClaim)
			}
		}
		if !prefixRegexp.MatchString(entry.NamePrefix) {
			found.at(place+".name_prefix", "want 1 to 31 of lower-case letters, digits, '.', '_' and '-', and a colon at the end")
		}
		prefixes.once(found, entry.NamePrefix, place+".name_prefix")
		checkGames(found, place, entry.Games)
		if entry.roots != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(entry.roots)) {
			found.at(place+".ca_file", "holds no certificate in PEM")
		}
	}
}

func (policy Policy) examineCertificates(found *faults) {
	subjects := places[[2]string]{}
	for i, entry := range policy.Certificates {
		place := fmt.Sprintf("certificates[%d]", i)
		checkName(found, place, entry.Name)
		given := 0
		for _, subject := range [][2]string{{"dns_name", entry.DNSName}, {"uri", entry.URI}, {"common_name", entry.CommonName}} {
			if subject[1] == "" {
				continue
			}
			given++
			at := place + "." + subject[0]
			if !printable(subject[1], maxURL) {
				found.at(at, "want at most %d bytes of text", maxURL)
			}
			subjects.once(found, [2]string{subject[0], strings.ToLower(subject[1])}, at)
		}
		if given != 1 {
			found.add(place + ": want exactly one of dns_name, uri and common_name")
		}
		if strings.Contains(entry.DNSName, "*") {
			found.at(place+".dns_name", "want a name without wildcards")
		}
		checkScopes(found, place, entry.Scopes)
		checkGames(found, place, entry.Games)
	}
}

// maxURL holds the longest SPIFFE ID and the URLs of issuers.
const maxURL = 2048

// places knows where a value was first.
type places[T comparable] map[T]string

// once notes a fault if the value was at an earlier place.
func (p places[T]) once(found *faults, value T, place string) {
	if earlier, repeated := p[value]; repeated {
		found.at(place, "repeats %s", earlier)
		return
	}
	p[value] = place
}

func checkName(found *faults, place, name string) {
	if !nameRegexp.MatchString(name) {
		found.at(place+".name", "want 1 to 64 of letters, digits, '.', '_' and '-', starting with a letter or digit")
	}
}

func checkScopes(found *faults, place string, scopes []Scope) {
	if len(scopes) == 0 {
		found.at(place+".scopes", "want at least one of %s", scopeNames())
	}
	seen := places[Scope]{}
	for i, scope := range scopes {
		at := fmt.Sprintf("%s.scopes[%d]", place, i)
		if !slices.Contains(Scopes(), scope) {
			found.at(at, "want one of %s", scopeNames())
			continue
		}
		seen.once(found, scope, at)
	}
}

func scopeNames() string {
	var names []string
	for _, scope := range Scopes() {
		names = append(names, string(scope))
	}
	return strings.Join(names, ", ")
}

// checkGames tells an empty list, which could mean all games or none, from one
// that was left out.
func checkGames(found *faults, place string, games []string) {
	if games != nil && len(games) == 0 {
		found.at(place+".games", "want at least one prefix; leave the key out for all games")
	}
	seen := places[string]{}
	for i, game := range games {
		at := fmt.Sprintf("%s.games[%d]", place, i)
		if !gamesRegexp.MatchString(game) {
			found.at(at, "want 1 to 64 of lower-case letters, digits, '_' and '-', starting with a letter or digit")
			continue
		}
		seen.once(found, game, at)
	}
}

// checkURL wants https, but for this machine: whoever is on the way of plain
// http can put keys of their own among the issuer's.
func checkURL(found *faults, place, text string) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Host == "" || !visible(text) || len(text) > maxURL:
		found.at(place, "want an absolute URL")
	case parsed.User != nil || strings.Contains(text, "#"):
		found.at(place, "want a URL without user and fragment")
	case parsed.Scheme != "https" && (parsed.Scheme != "http" || !loopback(parsed.Hostname())):
		found.at(place, "want https; http is for loopback only")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// printable tells whether text is 1 to limit bytes of printable characters. The
// one that stands for bytes that are no UTF-8 is not among them: it would make
// one text of many.
func printable(text string, limit int) bool {
	return text != "" && len(text) <= limit && strings.IndexFunc(text, func(r rune) bool {
		return r == utf8.RuneError || !unicode.IsPrint(r)
	}) < 0
}
