package auth_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
)

var (
	digestOne = auth.HashToken("one")
	digestTwo = auth.HashToken("two")
)

// A policy with everything in it is read as it is meant, and what is left out
// has its default.
func TestParse(t *testing.T) {
	policy, err := auth.Parse([]byte(`
# who may pass
tokens:
  - name: admin-service
    sha256: `+digestOne+`
    scopes: [runtime:read, runtime:patch]
    games: [demo-, "prod-"]
oidc:
  - issuer: https://issuer.example/realm
    audience: gamemaster
    algorithms: [ES256, EdDSA]
    name_claim: email
    name_prefix: "corp:"
    scopes_claim: roles
    games:
      - demo-
    jwks_url: https://keys.example/set?p=1
  - issuer: http://127.0.0.1:8080
    audience: gamemaster
  - {issuer: "http://localhost", audience: x, name_prefix: "l:"}
  - {issuer: "http://[::1]:1", audience: x, name_prefix: "m:"}
certificates:
  - {name: a, dns_name: a.example, scopes: ['runtime:read']}
  - {name: b, uri: "spiffe://x/b", scopes: ['runtime:patch'], games: [demo-]}
  - {name: b, common_name: "B, Inc.", scopes: ['runtime:admin']}
`), ".")
	require.NoError(t, err)
	require.Equal(t, "1 tokens, 4 issuers, 3 certificates", policy.String())
	require.Equal(t, "admin-service", policy.Tokens[0].Name)
	require.Equal(t, digestOne, fmt.Sprintf("%x", policy.Tokens[0].SHA256))
	require.Equal(t, []auth.Scope{auth.ScopeRead, auth.ScopePatch}, policy.Tokens[0].Scopes)
	require.Equal(t, []string{"demo-", "prod-"}, policy.Tokens[0].Games)
	require.Equal(t, auth.Issuer{
		URL: "https://issuer.example/realm", Audience: "gamemaster", Algorithms: []string{"ES256", "EdDSA"}, NameClaim: "email",
		NamePrefix: "corp:", ScopesClaim: "roles", Games: []string{"demo-"}, JWKSURL: "https://keys.example/set?p=1",
	}, policy.Issuers[0])
	require.Equal(t, auth.Issuer{
		URL: "http://127.0.0.1:8080", Audience: "gamemaster", Algorithms: []string{"RS256", "ES256"},
		NameClaim: "sub", NamePrefix: "oidc:", ScopesClaim: "scope",
	}, policy.Issuers[1])
	require.Equal(t, auth.Certificate{Name: "b", URI: "spiffe://x/b", Scopes: []auth.Scope{auth.ScopePatch}, Games: []string{"demo-"}}, policy.Certificates[1])
	require.Equal(t, "B, Inc.", policy.Certificates[2].CommonName)
}

// token, oidc and certificate are policies of one entry, with more lines.
func token(lines string) string {
	return "tokens:\n- {name: a, sha256: " + digestOne + ", scopes: ['runtime:read']}\n" + lines
}
func issuerEntry(lines string) string {
	return "oidc:\n- audience: x\n  issuer: https://issuer.example\n" + lines
}
func certificate(lines string) string {
	return "certificates:\n- name: a\n  scopes: [runtime:read]\n" + lines
}

