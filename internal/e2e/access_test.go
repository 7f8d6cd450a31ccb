package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/auth"
)

// TestTokensAreReplacedWithoutAGap proves that an auth file that changes counts
// without a restart: a new token passes while the old one still does, then the
// old one no more; and that a broken file leaves in force what was.
func TestTokensAreReplacedWithoutAGap(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	server := r.startAPI()
	old, young := *r, *r
	young.token = "the-next-token-of-the-tests"
	next := everything()
	next.token = young.token
	sees := func(r *rig, status int) {
		t.Helper()
		require.Eventually(t, func() bool {
			return r.call(http.MethodGet, base+"/runtimes", "").status == status
		}, patience, waitTick)
	}
	sees(&young, http.StatusUnauthorized)
	r.admit(everything(), next)
	sees(&young, http.StatusOK)
	sees(&old, http.StatusOK)
	r.admit(next)
	sees(&old, http.StatusUnauthorized)
	sees(&young, http.StatusOK)

	require.NoError(t, os.WriteFile(r.authFile, []byte("tokens: ["), 0o600))
	server.awaitLogUntil(t, "level", "ERROR", func() {
		require.Equal(t, http.StatusOK, young.call(http.MethodGet, base+"/runtimes", "").status)
	})
	require.Equal(t, http.StatusOK, young.call(http.MethodGet, base+"/runtimes", "").status)
}

// TestNobodyHearsOfTokens proves that a token shows up in no log, no answer, no
// history and no row, whoever sends it and whatever goes wrong.
func TestNobodyHearsOfTokens(t *testing.T) {
	t.Parallel()
	const canary = "canary-of-the-tests-0123456789"
	r := newRigWithoutAPI(t, "GAMEMASTER_LOG_LEVEL=debug", "GAMEMASTER_MANAGER_BUDGET=2s", "GAMEMASTER_SETTLE_TIME=1s",
		"GAMEMASTER_API_ADMIN=127.0.0.1:0")
	holder := everything()
	holder.token = canary
	r.admit(holder)
	r.token = canary
	server := start(t, r.environ, "api", "--addr", "127.0.0.1:0")
	admin := fmt.Sprintf("http://%s", server.awaitLog("admin pages are listening")["addr"])
	r.url = fmt.Sprintf("http://%s", server.awaitLog("api is listening")["addr"])
	worker := r.startWorker()
	game := r.game()
	said := &strings.Builder{}
	hear := func(a answer) { fmt.Fprintln(said, a.header, a.body) }

	hear(r.patch(game, "1.4.3"))
	hear(r.patch(game, "1.5.0", "Idempotency-Key: k"))
	hear(r.call(http.MethodGet, base+"/runtimes?token="+canary, ""))
	hear(r.call(http.MethodPost, base+"/runtimes/"+game+"/patch", `{"token":"`+canary+`"}`))
	hear(r.call(http.MethodGet, base+"/nothing/"+canary, ""))
	wrong := *r
	wrong.token = canary + "x"
	hear(wrong.call(http.MethodGet, base+"/runtimes", ""))
	require.NoError(t, os.WriteFile(r.authFile, []byte("tokens:\n  - name: e2e\n    sha256: "+canary+"\n    scopes: [runtime:read]\n"), 0o600))
	server.awaitLogUntil(t, "level", "ERROR", func() { hear(r.call(http.MethodGet, base+"/runtimes", "")) })

	metrics, err := http.Get(admin + "/metrics")
	require.NoError(t, err)
	defer func() { _ = metrics.Body.Close() }()
	require.Equal(t, http.StatusOK, metrics.StatusCode)
	require.NoError(t, metrics.Write(said))
	require.Contains(t, said.String(), "gamemaster_http_request_duration_seconds")
	for _, row := range r.audit(game) {
		fmt.Fprintln(said, row)
	}
	history := r.temporal.GetWorkflowHistory(t.Context(), "patch-runtime/"+game, "", false, 0)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		fmt.Fprintln(said, event)
	}
	for _, heard := range []string{said.String(), server.printed(), worker.printed()} {
		require.NotEmpty(t, heard)
		// What the client sent in a path or as a key comes back to it alone.
		heard = strings.ReplaceAll(heard, "instance:"+base+"/nothing/"+canary, "")
		require.NotContains(t, heard, canary)
	}
}

// TestAdminPagesAreApart proves that metrics and profiles are on the admin
// listener only.
func TestAdminPagesAreApart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		require.Equal(t, http.StatusNotFound, r.call(http.MethodGet, path, "").status, path)
	}
}

// TestClientCertificates proves that the listener encrypts, that a certificate
// that is named passes in its scopes, and that one that is not named, or that
// somebody else signed, does not.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	dir := t.TempDir()
	ours, strange := newAuthority(t), newAuthority(t)
	caFile := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(caFile, ours.pem, 0o600))
	certFile, keyFile := ours.write(t, dir, "localhost")
	require.NoError(t, os.WriteFile(r.authFile, []byte(
		"certificates:\n  - name: ops\n    dns_name: ops.example\n    scopes: ["+string(auth.ScopeRead)+"]\n"), 0o600))
	p := start(t, r.environ, "api", "--addr", "127.0.0.1:0", "--tls-cert", certFile, "--tls-key", keyFile, "--client-ca", caFile)
	_, port, err := net.SplitHostPort(fmt.Sprint(p.awaitLog("api is listening")["addr"]))
	require.NoError(t, err)
	url := "https://localhost:" + port + base + "/runtimes"

	ask := func(method string, certificates ...tls.Certificate) (int, error) {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ours.pem)
		client := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{
				RootCAs: roots,
				// Shown also where the server has said that it would not do.
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(certificates) == 0 {
						return &tls.Certificate{}, nil
					}
					return &certificates[0], nil
				},
			},
		}}
		request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"game_id":"a","engine_version":"1.4.3"}`))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	for _, row := range []struct {
		name   string
		method string
		shown  []tls.Certificate
		status int
	}{
		{"none", http.MethodGet, nil, http.StatusUnauthorized},
		{"named", http.MethodGet, []tls.Certificate{ours.issue(t, "ops.example")}, http.StatusOK},
		{"named, another scope", http.MethodPost, []tls.Certificate{ours.issue(t, "ops.example")}, http.StatusForbidden},
		{"not named", http.MethodGet, []tls.Certificate{ours.issue(t, "dev.example")}, http.StatusUnauthorized},
	} {
		status, err := ask(row.method, row.shown...)
		require.NoError(t, err, row.name)
		require.Equal(t, row.status, status, row.name)
	}
	_, err = ask(http.MethodGet, strange.issue(t, "ops.example"))
	require.Error(t, err, "signed by somebody else")
	plain, err := http.Get("http://localhost:" + port + base + "/runtimes")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, plain.StatusCode)
	require.NoError(t, plain.Body.Close())
}

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue returns a certificate for a name, of a server or a client.
func (a authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, key.Public(), a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// write issues a certificate into files.
func (a authority) write(t *testing.T, dir, name string) (certFile, keyFile string) {
	t.Helper()
	issued := a.issue(t, name)
	key, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Certificate[0]}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	return certFile, keyFile
}
