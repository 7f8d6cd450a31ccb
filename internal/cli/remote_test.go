package cli_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// TestWhoIsAsked proves the exit codes of what never gets to an API, and that the
// message names what is to be mended.
func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, row := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"not a URL", []string{"--server", "nowhere"}, 64, "nowhere"},
		{"password in it", []string{"--server", "https://u:s3cret@x.example"}, 64, "credentials"},
		{"token in the clear", []string{"--server", "http://gamemaster.example", "--token", "s3cret"}, 64, "https"},
		{"nobody there", []string{"--server", "http://127.0.0.1:1", "--timeout", "5s"}, 75, "no answer from http://127.0.0.1:1"},
		{"certificate without key", []string{"--server", "https://127.0.0.1:1", "--cert", missing}, 64, "--cert and --key"},
		{"key without certificate", []string{"--server", "https://127.0.0.1:1", "--key", missing}, 64, "--cert and --key"},
		{"no certificate there", []string{"--server", "https://127.0.0.1:1", "--cert", missing, "--key", missing}, 64, "missing.pem"},
		{"no CA there", []string{"--server", "https://127.0.0.1:1", "--ca-file", missing}, 64, "missing.pem"},
		{"no CA in it", []string{"--server", "https://127.0.0.1:1", "--ca-file", empty}, 64, "no certificate in PEM"},
		{"CA without https", []string{"--server", "http://127.0.0.1:1", "--ca-file", empty}, 64, "https only"},
		{"no such flag", []string{"--colour"}, 64, "--colour"},
		{"no such status", []string{"--status", "lost"}, 64, "lost"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := cli.Shell{}.Run(append([]string{"runtimes", "list"}, row.args...)...)
			require.Equal(t, row.code, code, stderr)
			require.Contains(t, stderr, row.says)
			require.Empty(t, stdout)
			require.NotContains(t, stderr, "s3cret")
		})
	}
}

// TestDevToken proves that without a token an API on this machine is sent the
// development token, nobody else is, and that it is told when it did not do.
func TestDevToken(t *testing.T) {
	t.Parallel()
	const list = "GET /runtimes?limit=101"
	s := newServer(t, map[string][]reply{list: {ok(`{"runtimes":[]}`), problem(401, "unauthorized", "token is not known")}})
	code, _, _ := cli.Shell{}.Run("runtimes", "list", "--server", s.URL)
	require.Zero(t, code)
	code, _, stderr := cli.Shell{}.Run("runtimes", "list", "--server", s.URL)
	require.Equal(t, cli.ExitRefused, code)
	require.Contains(t, stderr, "GAMEMASTER_TOKEN")
	code, _, stderr = cli.Shell{}.Run("runtimes", "list", "--server", s.URL, "--token", token)
	require.Equal(t, cli.ExitRefused, code)
	require.NotContains(t, stderr, "GAMEMASTER_TOKEN")
	require.Equal(t, []string{"Bearer " + cli.DevToken, "Bearer " + cli.DevToken, "Bearer " + token}, s.tokens)

	for server, sent := range map[string]bool{
		"http://127.0.0.1:8080": true, "http://[::1]:8080": true, "https://localhost": true,
		"https://gamemaster.example": false, "https://127.0.0.1.example": false, "https://10.0.0.1": false, ":": false,
	} {
		require.Equal(t, sent, cli.SendsDevToken(server), server)
	}
}

// TestClientCertificate proves that a command trusts the CA that it is given,
// shows its certificate, and then sends no token that it was not given.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	var authorization []string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization = append(authorization, r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"runtimes":[]}`))
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca, cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, certificate, 0o600))
	require.NoError(t, os.WriteFile(cert, certificate, 0o600))
	require.NoError(t, os.WriteFile(key, keyOf(t, s.TLS.Certificates[0]), 0o600))

	code, _, stderr := cli.Shell{}.Run("runtimes", "list", "--server", s.URL, "--ca-file", ca, "--cert", cert, "--key", key)
	require.Zero(t, code, stderr)
	require.Equal(t, []string{""}, authorization)
	for _, args := range [][]string{{"--ca-file", ca}, nil} {
		code, _, stderr = cli.Shell{}.Run(append([]string{"runtimes", "list", "--server", s.URL}, args...)...)
		require.Equal(t, cli.ExitFailed, code, stderr)
		require.Contains(t, stderr, "no answer")
	}
	require.Len(t, authorization, 1)
}