// Every fault is told with its place, all of them at once, and nothing of the
// text is repeated: "canary" stands where a token could have been put.
func TestParseFaults(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		faults []string
	}{
		"empty":            {"", []string{"policy: empty"}},
		"comment":          {"# canary", []string{"policy: empty"}},
		"no entry":         {"tokens: []", []string{"policy: nobody could pass"}},
		"no mapping":       {"canary", []string{"policy: want keys with values: certificates, oidc, tokens"}},
		"a list":           {"- canary", []string{"policy: want keys"}},
		"two documents":    {token("---\ncanary: canary\n"), []string{"policy: want one document"}},
		"not YAML":         {"tokens:\n  - name: [canary\n", []string{"policy: not YAML"}},
		"bad indent":       {"tokens:\n- name: canary\n canary: canary\n   canary", []string{"policy: not YAML in line"}},
		"not UTF-8":        {"tokens: \xff", []string{"policy: not UTF-8"}},
		"long line":        {"# " + strings.Repeat("x", 5000), []string{"policy: line 1 is longer"}},
		"deep":             {strings.Repeat("[\n", 40), []string{"policy: more than 32 brackets"}},
		"large":            {strings.Repeat("# canary\n", 1<<17), []string{"policy: larger than 1048576 bytes"}},
		"unknown key":      {token("canary: 1\n"), []string{"policy: unknown key in line 3, want certificates, oidc, tokens"}},
		"unknown keys":     {"tokens:\n- canary: 1\n  <<: {a: canary}\n  1: canary\n", []string{"tokens[0]: unknown key in line 2", "tokens[0]: unknown key in line 3", "tokens[0]: unknown key in line 4", "tokens[0].name: want", "tokens[0].sha256: want 64 hex digits", "tokens[0].scopes: want at least one"}},
		"duplicate key":    {token("tokens: canary\n"), []string{"policy: tokens is there again in line 3"}},
		"duplicate in":     {certificate("  uri: a:b\n  uri: canary\n"), []string{"certificates[0]: uri is there again in line 5"}},
		"tokens not list":  {"tokens: canary", []string{"tokens: want a list"}},
		"token not map":    {"tokens: [canary]", []string{"tokens[0]: want keys with values: games, name, scopes, sha256"}},
		"null list":        {token("oidc:\n"), []string{"oidc: want a list"}},
		"anchor":           {"tokens: &canary []", []string{"tokens: want a list"}},
		"alias":            {token("oidc: *canary\n"), []string{"oidc: want a list"}},
		"tag":              {"tokens:\n- {name: !!str canary, sha256: " + digestOne + ", scopes: ['runtime:read']}", []string{"tokens[0].name: want a text"}},
		"null name":        {"tokens:\n- {name: null, sha256: " + digestOne + ", scopes: ['runtime:read']}", []string{"tokens[0].name: want a text"}},
		"block":            {"tokens:\n- name: |\n    canary\n  sha256: " + digestOne + "\n  scopes: [runtime:read]", []string{"tokens[0].name: want a text"}},
		"bad name":         {"tokens:\n- {name: ca nary, sha256: " + digestOne + ", scopes: ['runtime:read']}", []string{"tokens[0].name: want 1 to 64"}},
		"colon in name":    {"tokens:\n- {name: 'oidc:canary', sha256: " + digestOne + ", scopes: ['runtime:read']}", []string{"tokens[0].name: want"}},
		"a token":          {"tokens:\n- {name: a, sha256: canary, scopes: ['runtime:read']}", []string{"tokens[0].sha256: want 64 hex digits"}},
		"a list of tokens": {"tokens:\n- {name: a, sha256: [canary], scopes: ['runtime:read']}", []string{"tokens[0].sha256: want a text"}},
		"short digest":     {"tokens:\n- {name: a, sha256: " + digestOne[2:] + ", scopes: ['runtime:read']}", []string{"tokens[0].sha256: want 64 hex digits"}},
		"long digest":      {"tokens:\n- {name: a, sha256: " + digestOne + "00, scopes: ['runtime:read']}", []string{"tokens[0].sha256: want 64 hex digits"}},
		"same digest":      {token("- {name: b, sha256: " + strings.ToUpper(digestOne) + ", scopes: ['runtime:read']}"), []string{"tokens[1].sha256: repeats tokens[0].sha256"}},
		"no scopes":        {"tokens:\n- {name: a, sha256: " + digestOne + "}", []string{"tokens[0].scopes: want at least one of runtime:read, runtime:patch, runtime:admin"}},
		"empty scopes":     {"tokens:\n- {name: a, sha256: " + digestOne + ", scopes: []}", []string{"tokens[0].scopes: want at least one"}},
		"scopes text":      {"tokens:\n- {name: a, sha256: " + digestOne + ", scopes: 'runtime:read'}", []string{"tokens[0].scopes: want a list"}},
		"bad scope":        {"tokens:\n- {name: a, sha256: " + digestOne + ", scopes: ['runtime:read', canary]}", []string{"tokens[0].scopes[1]: want one of"}},
		"same scope":       {"tokens:\n- {name: a, sha256: " + digestOne + ", scopes: ['runtime:read', 'runtime:read']}", []string{"tokens[0].scopes[1]: repeats tokens[0].scopes[0]"}},
		"empty games":      {"tokens:\n- {name: a, sha256: " + digestOne + ", scopes: ['runtime:read'], games: []}", []string{"tokens[0].games: want at least one prefix"}},
		"null games":       {"tokens:\n- {name: a, sha256: " + digestOne + ", scopes: ['runtime:read'], games: }", []string{"tokens[0].games: want a list"}},
		"bad games":        {"tokens:\n- {name: a, sha256: " + digestOne + ", scopes: ['runtime:read'], games: [Canary, '', demo-, demo-, -x]}", []string{"tokens[0].games[0]: want 1 to 64", "tokens[0].games[1]: want a text", "tokens[0].games[3]: repeats tokens[0].games[2]", "tokens[0].games[4]: want 1 to 64"}},
		"several": {
			"tokens:\n- {name: a, sha256: canary, scopes: [canary]}\n- canary\n- {name: -, sha256: " + digestTwo + ", scopes: ['runtime:read']}\noidc:\n- {issuer: canary}\n",
			[]string{"tokens[0].sha256: want", "tokens[0].scopes[0]: want", "tokens[1]: want keys", "tokens[2].name: want", "oidc[0].issuer: want", "oidc[0].audience: want"},
		},
		"plain issuer":     {"oidc:\n- {audience: x, issuer: 'http://canary.example'}", []string{"oidc[0].issuer: want https"}},
		"other scheme":     {"oidc:\n- {audience: x, issuer: 'ftp://127.0.0.1'}", []string{"oidc[0].issuer: want https"}},
		"loopback in name": {"oidc:\n- {audience: x, issuer: 'http://127.0.0.1.canary.example'}", []string{"oidc[0].issuer: want https"}},
		"relative issuer":  {"oidc:\n- {audience: x, issuer: /canary}", []string{"oidc[0].issuer: want an absolute URL"}},
		"user in issuer":   {"oidc:\n- {audience: x, issuer: 'https://a:canary@issuer.example'}", []string{"oidc[0].issuer: want a URL without user"}},
		"query in issuer":  {"oidc:\n- {audience: x, issuer: 'https://issuer.example?canary'}", []string{"oidc[0].issuer: want a URL without query"}},
		"no issuer":        {"oidc:\n- {audience: x}", []string{"oidc[0].issuer: want an absolute URL"}},
		"no audience":      {"oidc:\n- {issuer: 'https://issuer.example'}", []string{"oidc[0].audience: want"}},
		"empty audience":   {"oidc:\n- {issuer: 'https://issuer.example', audience: ''}", []string{"oidc[0].audience: want a text"}},
		"none":             {issuerEntry("  algorithms: [RS256, none]\n"), []string{"oidc[0].algorithms[1]: want one of RS256"}},
		"symmetric":        {issuerEntry("  algorithms: [HS256, HS512]\n"), []string{"oidc[0].algorithms[0]: want one of", "oidc[0].algorithms[1]: want one of"}},
		"no algorithm":     {issuerEntry("  algorithms: []\n"), []string{"oidc[0].algorithms: want at least one"}},
		"no colon":         {issuerEntry("  name_prefix: canary\n"), []string{"oidc[0].name_prefix: want"}},
		"two colons":       {issuerEntry("  name_prefix: 'a:canary:'\n"), []string{"oidc[0].name_prefix: want"}},
		"colon only":       {issuerEntry("  name_prefix: ':'\n"), []string{"oidc[0].name_prefix: want"}},
		"empty claim":      {issuerEntry("  name_claim: ''\n  scopes_claim: \"\\t\"\n"), []string{"oidc[0].name_claim: want", "oidc[0].scopes_claim: want the name of a claim"}},
		"plain keys":       {issuerEntry("  jwks_url: http://canary.example/keys\n"), []string{"oidc[0].jwks_url: want https"}},
		"same prefix":      {issuerEntry("- {issuer: 'https://other.example', audience: x, name_prefix: 'oidc:'}\n"), []string{"oidc[1].name_prefix: repeats oidc[0].name_prefix"}},
		"same issuer":      {issuerEntry("- {issuer: 'https://issuer.example', audience: y, name_prefix: 'b:'}\n"), []string{"oidc[1].issuer: repeats oidc[0].issuer"}},
		"no CA":            {issuerEntry("  ca_file: canary.pem\n"), []string{"oidc[0].ca_file: cannot be read"}},
		"CA is a folder":   {issuerEntry("  ca_file: folder\n"), []string{"oidc[0].ca_file: cannot be read"}},
		"empty CA":         {issuerEntry("  ca_file: empty.pem\n"), []string{"oidc[0].ca_file: is empty"}},
		"CA without PEM":   {issuerEntry("  ca_file: text.pem\n"), []string{"oidc[0].ca_file: holds no certificate in PEM"}},
		"no subject":       {certificate(""), []string{"certificates[0]: want exactly one of dns_name, uri and common_name"}},
		"two subjects":     {certificate("  uri: 'canary:x'\n  common_name: canary\n"), []string{"certificates[0]: want exactly one of"}},
		"same subject":     {certificate("  dns_name: a.example\n- {name: b, dns_name: A.example, scopes: ['runtime:read']}\n"), []string{"certificates[1].dns_name: repeats certificates[0].dns_name"}},
		"wildcard":         {certificate("  dns_name: '*.canary.example'\n"), []string{"certificates[0].dns_name: want a name without wildcards"}},
		"bad subject":      {certificate("  common_name: \"canary\\n\"\n"), []string{"certificates[0].common_name: want at most"}},
		"bad certificate":  {"certificates:\n- {name: 'oidc:canary', uri: 'a:b', games: [UP]}", []string{"certificates[0].name: want", "certificates[0].scopes: want", "certificates[0].games[0]: want"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(folder, "folder"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(folder, "empty.pem"), nil, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(folder, "text.pem"), []byte("canary"), 0o600))
			policy, err := auth.Parse([]byte(test.text), folder)
			require.Error(t, err)
			require.Equal(t, auth.Policy{}, policy)
			for _, fault := range test.faults {
				require.ErrorContains(t, err, fault)
			}
			for line := range strings.Lines(err.Error()) {
				told := false
				for _, fault := range test.faults {
					told = told || strings.HasPrefix(line, fault)
				}
				require.True(t, told || strings.HasPrefix(line, "policy: nobody could pass"), "unexpected: %s", line)
			}
			require.NotContains(t, strings.ToLower(err.Error()), "canary")
			require.NotContains(t, strings.ToLower(err.Error()), digestOne[2:])
		})
	}
}

// A file full of faults makes an error that can still be read.
func TestParseManyFaults(t *testing.T) {
	_, err := auth.Parse([]byte("tokens:\n"+strings.Repeat("- canary\n", 5000)), ".")
	require.ErrorContains(t, err, "tokens[99]: want keys")
	require.ErrorContains(t, err, "and 4900 more")
	require.Less(t, len(err.Error()), 16<<10)
}

// A file that cannot be a policy is refused before it is read.
func TestOpenFaults(t *testing.T) {
	folder := t.TempDir()
	large := filepath.Join(folder, "large")
	require.NoError(t, os.WriteFile(large, []byte(strings.Repeat("#\n", 1<<20)), 0o600))
	bad := filepath.Join(folder, "bad")
	require.NoError(t, os.WriteFile(bad, []byte("canary"), 0o600))
	for path, fault := range map[string]string{
		filepath.Join(folder, "none"): "no such file",
		folder:                        "not a regular file",
		large:                         "larger than 1048576 bytes",
		bad:                           "policy " + bad + ":\npolicy: want keys",
	} {
		gate, err := auth.Open(path, auth.Options{})
		require.ErrorContains(t, err, fault)
		require.NotContains(t, err.Error(), "canary")
		require.Nil(t, gate)
	}
}
