package auth_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
)

// A token of the issuer passes under the name and with the scopes of its
// claims; scopes that are not ours, and claims of another shape, give nothing.
func TestSignedTokens(t *testing.T) {
	server := issue(t)
	d := hang(t, server.policy("games: [demo-]"))
	read, both := []auth.Scope{auth.ScopeRead}, []auth.Scope{auth.ScopeRead, auth.ScopePatch}
	for name, test := range map[string]struct {
		changes said
		scopes  []auth.Scope
	}{
		"as it is":          {nil, read},
		"more audiences":    {said{"aud": []string{"other", "gamemaster"}}, read},
		"several scopes":    {said{"scope": "runtime:patch runtime:read runtime:read"}, both},
		"odd spaces":        {said{"scope": "  runtime:patch   runtime:read "}, both},
		"list":              {said{"scope": []string{"runtime:patch", "x", "runtime:read"}}, both},
		"a scope in a list": {said{"scope": []string{"runtime:read runtime:patch"}}, nil},
		"none of ours":      {said{"scope": "openid runtime runtime:READ xruntime:read"}, nil},
		"no scopes":         {said{"scope": nil}, nil},
		"null":              {said{"scope": json.RawMessage("null")}, nil},
		"number":            {said{"scope": 7}, nil},
		"mapping":           {said{"scope": said{"runtime:read": true}}, nil},
		"not all texts":     {said{"scope": []any{"runtime:read", 7}}, nil},
		"null in list":      {said{"scope": []any{"runtime:read", nil}}, nil},
		"other case":        {said{"scope": nil, "Scope": "runtime:admin"}, nil},
		"expired a bit":     {said{"exp": d.clock.now().Add(-29 * time.Second).Unix()}, read},
		"valid in a bit":    {said{"nbf": d.clock.now().Add(29 * time.Second).Unix()}, read},
		"fractions":         {said{"exp": float64(d.clock.now().Unix()) + 0.5}, read},
	} {
		t.Run(name, func(t *testing.T) {
			caller := d.passes(t, server.good(t, d, test.changes), "oidc:alice")
			require.Equal(t, auth.Caller{Name: "oidc:alice", Scopes: test.scopes, Games: []string{"demo-"}}, caller)
		})
	}
	require.Equal(t, 1, server.hit(discoveryPath))
	require.Equal(t, 1, server.hit(keysPath))
}