// TestTimeout proves that a command ends with its time and with an interrupt,
// and that either leaves the patch to go on.
func TestTimeout(t *testing.T) {
	t.Parallel()
	const patchPath, look = "POST /runtimes/demo-1/patch", "GET /patches/" + patchID
	endless := func() *server {
		return newServer(t, map[string][]reply{patchPath: {{http.StatusAccepted, opened}}, look: {ok(patching)}})
	}
	code, _, stderr := endless().run(cli.Shell{}, "patch", "demo-1", "1.4.3", "--timeout", "300ms")
	require.Equal(t, cli.ExitUnavailable, code, stderr)
	require.Contains(t, stderr, "the patch goes on")

	ctx, cancel := context.WithCancel(t.Context())
	s := endless()
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		if r.Method == http.MethodGet {
			cancel()
		}
	})
	code, _, stderr = s.run(cli.Shell{Context: ctx}, "patch", "demo-1", "1.4.3")
	require.Equal(t, cli.ExitUnavailable, code, stderr)
	require.Contains(t, stderr, "gamemaster patches show "+patchID)
}

// TestProgramsGetTheProblem proves that with --json a problem of the API is
// printed as it came, beside the sentence for people.
func TestProgramsGetTheProblem(t *testing.T) {
	t.Parallel()
	const problem = `{"type":"t","title":"There is no such runtime","status":404,"detail":"there is no record of this game",` +
		`"instance":"/x","code":"runtime_not_found","request_id":"r"}`
	s := newServer(t, map[string][]reply{"GET /runtimes/nope": {{http.StatusNotFound, problem}}})
	code, stdout, stderr := s.run(cli.Shell{}, "runtimes", "show", "nope", "--json")
	require.Equal(t, cli.ExitRefused, code)
	require.JSONEq(t, problem, stdout)
	require.Contains(t, stderr, "runtime_not_found")
	code, stdout, _ = s.run(cli.Shell{}, "runtimes", "show", "nope")
	require.Equal(t, cli.ExitRefused, code)
	require.Empty(t, stdout)
}

// TestOutputThatIsLost proves that a command whose output could not be written
// has failed, whatever the API said.
func TestOutputThatIsLost(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--json", "--limit=5"} {
		s := newServer(t, map[string][]reply{"GET /runtimes": {ok(`{"runtimes":[]}`)}, "GET /runtimes?limit=6": {ok(onePage)},
			"GET /runtimes?limit=101": {ok(onePage)}})
		code, _, stderr := s.run(cli.Shell{Full: true}, "runtimes", "list", flag)
		require.Equal(t, cli.ExitFailed, code, stderr)
		require.Contains(t, stderr, "no space left")
	}
}

// onePage is a page of one game.
const onePage = `{"runtimes":[{"game_id":"demo-1","status":"running","current_image_ref":"e:1","current_engine_version":"1.4.2",` +
	`"engine_health":"","next_generation_at":null,"skip_next_tick":false,"current_turn":0,"created_at":"2026-03-01T12:00:00Z",` +
	`"updated_at":"2026-03-01T12:00:00Z","started_at":null,"stopped_at":null,"finished_at":null}]}`

// TestEmptyArguments proves that an argument which is there and empty is a
// mistake of the command line, and that nobody is asked.
func TestEmptyArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"operations", ""}, {"runtimes", "show", ""}, {"runtimes", "delete", "--yes", ""}, {"patch", "", "1.4.3"},
		{"patches", "cancel", ""}, {"patches", "retry", "--reason", "x", ""}, {"patches", "abandon", "--reason", "x", ""},
		{"reconcile", "--mode", "enforce", ""}, {"versions", "add", "1.4.3", ""},
	} {
		code, stdout, stderr := newServer(t, nil).run(cli.Shell{}, args...)
		require.Equal(t, cli.ExitUsage, code, args)
		require.Contains(t, stderr, "is empty")
		require.Empty(t, stdout)
	}
}

// TestVersion proves that --version tells the build.
func TestVersion(t *testing.T) {
	t.Parallel()
	code, stdout, _ := cli.Shell{}.Run("--version")
	require.Zero(t, code)
	require.Regexp(t, `^gamemaster .*go1\.`, stdout)
}

func keyOf(t *testing.T, certificate tls.Certificate) []byte {
	t.Helper()
	text, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
}

// TestSilentServer proves that a command which reads from a server that takes
// connections and never answers ends within the bound of a read as one that is
// to be tried again, and that a person is told meanwhile for what it waits, and a
// program is not.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	// The bound of those who are told is far behind the notice, also on a busy
	// machine.
	for tells, bound := range map[bool]time.Duration{true: time.Second, false: 100 * time.Millisecond} {
		for _, args := range []string{"runtimes list", "patches show " + patchID, "versions list"} {
			shell := cli.Shell{Tells: tells, Reads: bound, NoticeAfter: 10 * time.Millisecond}
			code, stdout, stderr := shell.Run(append(strings.Fields(args), "--server", silent.URL, "--token", token)...)
			require.Equal(t, cli.ExitUnavailable, code, stderr)
			require.Empty(t, stdout)
			require.Contains(t, stderr, "no answer from "+silent.URL+": none within "+bound.String())
			require.Equal(t, tells, strings.HasPrefix(stderr, "no answer from "+silent.URL+" yet, waiting for up to "+bound.String()+"\n"), stderr)
			require.Equal(t, tells, strings.Count(stderr, "\n") == 2, stderr)
		}
	}
}
