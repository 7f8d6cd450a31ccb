package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

// TestPatchCommand proves the exit codes of `gamemaster patch` and that it
// tells the phases and the end.
func TestPatchCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_MANAGER_BUDGET=5s", "GAMEMASTER_SETTLE_TIME=1s")
	r.startWorker()
	shell := []string{"GAMEMASTER_SERVER=" + r.url, "GAMEMASTER_TOKEN=" + token}
	game := r.game()
	r.slowPatch(game, 2000)

	code, printed := runToEnd(t, shell, "patch", game, "1.4.3", "--reason", "by hand")
	require.Zero(t, code, printed)
	require.Contains(t, printed, "patching")
	require.Contains(t, printed, "1.4.2 -> 1.4.3")
	require.Equal(t, "by hand", r.audit(game)[0].Reason)
	require.EqualValues(t, "admin_cli", r.audit(game)[0].OpSource)

	code, printed = runToEnd(t, shell, "patch", game, "1.4.3")
	require.Zero(t, code, printed)
	require.Contains(t, printed, "nothing was recreated")

	for _, row := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		says    string
	}{
		{"refused", shell, []string{"patch", game, "1.5.0"}, 2, "semver_patch_only"},
		{"not a game id", shell, []string{"patch", "No/Such", "1.4.3"}, 2, "game_id"},
		{"wrong token", []string{shell[0], "GAMEMASTER_TOKEN=guessed"}, []string{"patch", game, "1.4.4"}, 2, "unauthorized"},
		{"nobody there", []string{"GAMEMASTER_SERVER=http://127.0.0.1:1"}, []string{"patch", game, "1.4.4"}, 75, "no answer"},
		{"not a URL", []string{"GAMEMASTER_SERVER=nowhere"}, []string{"patch", game, "1.4.4"}, 64, "nowhere"},
		{"no version", shell, []string{"patch", game}, 64, "version"},
	} {
		code, printed := runToEnd(t, row.environ, row.args...)
		require.Equal(t, row.code, code, "%s: %s", row.name, printed)
		require.Contains(t, printed, row.says, row.name)
	}

	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadGateway})
	code, printed = runToEnd(t, shell, "patch", game, "1.4.4")
	require.Equal(t, 1, code, printed)
	require.Contains(t, printed, "service_unavailable")
	require.Contains(t, printed, "container already on")

	// Without a terminal: each phase once, with what it does, and the end.
	code, printed = runToEnd(t, shell, "patch", game, "1.4.4", "--watch")
	require.Equal(t, 1, code, printed)
	require.Regexp(t, `(?m)^  patching       recreate on 1\.4\.4$`, printed)
	require.Equal(t, 1, strings.Count(printed, "  patching "), printed)
	require.NotContains(t, printed, "\x1b")
	code, printed = runToEnd(t, shell, "patches", "watch", "--game", game, "--timeout", "3s")
	require.Equal(t, 75, code, printed)
	require.Contains(t, printed, "stopped looking")
}

// TestRefusesToStart proves that a process which cannot work says which
// variable is at fault, all of them at once, and repeats no secret.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	database := stacktest.Database(t)
	good := (&rig{t: t, authFile: filepath.Join(t.TempDir(), "auth.yaml")})
	good.admit(everything())
	let := "GAMEMASTER_AUTH_FILE=" + good.authFile
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("tokens:\n  - name: ops\n    sha256: s3cret\n    scopes: [runtime:read]\n"), 0o600))
	certificates := filepath.Join(t.TempDir(), "certificates.yaml")
	require.NoError(t, os.WriteFile(certificates,
		[]byte("certificates:\n  - name: ops\n    dns_name: ops.example\n    scopes: [runtime:read]\n"), 0o600))
	for _, row := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		says    []string
	}{
		{"api without anything", nil, []string{"api"}, 2, []string{"DATABASE_URL is not set", "GAMEMASTER_AUTH_FILE is not set", "tokens, oidc or certificates"}},
		{"worker without anything", nil, []string{"worker"}, 2, []string{"DATABASE_URL is not set", "RTM_URL is not set"}},
		{"migrate without anything", nil, []string{"migrate", "up"}, 2, []string{"DATABASE_URL is not set"}},
		{
			"token instead of its digest",
			[]string{"DATABASE_URL=" + database, "GAMEMASTER_AUTH_FILE=" + bad},
			[]string{"api"}, 2, []string{"GAMEMASTER_AUTH_FILE", "tokens[0].sha256"},
		},
		{
			"certificates that nobody could show",
			[]string{"DATABASE_URL=" + database, "GAMEMASTER_AUTH_FILE=" + certificates},
			[]string{"api"}, 2, []string{"GAMEMASTER_AUTH_FILE", "--client-ca"},
		},
		{
			"no auth file there",
			[]string{"DATABASE_URL=" + database, "GAMEMASTER_AUTH_FILE=" + bad + ".none"},
			[]string{"api"}, 2, []string{"GAMEMASTER_AUTH_FILE"},
		},
		{
			"key without certificate",
			[]string{"DATABASE_URL=" + database, let},
			[]string{"api", "--tls-key", bad}, 2, []string{"--tls-cert"},
		},
		{
			"no database there",
			[]string{"DATABASE_URL=postgres://u:s3cret@127.0.0.1:1/d", let},
			[]string{"api"}, 1, []string{"DATABASE_URL"},
		},
		{
			"unreadable Runtime Manager",
			[]string{"DATABASE_URL=" + database, "RTM_URL=http://u:s3cret@rtm:8090"},
			[]string{"worker"}, 2, []string{"RTM_URL"},
		},
		{
			"no Temporal there",
			[]string{"DATABASE_URL=" + database, "RTM_URL=http://rtm:8090", "TEMPORAL_ADDRESS=127.0.0.1:1"},
			[]string{"worker"}, 1, []string{"temporal at 127.0.0.1:1 (TEMPORAL_ADDRESS)"},
		},
		{
			"taken port",
			[]string{"DATABASE_URL=" + database, let},
			[]string{"api", "--addr", taken.Addr().String()}, 1, []string{"api: address " + taken.Addr().String() + " is already in use"},
		},
		{"simulator's port taken", nil, []string{"rtmsim", "--addr", taken.Addr().String()}, 1, []string{"rtmsim: address " + taken.Addr().String()}},
		{"dev for strangers", nil, []string{"dev", "--api", "0.0.0.0:18080"}, 2, []string{"--api", "loopback"}},
		{"dev with one address twice", nil, []string{"dev", "--ui", "127.0.0.1:7233"}, 2, []string{"--temporal and --ui are both"}},
		{"simulator for strangers", nil, []string{"rtmsim", "--addr", "0.0.0.0:0"}, 1, []string{"loopback"}},
		{"no such command", nil, []string{"pacth"}, 64, []string{"pacth"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			code, printed := runToEnd(t, row.environ, row.args...)
			require.Equal(t, row.code, code, printed)
			for _, says := range row.says {
				require.Contains(t, printed, says)
			}
			require.NotContains(t, printed, "s3cret")
		})
	}
}

