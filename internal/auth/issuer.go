package auth

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	// leeway is how far the clocks of the issuer and of this machine may be
	// apart: synchronised ones are within a second, and a token that is
	// accepted half a minute too long is little harm.
	leeway = 30 * time.Second
	// maxClaim bounds names from claims: they are in logs and in each row that
	// a caller's request leaves behind.
	maxClaim = 128
)

// issuer checks the tokens of one entry.
type issuer struct {
	Issuer
	source *source
	now    func() time.Time
}

// looksSigned tells whether a bearer token has the shape of a JWT: three parts,
// the first of which is a JSON object in base64.
func looksSigned(token string) bool {
	return strings.HasPrefix(token, "eyJ") && strings.Count(token, ".") == 2
}

// signed returns the caller that a signed token stands for. What the token says
// of its issuer only chooses who checks it.
func (r *rules) signed(ctx context.Context, token string) (Caller, error) {
	algorithms := make([]jose.SignatureAlgorithm, len(knownAlgorithms))
	for i, algorithm := range knownAlgorithms {
		algorithms[i] = jose.SignatureAlgorithm(algorithm)
	}
	parsed, err := jose.ParseSignedCompact(token, algorithms)
	var foreign *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &foreign):
		return Caller{}, refuse(reasonAlgorithm)
	case err != nil || len(parsed.Signatures) != 1:
		return Caller{}, refuse(reasonMalformed)
	}
	said, err := readClaims(parsed.UnsafePayloadWithoutVerification())
	if err != nil {
		return Caller{}, err
	}
	url, _ := said.text("iss")
	entry, known := r.issuers[url]
	switch {
	case !known:
		return Caller{}, refuse(reasonIssuer)
	case !slices.Contains(entry.Algorithms, parsed.Signatures[0].Header.Algorithm):
		return Caller{}, refuse(reasonAlgorithm)
	}
	return entry.caller(ctx, token, parsed)
}

// attempt is the check of one token. It keeps what the verifier makes an
// unstructured text of: why the signature could not be checked.
type attempt struct {
	source  *source
	token   *jose.JSONWebSignature
	payload []byte
	err     error
}

// VerifySignature implements [oidc.KeySet]. It gets the same token again, as
// a text.
func (a *attempt) VerifySignature(ctx context.Context, _ string) ([]byte, error) {
	a.payload, a.err = a.source.verify(ctx, a.token)
	return a.payload, a.err
}

// caller checks a token and returns whom it is about. The claims are judged
// twice: by the library, and here, where the names of claims are compared
// exactly, the leeway is ours and the reason is told. Both have to agree.
func (i *issuer) caller(ctx context.Context, token string, parsed *jose.JSONWebSignature) (Caller, error) {
	now := i.now()
	check := &attempt{source: i.source, token: parsed}
	_, verdict := oidc.NewVerifier(i.URL, check, &oidc.Config{
		ClientID:             i.Audience,
		SupportedSigningAlgs: i.Algorithms,
		Now:                  func() time.Time { return now.Add(-leeway) },
	}).Verify(ctx, token)
	switch {
	case check.err != nil:
		return Caller{}, check.err
	case check.payload == nil:
		return Caller{}, refuse(reasonMalformed)
	}
	said, err := readClaims(check.payload)
	if err == nil {
		err = i.judge(said, now)
	}
	if err == nil && verdict != nil {
		err = refuse(reasonClaims)
	}
	if err != nil {
		return Caller{}, err
	}
	name, ok := said.text(i.NameClaim)
	if !ok || !printable(name, maxClaim) {
		return Caller{}, refuse(reasonName)
	}
	return Caller{Name: i.NamePrefix + name, Scopes: said.scopes(i.ScopesClaim), Games: i.Games}, nil
}

// judge says whether a token with these claims is for us and of today. That it
// is of this issuer is why it came here.
func (i *issuer) judge(said claims, now time.Time) error {
	expiry, expires := said.seconds("exp")
	begin, begins := said.seconds("nbf")
	_, hasBegin := said["nbf"]
	// As the library does, seconds of claims are taken whole.
	at := float64(now.UnixMilli()) / 1000
	switch {
	case !slices.Contains(said.texts("aud"), i.Audience):
		return refuse(reasonAudience)
	case !expires:
		return refuse(reasonNoExpiry)
	case math.Floor(expiry)+leeway.Seconds() < at:
		return refuse(reasonExpired)
	case hasBegin && (!begins || begin-leeway.Seconds() > at):
		return refuse(reasonNotYet)
	}
	return nil
}

// claims are what a token says, by the exact names of the claims.
type claims map[string]json.RawMessage

func readClaims(payload []byte) (claims, error) {
	var said claims
	if json.Unmarshal(payload, &said) != nil || said == nil {
		return nil, refuse(reasonMalformed)
	}
	return said, nil
}

// text returns a claim that is a text.
func (said claims) text(name string) (string, bool) {
	var value *string
	if json.Unmarshal(said[name], &value) != nil || value == nil {
		return "", false
	}
	return *value, true
}

// seconds returns a claim that is a number.
func (said claims) seconds(name string) (float64, bool) {
	var value *float64
	if json.Unmarshal(said[name], &value) != nil || value == nil {
		return 0, false
	}
	return *value, true
}

// texts returns a claim that is a text or a list of them, and nothing if it is
// anything else.
func (said claims) texts(name string) []string {
	if value, ok := said.text(name); ok {
		return []string{value}
	}
	var values []*string
	if json.Unmarshal(said[name], &values) != nil {
		return nil
	}
	var texts []string
	for _, value := range values {
		if value == nil {
			return nil
		}
		texts = append(texts, *value)
	}
	return texts
}

// scopes returns those of our scopes that a claim has: a text with spaces
// between them, or a list. A claim of any other shape gives none.
func (said claims) scopes(name string) []Scope {
	given := said.texts(name)
	if text, ok := said.text(name); ok {
		given = strings.Split(text, " ")
	}
	var scopes []Scope
	for _, scope := range Scopes() {
		if slices.Contains(given, string(scope)) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}
