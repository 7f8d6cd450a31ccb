package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
)

// nolog is for servers whose handshakes are to fail.
var nolog = log.New(io.Discard, "", 0)

// authority signs client certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, until time.Time) authority {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return authority{must(x509.ParseCertificate(der)), key}
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// certify returns a client certificate for an hour, changed as told.
func (a authority) certify(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func dns(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

func uri(uris ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, text := range uris {
			c.URIs = append(c.URIs, must(url.Parse(text)))
		}
	}
}

func commonName(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

// verdict is what a gate behind TLS said.
type verdict struct {
	caller auth.Caller
	err    error
}

// listener is a TLS server that verifies client certificates as told and asks
// the gate about each request.
func (d *door) listener(t *testing.T, mode tls.ClientAuthType, roots ...authority) (*httptest.Server, chan verdict) {
	t.Helper()
	said := make(chan verdict, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		caller, err := d.Authenticate(r.Context(), r)
		said <- verdict{caller, err}
	}))
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root.certificate)
	}
	server.TLS = &tls.Config{ClientAuth: mode, ClientCAs: pool}
	server.Config.ErrorLog = nolog
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, said
}

// dial sends a request with the certificates over a connection of its own. The
// error is that of the connection.
func dial(t *testing.T, server *httptest.Server, authorization string, certificates ...tls.Certificate) error {
	t.Helper()
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	// The client sends what it has, whoever the server says that it trusts.
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(certificates) == 0 {
			return &tls.Certificate{}, nil
		}
		return &certificates[0], nil
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := (&http.Client{Transport: transport}).Do(r)
	if err == nil {
		err = response.Body.Close()
	}
	return err
}

const certificatePolicy = `certificates:
- name: ops
  dns_name: ops.example
  scopes: [runtime:read, runtime:patch]
  games: [demo-]
- name: fleet
  uri: spiffe://example/fleet
  scopes: [runtime:admin]
- name: old
  common_name: old.example
  scopes: [runtime:read]
`

// A certificate of our authority passes if it is in the list, by exactly what
// the list says of it, and under that name.
func TestCertificates(t *testing.T) {
	d := hang(t, certificatePolicy+tokenPolicy(secret))
	require.True(t, d.NeedsClientCA())
	ca := newAuthority(t, time.Now().Add(time.Hour))
	server, said := d.listener(t, tls.VerifyClientCertIfGiven, ca)
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		caller string
	}{
		"DNS name":            {dns("ops.example"), "ops"},
		"one of DNS names":    {dns("a.example", "OPS.Example"), "ops"},
		"URI":                 {uri("spiffe://example/fleet"), "fleet"},
		"common name":         {commonName("old.example"), "old"},
		"first in list":       {func(c *x509.Certificate) { dns("ops.example")(c); commonName("old.example")(c) }, "ops"},
		"other DNS name":      {dns("ops.example.org"), ""},
		"wildcard":            {dns("*.example"), ""},
		"DNS name as CN":      {commonName("ops.example"), ""},
		"CN as DNS name":      {dns("old.example"), ""},
		"other URI":           {uri("spiffe://example/fleet/x"), ""},
		"two URIs":            {uri("spiffe://example/fleet", "spiffe://example/other"), ""},
		"case of common name": {commonName("OLD.example"), ""},
		"nothing":             {func(*x509.Certificate) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, dial(t, server, "", ca.certify(t, test.change)))
			got := <-said
			if test.caller == "" {
				wantRefusal(t, got.caller, got.err, "client certificate is not known")
				return
			}
			require.NoError(t, got.err)
			require.Equal(t, test.caller, got.caller.Name)
			require.Equal(t, test.caller == "ops", got.caller.Limited())
			require.Equal(t, test.caller == "fleet", got.caller.May(auth.ScopeAdmin))
		})
	}
}

// Beside a bearer token a certificate counts for nothing, so that a wrong token
// is never made good by it; without either nobody passes.
func TestTokenAndCertificate(t *testing.T) {
	d := hang(t, certificatePolicy+tokenPolicy(secret))
	ca := newAuthority(t, time.Now().Add(time.Hour))
	server, said := d.listener(t, tls.VerifyClientCertIfGiven, ca)
	ops := ca.certify(t, dns("ops.example"))

	require.NoError(t, dial(t, server, "Bearer "+secret, ops))
	got := <-said
	require.NoError(t, got.err)
	require.Equal(t, "admin", got.caller.Name)
	for authorization, reason := range map[string]string{
		"Bearer wrong-0123456789": "token is not known", "Basic eDp5": "scheme", "Bearer": "bearer token is empty",
	} {
		require.NoError(t, dial(t, server, authorization, ops))
		got := <-said
		wantRefusal(t, got.caller, got.err, reason)
	}
	require.NoError(t, dial(t, server, ""))
	require.ErrorIs(t, (<-said).err, auth.ErrNoCredentials)
	require.NoError(t, dial(t, server, "Bearer "+secret))
	require.NoError(t, (<-said).err)
}

// A certificate of somebody else's authority, or of one that is expired, does
// not come through the handshake; one that a listener did not verify is none;
// one that has expired since the handshake is refused.
func TestCertificatesAreVerified(t *testing.T) {
	d := hang(t, certificatePolicy)
	ca := newAuthority(t, time.Now().Add(time.Hour))
	strict, said := d.listener(t, tls.VerifyClientCertIfGiven, ca)
	expired := newAuthority(t, time.Now().Add(-time.Hour))
	late, lateSaid := d.listener(t, tls.VerifyClientCertIfGiven, expired)

	for name, attempt := range map[string]struct {
		server      *httptest.Server
		certificate tls.Certificate
	}{
		"foreign authority": {strict, newAuthority(t, time.Now().Add(time.Hour)).certify(t, dns("ops.example"))},
		"expired authority": {late, expired.certify(t, dns("ops.example"))},
		"expired": {strict, ca.certify(t, func(c *x509.Certificate) {
			dns("ops.example")(c)
			c.NotAfter = time.Now().Add(-time.Minute)
		})},
		"for servers": {strict, ca.certify(t, func(c *x509.Certificate) {
			dns("ops.example")(c)
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			err := dial(t, attempt.server, "", attempt.certificate)
			require.Error(t, err)
			var failed *url.Error
			require.True(t, errors.As(err, &failed))
			require.Empty(t, said)
			require.Empty(t, lateSaid)
		})
	}

	lax, laxSaid := d.listener(t, tls.RequestClientCert)
	require.NoError(t, dial(t, lax, "", ca.certify(t, dns("ops.example"))))
	require.ErrorIs(t, (<-laxSaid).err, auth.ErrNoCredentials)

	d.clock.pass(2 * time.Hour)
	require.NoError(t, dial(t, strict, "", ca.certify(t, dns("ops.example"))))
	got := <-said
	wantRefusal(t, got.caller, got.err, "client certificate is expired")
}

// Where the policy has no certificates they count for nothing, as behind a
// proxy that shows one with every request.
func TestNoCertificatesInPolicy(t *testing.T) {
	d := hang(t, tokenPolicy(secret))
	require.False(t, d.NeedsClientCA())
	ca := newAuthority(t, time.Now().Add(time.Hour))
	server, said := d.listener(t, tls.VerifyClientCertIfGiven, ca)
	require.NoError(t, dial(t, server, "", ca.certify(t, dns("ops.example"))))
	require.ErrorIs(t, (<-said).err, auth.ErrNoCredentials)
}
