package auth_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
)

// planted is in every fuzzed policy, where its digest belongs and beside it.
const planted = "ZQXJKVWPLANTED"

// Whatever a policy looks like, reading it neither panics nor repeats what is
// in it; and one that is accepted lets somebody pass.
func FuzzPolicy(f *testing.F) {
	f.Add("tokens:\n- name: a\n  sha256: SECRET\n  scopes: [runtime:read]\n")
	f.Add("SECRET: [SECRET, {SECRET: SECRET}]\n# SECRET\n")
	f.Add("oidc:\n- issuer: https://SECRET@x\n  audience: [SECRET\n")
	f.Add("certificates:\n- name: SECRET\n  uri: &SECRET SECRET:x\n  games: *SECRET\n")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, "SECRET", planted)
		policy, err := auth.Parse([]byte(text), t.TempDir())
		if err != nil {
			require.NotContains(t, err.Error(), planted)
			require.Equal(t, auth.Policy{}, policy)
			return
		}
		require.NotZero(t, len(policy.Tokens)+len(policy.Issuers)+len(policy.Certificates))
		_, err = auth.New(policy, quiet())
		require.NoError(t, err)
	})
}

// Whatever Authorization says, only the one token in the right form passes, and
// no error repeats what was sent.
func FuzzBearer(f *testing.F) {
	gate := must(auth.New(auth.Policy{Tokens: []auth.Token{
		{Name: "admin", SHA256: sha256.Sum256([]byte(secret)), Scopes: []auth.Scope{auth.ScopeRead}},
	}}, quiet()))
	for _, value := range []string{"Bearer " + secret, "bearer   " + secret, "Bearer", "Basic " + secret, secret, "Bearer " + secret + " ", ""} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		caller, err := gate.Authenticate(t.Context(), request(value))
		if err == nil {
			scheme, token, _ := strings.Cut(value, " ")
			require.Equal(t, "admin", caller.Name)
			require.True(t, strings.EqualFold(scheme, "Bearer"))
			require.Equal(t, secret, strings.TrimLeft(token, " "))
			return
		}
		require.ErrorIs(t, err, auth.ErrUnknown)
		require.NotEmpty(t, auth.Reason(err))
		require.NotContains(t, err.Error(), secret)
	})
}

// Whatever looks like a signed token does not pass but for what the issuer
// signed, and no error repeats it.
func FuzzToken(f *testing.F) {
	server := issue(f)
	d := &door{clock: newClock(), log: &journal{}}
	d.Gate = must(auth.New(auth.Policy{Issuers: []auth.Issuer{{URL: server.URL, Audience: "gamemaster"}}}, d.options()))
	good := sign(f, jose.RS256, firstKey(), "one", server.claims(d.clock.now(), nil))
	parts := strings.Split(good, ".")
	_, err := d.Authenticate(f.Context(), request("Bearer "+good))
	require.NoError(f, err)

	// The issuer's address and so its claims are others in each run.
	f.Add(parts[0], "CLAIMS", "")
	f.Add(parts[0], "CLAIMS", "c2lnbmF0dXJl")
	f.Add("eyJhbGciOiJub25lIn0", "CLAIMS", "")
	f.Add("eyJhbGciOiJIUzI1NiIsImtpZCI6Im9uZSJ9", "CLAIMS", "AAAA")
	f.Add(parts[0], "e30", "SIGNATURE")
	f.Add(planted, planted, planted)
	fill := strings.NewReplacer("CLAIMS", parts[1], "SIGNATURE", parts[2])
	f.Fuzz(func(t *testing.T, header, payload, signature string) {
		token := fill.Replace(header + "." + payload + "." + signature)
		caller, err := d.Authenticate(t.Context(), request("Bearer "+token))
		if err == nil {
			// The last letter of a signature may have bits that say nothing.
			require.True(t, strings.HasPrefix(token, good[:len(good)-1]))
			require.Equal(t, "oidc:alice", caller.Name)
			return
		}
		require.ErrorIs(t, err, auth.ErrUnknown)
		require.NotContains(t, err.Error(), planted)
		require.NotContains(t, d.log.String(), planted)
	})
}

// quiet are options of a gate that keeps its log to itself.
func quiet() auth.Options { return (&door{clock: newClock(), log: &journal{}}).options() }
