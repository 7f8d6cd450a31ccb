package auth_test

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
)

// A caller may what is listed and nothing else, and sees the games that start
// as listed; no list means all games, and an empty one none.
func TestCaller(t *testing.T) {
	caller := auth.Caller{Name: "ops", Scopes: []auth.Scope{auth.ScopeAdmin}}
	require.True(t, caller.May(auth.ScopeAdmin))
	require.False(t, caller.May(auth.ScopeRead))
	require.False(t, caller.May(auth.ScopePatch))
	require.False(t, caller.May(""))
	require.False(t, auth.Caller{}.May(auth.ScopeRead))

	require.False(t, caller.Limited())
	require.True(t, caller.MaySee("any"))
	caller.Games = []string{"demo-", "prod"}
	require.True(t, caller.Limited())
	for game, seen := range map[string]bool{
		"demo-1": true, "demo-": true, "prod": true, "production": true, "demo": false, "xdemo-1": false, "Demo-1": false, "": false,
	} {
		require.Equal(t, seen, caller.MaySee(game), game)
	}
	caller.Games = []string{}
	require.True(t, caller.Limited())
	require.False(t, caller.MaySee("demo-1"))
}

// Each token passes under its name with its rights; two tokens of one name pass
// side by side, so that one can be replaced by another without a gap.
func TestStaticTokens(t *testing.T) {
	older := "canary-older-0123456789"
	d := hang(t, tokenPolicy(secret)+
		"- {name: admin, sha256: "+strings.ToUpper(auth.HashToken(older))+", scopes: ['runtime:patch', 'runtime:read'], games: [demo-]}\n"+
		"- {name: 007, sha256: '"+auth.HashToken("another-0123456789")+"', scopes: ['runtime:admin']}\n")
	require.Equal(t, "3 tokens, 0 issuers, 0 certificates", d.String())
	require.False(t, d.NeedsClientCA())

	require.Equal(t, []auth.Scope{auth.ScopeRead}, d.passes(t, secret, "admin").Scopes)
	require.False(t, d.passes(t, secret, "admin").Limited())
	require.Equal(t, []string{"demo-"}, d.passes(t, older, "admin").Games)
	require.True(t, d.passes(t, "another-0123456789", "007").May(auth.ScopeAdmin))
	// Without issuers a token may look like a signed one.
	d.refuses(t, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "token is not known")
}

// Without the right token in the right form nothing passes, and the answer says
// whether there was one at all.
func TestOnlyTokensPass(t *testing.T) {
	d := hang(t, tokenPolicy(secret))
	for name, test := range map[string]struct {
		authorization []string
		reason        string
	}{
		"empty":          {[]string{""}, "scheme"},
		"scheme only":    {[]string{"Bearer"}, "bearer token is empty"},
		"no token":       {[]string{"Bearer "}, "bearer token is empty"},
		"spaces only":    {[]string{"Bearer    "}, "bearer token is empty"},
		"wrong":          {[]string{"Bearer canary-9999999999999999"}, "token is not known"},
		"longer":         {[]string{"Bearer " + secret + "x"}, "token is not known"},
		"shorter":        {[]string{"Bearer " + secret[1:]}, "token is not known"},
		"other case":     {[]string{"Bearer " + strings.ToUpper(secret)}, "token is not known"},
		"its own digest": {[]string{"Bearer " + auth.HashToken(secret)}, "token is not known"},
		"basic":          {[]string{"Basic " + secret}, "scheme"},
		"no scheme":      {[]string{secret}, "scheme"},
		"no space":       {[]string{"Bearer" + secret}, "scheme"},
		"tab":            {[]string{"Bearer\t" + secret}, "scheme"},
		"space before":   {[]string{" Bearer " + secret}, "scheme"},
		"space after":    {[]string{"Bearer " + secret + " "}, "characters"},
		"space within":   {[]string{"Bearer canary-01234567 89abcdef"}, "characters"},
		"newline":        {[]string{"Bearer " + secret + "\n"}, "characters"},
		"not ASCII":      {[]string{"Bearer " + secret + "é"}, "characters"},
		"too long":       {[]string{"Bearer " + strings.Repeat("a", 16<<10+1)}, "too long"},
		"list":           {[]string{"Bearer " + secret + ", Bearer " + secret}, "characters"},
		"twice":          {[]string{"Bearer " + secret, "Bearer " + secret}, "more than one"},
		"and basic":      {[]string{"Bearer " + secret, "Basic eDp5"}, "more than one"},
		"and empty":      {[]string{"", "Bearer " + secret}, "more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			caller, err := d.ask(t, test.authorization...)
			wantRefusal(t, caller, err, test.reason)
		})
	}

	caller, err := d.ask(t)
	require.ErrorIs(t, err, auth.ErrNoCredentials)
	require.NotErrorIs(t, err, auth.ErrUnknown)
	require.Equal(t, auth.Caller{}, caller)

	for _, authorization := range []string{"Bearer " + secret, "bearer " + secret, "BEARER   " + secret} {
		_, err := d.ask(t, authorization)
		require.NoError(t, err)
	}
}