// TestReadyz proves that readiness names the part that is missing, and why on
// the admin listener only.
func TestReadyz(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ready := r.call(http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusOK, ready.status, ready.body)

	checks := func(environ ...string) map[string]any {
		without := newRigWithoutAPI(t, append(environ, "GAMEMASTER_API_ADMIN=127.0.0.1:0")...)
		p := start(t, without.environ, "api", "--addr", "127.0.0.1:0")
		admin := fmt.Sprintf("http://%s", p.awaitLog("admin pages are listening")["addr"])
		without.url = fmt.Sprintf("http://%s", p.awaitLog("api is listening")["addr"])
		require.Equal(t, http.StatusOK, without.call(http.MethodGet, "/healthz", "").status)
		stranger := without.call(http.MethodGet, "/readyz", "")
		require.Equal(t, http.StatusServiceUnavailable, stranger.status)
		for _, verdict := range stranger.body["checks"].(map[string]any) {
			require.Contains(t, []any{"ok", "failing"}, verdict)
		}
		without.url = admin
		answer := without.call(http.MethodGet, "/readyz", "")
		require.Equal(t, http.StatusServiceUnavailable, answer.status)
		return answer.body["checks"].(map[string]any)
	}
	// The last of two settings counts.
	noTemporal := checks("TEMPORAL_ADDRESS=127.0.0.1:1")
	require.Contains(t, noTemporal["temporal"], "127.0.0.1:1")
	require.Equal(t, "ok", noTemporal["postgres"])
	noSchema := checks("DATABASE_URL=" + stacktest.EmptyDatabase(t))
	require.Contains(t, noSchema["migrations"], "migrate up")
	noNamespace := checks("TEMPORAL_NAMESPACE=nowhere")
	require.Contains(t, noNamespace["temporal"], "nowhere")
}

// TestWorkerProbes proves that a worker names the part that is missing to it.
func TestWorkerProbes(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t, "GAMEMASTER_WORKER_PROBES=127.0.0.1:0")
	probe := func() answer {
		r.url = fmt.Sprintf("http://%s", r.startWorker().awaitLog("probes are listening")["addr"])
		return r.call(http.MethodGet, "/readyz", "")
	}
	require.Equal(t, http.StatusOK, probe().status)
	r.environ = append(r.environ, "RTM_URL=http://127.0.0.1:1")
	missing := probe()
	require.Equal(t, http.StatusServiceUnavailable, missing.status)
	require.Contains(t, missing.body["checks"].(map[string]any)["runtime_manager"], "runtime manager unavailable")
}

// TestWorkerAdmin proves that a worker shows profiles on its admin listener only,
// and there all that its probes show as well.
func TestWorkerAdmin(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t, "GAMEMASTER_WORKER_PROBES=127.0.0.1:0", "GAMEMASTER_WORKER_ADMIN=127.0.0.1:0")
	worker := r.startWorker()
	probes, admin := worker.awaitLog("probes are listening")["addr"], worker.awaitLog("admin pages are listening")["addr"]
	for _, row := range []struct {
		addr   any
		path   string
		status int
	}{
		{admin, "/debug/pprof/", http.StatusOK},
		{admin, "/debug/pprof/heap", http.StatusOK},
		{admin, "/metrics", http.StatusOK},
		{admin, "/readyz", http.StatusOK},
		{probes, "/metrics", http.StatusOK},
		{probes, "/debug/pprof/", http.StatusNotFound},
	} {
		response, err := http.Get(fmt.Sprintf("http://%s%s", row.addr, row.path))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, row.status, response.StatusCode, "%s", row.path)
	}
}

// TestMigrateCommand proves that several at once do not collide, and that the
// second time there is nothing to do.
func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	environ := []string{"DATABASE_URL=" + stacktest.EmptyDatabase(t)}
	_, before := runToEnd(t, environ, "migrate", "status")
	require.Contains(t, before, "pending")
	var all []*process
	for range 4 {
		all = append(all, start(t, environ, "migrate", "up"))
	}
	applied := 0
	for _, p := range all {
		require.Zero(t, p.exitCode(), p.printed())
		if p.printed() != "nothing to apply, the schema is up to date\n" {
			applied++
		}
	}
	require.Equal(t, 1, applied)
	code, after := runToEnd(t, environ, "migrate", "status")
	require.Zero(t, code)
	require.NotContains(t, after, "pending")
}