// What is wrong with a signed token keeps it out, each for its own reason.
func TestOnlyGoodSignedTokensPass(t *testing.T) {
	server := issue(t)
	server.publish(public("one", firstKey().Public()), public("curve", curveKey().Public()))
	d := hang(t, server.policy()+tokenPolicy(secret))
	now := d.clock.now()
	good := server.good(t, d, nil)
	d.passes(t, good, "oidc:alice")
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	der := must(x509.MarshalPKIXPublicKey(firstKey().Public()))
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	plain := server.claims(now, nil)
	embedded := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: secondKey()},
		&jose.SignerOptions{EmbedJWK: true}))

	// A claim that is there twice, the second time in other letters, is judged as
	// it was named; the library takes the last.
	twice := func(first, second string) string {
		return `{"iss":"` + server.URL + `","sub":"a","aud":"gamemaster",` + first + "," + second + "}"
	}

	for name, test := range map[string]struct{ token, reason string }{
		"expired":            {server.good(t, d, said{"exp": now.Add(-31 * time.Second).Unix()}), "token is expired"},
		"no expiry":          {server.good(t, d, said{"exp": nil}), "token has no expiry"},
		"null expiry":        {server.good(t, d, said{"exp": json.RawMessage("null")}), "token has no expiry"},
		"expiry is a text":   {server.good(t, d, said{"exp": "9999999999"}), "token has no expiry"},
		"huge expiry":        {sign(t, jose.RS256, firstKey(), "one", `{"iss":"`+server.URL+`","aud":"gamemaster","sub":"a","exp":1e400}`), "token has no expiry"},
		"not yet":            {server.good(t, d, said{"nbf": now.Add(31 * time.Second).Unix()}), "token is not valid yet"},
		"not yet, a text":    {server.good(t, d, said{"nbf": "0"}), "token is not valid yet"},
		"other audience":     {server.good(t, d, said{"aud": "other"}), "audience is not ours"},
		"longer audience":    {server.good(t, d, said{"aud": []string{"gamemaster2", "Gamemaster"}}), "audience is not ours"},
		"no audience":        {server.good(t, d, said{"aud": nil}), "audience is not ours"},
		"audience is number": {server.good(t, d, said{"aud": 1}), "audience is not ours"},
		"other issuer":       {server.good(t, d, said{"iss": "https://canary-issuer.example"}), "issuer is not known"},
		"issuer with slash":  {server.good(t, d, said{"iss": server.URL + "/"}), "issuer is not known"},
		"no issuer":          {server.good(t, d, said{"iss": nil}), "issuer is not known"},
		"no name":            {server.good(t, d, said{"sub": nil}), "caller's name"},
		"empty name":         {server.good(t, d, said{"sub": ""}), "caller's name"},
		"name is a number":   {server.good(t, d, said{"sub": 7}), "not well-formed"},
		"long name":          {server.good(t, d, said{"sub": strings.Repeat("x", 129)}), "caller's name"},
		"control in name":    {server.good(t, d, said{"sub": "alice\nlevel=ERROR"}), "caller's name"},
		"direction in name":  {server.good(t, d, said{"sub": "alice\u202e"}), "caller's name"},
		"name is no UTF-8":   {sign(t, jose.RS256, firstKey(), "one", `{"iss":"`+server.URL+`","aud":"gamemaster","sub":"a`+"\xff"+`","exp":9999999999}`), "caller's name"},
		"nonce is a number":  {server.good(t, d, said{"nonce": 7}), "not well-formed"},
		"expiry twice":       {sign(t, jose.RS256, firstKey(), "one", twice(`"exp":1`, `"EXP":9999999999`)), "token is expired"},
		"expiry twice, late": {sign(t, jose.RS256, firstKey(), "one", twice(`"exp":9999999999`, `"EXP":1`)), "not well-formed"},
		"audience twice":     {sign(t, jose.RS256, firstKey(), "one", twice(`"exp":9999999999,"aud":"other"`, `"Aud":"gamemaster"`)), "audience is not ours"},
		"claims are a list":  {sign(t, jose.RS256, firstKey(), "one", `[]`), "token is malformed"},
		"claims are null":    {sign(t, jose.RS256, firstKey(), "one", `null`), "token is malformed"},

		"none":                {encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "signing algorithm is not allowed"},
		"none, signed":        {encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2], "signing algorithm is not allowed"},
		"None":                {encode([]byte(`{"alg":"None"}`)) + "." + parts[1] + ".", "signing algorithm is not allowed"},
		"no algorithm":        {encode([]byte(`{"kid":"one"}`)) + "." + parts[1] + "." + parts[2], ""},
		"key as secret, PEM":  {sign(t, jose.HS256, public, "one", plain), "signing algorithm is not allowed"},
		"key as secret, DER":  {sign(t, jose.HS256, der, "one", plain), "signing algorithm is not allowed"},
		"algorithm not ours":  {sign(t, jose.RS512, firstKey(), "one", plain), "signing algorithm is not allowed"},
		"PS for RS":           {sign(t, jose.PS256, firstKey(), "one", plain), "signing algorithm is not allowed"},
		"algorithm of other":  {sign(t, jose.ES256, curveKey(), "one", plain), "signature does not match"},
		"no signature":        {parts[0] + "." + parts[1] + ".", "signature does not match"},
		"spoiled signature":   {spoil(good), "signature does not match"},
		"other payload":       {parts[0] + "." + encode(must(json.Marshal(server.claims(now, said{"sub": "bob"})))) + "." + parts[2], "signature does not match"},
		"unknown kid":         {sign(t, jose.RS256, firstKey(), "two", plain), "signature does not match"},
		"foreign key":         {sign(t, jose.RS256, secondKey(), "one", plain), "signature does not match"},
		"foreign, no kid":     {sign(t, jose.RS256, secondKey(), "", plain), "signature does not match"},
		"key in the token":    {must(must(embedded.Sign(must(json.Marshal(plain)))).CompactSerialize()), "signature does not match"},
		"critical header":     {encode([]byte(`{"alg":"RS256","kid":"one","crit":["x"],"x":1}`)) + "." + parts[1] + "." + parts[2], ""},
		"bad base64":          {parts[0] + "." + parts[1] + "." + parts[2] + "!", "token is malformed"},
		"not a token":         {"eyJ..", "token is malformed"},
		"header only":         {parts[0] + "..", ""},
		"two parts":           {parts[0] + "." + parts[1], "token is not known"},
		"four parts":          {good + "." + parts[2], "token is not known"},
		"JSON form":           {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "token is not known"},
		"expired and spoiled": {spoil(server.good(t, d, said{"exp": 1})), "signature does not match"},
	} {
		t.Run(name, func(t *testing.T) { d.refuses(t, test.token, test.reason) })
	}
	// None of that was dear for the issuer, and what is right still passes.
	require.LessOrEqual(t, server.hit(keysPath), 2)
	d.passes(t, good, "oidc:alice")
	d.passes(t, sign(t, jose.ES256, curveKey(), "curve", plain), "oidc:alice")
	d.passes(t, sign(t, jose.RS256, firstKey(), "", plain), "oidc:alice")
	// Static tokens live beside the issuer.
	d.passes(t, secret, "admin")
	// A wrong header beside a good token is one header too many.
	_, err := d.ask(t, "Bearer "+good, "Bearer "+good)
	require.ErrorIs(t, err, auth.ErrUnknown)
}

// Each entry says what the claims are called, what names start with and which
// algorithms are allowed; the token's issuer chooses the entry, and no issuer
// can speak for another.
func TestTwoIssuers(t *testing.T) {
	one, two := issue(t), issue(t)
	two.publish(public("one", secondKey().Public()))
	d := hang(t, one.policy()+"- issuer: "+two.URL+"\n  audience: games\n  name_claim: email\n  name_prefix: 'two:'\n"+
		"  scopes_claim: https://issuer.example/roles\n  algorithms: [RS384]\n  jwks_url: "+two.URL+"/keys\n")
	now := d.clock.now()
	d.passes(t, one.good(t, d, nil), "oidc:alice")
	of := func(key any, changes said) string {
		return sign(t, jose.RS384, key, "one", two.claims(now, changes))
	}
	theirs := said{"aud": "games", "email": "two:alice@example.org", "https://issuer.example/roles": []string{"runtime:admin"}}
	caller := d.passes(t, of(secondKey(), theirs), "two:two:alice@example.org")
	require.Equal(t, []auth.Scope{auth.ScopeAdmin}, caller.Scopes)
	require.Zero(t, two.hit(discoveryPath))

	d.refuses(t, of(firstKey(), theirs), "signature does not match")
	d.refuses(t, sign(t, jose.RS384, firstKey(), "one", one.claims(now, nil)), "algorithm is not allowed")
	d.refuses(t, sign(t, jose.RS256, secondKey(), "one", two.claims(now, theirs)), "algorithm is not allowed")
	d.refuses(t, sign(t, jose.RS256, secondKey(), "one", one.claims(now, nil)), "signature does not match")
	d.refuses(t, of(secondKey(), nil), "audience is not ours")
}