// A digest counts to its last bit.
func TestWholeDigest(t *testing.T) {
	for i := range sha256.Size {
		digest := sha256.Sum256([]byte(secret))
		digest[i] ^= 1
		gate, err := auth.New(auth.Policy{Tokens: []auth.Token{
			{Name: "dev", SHA256: digest, Scopes: []auth.Scope{auth.ScopeRead}},
		}}, quiet())
		require.NoError(t, err)
		caller, err := gate.Authenticate(t.Context(), request("Bearer "+secret))
		wantRefusal(t, caller, err, "token is not known")
	}
}

// A fixed policy is judged as one from a file, and nobody can change it
// afterwards.
func TestFixedPolicy(t *testing.T) {
	_, err := auth.New(auth.Policy{}, auth.Options{})
	require.ErrorContains(t, err, "nobody could pass")
	_, err = auth.New(auth.Policy{Tokens: []auth.Token{{Name: "dev"}}}, auth.Options{})
	require.ErrorContains(t, err, "tokens[0].sha256: want 64 hex digits")
	require.ErrorContains(t, err, "tokens[0].scopes: want at least one")
	_, err = auth.New(auth.Policy{Issuers: []auth.Issuer{{URL: "https://issuer.example", Audience: "a", CAFile: "no-such-file"}}}, auth.Options{})
	require.ErrorContains(t, err, "oidc[0].ca_file: cannot be read")

	policy := auth.Policy{Tokens: []auth.Token{
		{Name: "dev", SHA256: sha256.Sum256([]byte("dev")), Scopes: []auth.Scope{auth.ScopeRead}},
	}}
	gate, err := auth.New(policy, quiet())
	require.NoError(t, err)
	require.NoError(t, gate.Reload())
	policy.Tokens[0].Name, policy.Tokens[0].Scopes[0] = "root", auth.ScopeAdmin
	caller, err := gate.Authenticate(t.Context(), request("Bearer dev"))
	require.NoError(t, err)
	require.Equal(t, auth.Caller{Name: "dev", Scopes: []auth.Scope{auth.ScopeRead}}, caller)
}

// Reasons belong to refusals only.
func TestReason(t *testing.T) {
	require.Empty(t, auth.Reason(nil))
	require.Empty(t, auth.Reason(errors.New("x")))
	require.Empty(t, auth.Reason(auth.ErrNoCredentials))
}

// A token is long enough not to be guessed and can be sent; no error repeats it.
func TestCheckToken(t *testing.T) {
	require.NoError(t, auth.CheckToken(secret))
	require.NoError(t, auth.CheckToken(strings.Repeat("x", 16)))
	for token, fault := range map[string]string{
		"":                             "guessed",
		"canary":                       "guessed",
		strings.Repeat("x", 15):        "guessed",
		strings.Repeat("x", 16<<10+1):  "longer",
		"canary with spaces, long one": "visible ASCII",
		"canary-canary-canary\n":       "visible ASCII",
		"canary-canary-canary-é":       "visible ASCII",
	} {
		err := auth.CheckToken(token)
		require.ErrorContains(t, err, fault)
		require.NotContains(t, err.Error(), "canary")
	}
}

// The lines of an entry are a policy that lets exactly the token pass, whatever
// its name looks like to YAML; what a policy would not take gets no lines.
func TestEntry(t *testing.T) {
	for _, name := range []string{"admin-service", "null", "true", "007", "1e5", "0x10", "a.b_c"} {
		lines, err := auth.Entry(name, []auth.Scope{auth.ScopeRead, auth.ScopePatch}, []string{"demo-", "1e5"}, secret)
		require.NoError(t, err)
		require.NotContains(t, lines, secret)
		d := hang(t, "tokens:\n"+lines)
		require.Equal(t, auth.Caller{
			Name: name, Scopes: []auth.Scope{auth.ScopeRead, auth.ScopePatch}, Games: []string{"demo-", "1e5"},
		}, d.passes(t, secret, name))
	}
	lines, err := auth.Entry("ops", []auth.Scope{auth.ScopeAdmin}, nil, secret)
	require.NoError(t, err)
	require.Equal(t, "  - name: \"ops\"\n    sha256: \""+auth.HashToken(secret)+"\"\n    scopes: [runtime:admin]\n", lines)

	for fault, entry := range map[string]struct {
		name   string
		scopes []auth.Scope
		games  []string
		token  string
	}{
		"guessed":           {"ops", []auth.Scope{auth.ScopeRead}, nil, "canary"},
		"name: want":        {"canary\n- x", []auth.Scope{auth.ScopeRead}, nil, secret},
		"scopes: want":      {"ops", nil, nil, secret},
		"scopes[0]: want":   {"ops", []auth.Scope{"canary"}, nil, secret},
		"games[0]: want":    {"ops", []auth.Scope{auth.ScopeRead}, []string{"Canary"}, secret},
		"games: want at le": {"ops", []auth.Scope{auth.ScopeRead}, []string{}, secret},
	} {
		lines, err := auth.Entry(entry.name, entry.scopes, entry.games, entry.token)
		require.ErrorContains(t, err, fault)
		require.NotContains(t, strings.ToLower(err.Error()), "canary")
		require.NotContains(t, err.Error(), "tokens[0]")
		require.Empty(t, lines)
	}
}
