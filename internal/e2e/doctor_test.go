package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

// diagnosis is what doctor printed with --json.
type diagnosis struct {
	OK     bool `json:"ok"`
	Checks []struct{ Check, Verdict, Seen, Mend string }
}

// doctor runs the command in the rig's environment, with more of it, and returns
// its exit code and findings by name.
func (r *rig) doctor(environ ...string) (code int, findings map[string]struct{ Check, Verdict, Seen, Mend string }) {
	r.t.Helper()
	code, printed := runToEnd(r.t, append(r.environ, environ...), "doctor", "--json")
	var d diagnosis
	// Behind the document is the error's line.
	require.NoError(r.t, json.NewDecoder(strings.NewReader(printed)).Decode(&d), printed)
	findings = map[string]struct{ Check, Verdict, Seen, Mend string }{}
	for _, f := range d.Checks {
		findings[f.Check] = f
	}
	require.Equal(r.t, code == 0, d.OK)
	return code, findings
}

// TestDoctorFindsNothing proves that a whole installation passes every check, and
// that the same is shown to people.
func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t, "GAMEMASTER_WATCH_INTERVAL=1h", "GAMEMASTER_EXPORT_INTERVAL=1h")
	r.startWorker()
	require.Eventually(t, func() bool {
		code, _ := r.doctor()
		return code == 0
	}, patience, waitTick, "the worker never polled")
	code, findings := r.doctor()
	require.Zero(t, code)
	for _, name := range []string{
		"environment", "database", "migrations", "clock", "temporal", "namespace", "search attributes",
		"workflow workers", "activity workers", "watch", "export", "runtime manager", "fencing", "auth file",
	} {
		require.Equal(t, "ok", findings[name].Verdict, "%s: %v", name, findings[name])
		require.Empty(t, findings[name].Mend)
	}
	require.Len(t, findings, 14)
	require.Contains(t, findings["fencing"].Seen, "knows fencing numbers")
	r.simulator.SetFencing(false)
	_, findings = r.doctor()
	require.Contains(t, findings["fencing"].Seen, "knows no fencing numbers")
	code, printed := runToEnd(t, r.environ, "doctor", "--for", "worker")
	require.Zero(t, code)
	require.Contains(t, printed, "ok    migrations")
	require.NotContains(t, printed, "auth file")
}

// TestDoctorNamesEachFault proves of every fault which checks fail by it, what
// the mend is, that the others go on, and that no secret is told.
func TestDoctorNamesEachFault(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	closed := closedAddress(t)
	broken := filepath.Join(t.TempDir(), "auth.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("tokens:\n  - token: "+secret+"\n"), 0o600))
	for _, row := range []struct {
		name    string
		environ []string
		before  func(*rig)
		failed  string
		mend    string
		skipped string
	}{
		{name: "no database", environ: []string{"DATABASE_URL=postgres://gm:" + secret + "@" + closed + "/gm"},
			failed: "database", mend: "host and the port", skipped: "migrations"},
		{name: "database URL unreadable", environ: []string{"DATABASE_URL=postgres://gm:" + secret + "@:::/gm"},
			failed: "database", mend: "DATABASE_URL", skipped: "clock"},
		{name: "database missing", environ: []string{"PGDATABASE=no_such_database"}, before: withoutDatabaseName,
			failed: "database", mend: "createdb", skipped: "clock"},
		{name: "variable missing", environ: []string{"DATABASE_URL="}, failed: "environment", mend: "set what is named", skipped: "migrations"},
		{name: "migration missing", before: func(r *rig) {
			r.exec("DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)")
		}, failed: "migrations", mend: "gamemaster migrate up"},
		{name: "temporal away", environ: []string{"TEMPORAL_ADDRESS=" + closed}, failed: "temporal", mend: "TEMPORAL_ADDRESS", skipped: "namespace"},
		{name: "no namespace", environ: []string{"TEMPORAL_NAMESPACE=nowhere"}, failed: "namespace",
			mend: "temporal operator namespace create --namespace nowhere", skipped: "watch"},
		{name: "no worker", failed: "activity workers", mend: "gamemaster worker"},
		{name: "no watch", environ: []string{"GAMEMASTER_WATCH_INTERVAL=5m"}, failed: "watch", mend: "gamemaster worker"},
		{name: "no export", environ: []string{"GAMEMASTER_EXPORT_INTERVAL=1m"}, failed: "export", mend: "gamemaster worker"},
		{name: "runtime manager away", environ: []string{"RTM_URL=http://" + closed}, failed: "runtime manager", mend: "RTM_URL", skipped: "fencing"},
		{name: "runtime manager with a password", environ: []string{"RTM_URL=http://gm:" + secret + "@" + closed}, failed: "runtime manager", mend: "RTM_URL"},
		{name: "auth file broken", environ: []string{"GAMEMASTER_AUTH_FILE=" + broken}, failed: "auth file", mend: "gamemaster token hash"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRigWithoutAPI(t)
			if row.before != nil {
				row.before(r)
			}
			code, findings := r.doctor(row.environ...)
			require.Equal(t, 1, code)
			require.Equal(t, "FAIL", findings[row.failed].Verdict, "%v", findings)
			require.Contains(t, findings[row.failed].Mend, row.mend)
			if row.skipped != "" {
				require.Equal(t, "skip", findings[row.skipped].Verdict, "%v", findings)
			}
			require.NotContains(t, fmt.Sprint(findings), secret)
			for name, f := range findings {
				// No worker runs in any of these.
				if name != row.failed && !strings.HasSuffix(name, "workers") {
					require.NotEqual(t, "FAIL", f.Verdict, "%v", f)
				}
			}
		})
	}
}

// TestDoctorNamesMissingSearchAttributes proves that a namespace without them
// fails, and that the mend is the command which makes them.
func TestDoctorNamesMissingSearchAttributes(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	const namespace = "doctor-bare"
	_, err := r.temporal.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		// Temporal learns of a new namespace within seconds.
		_, findings := r.doctor("TEMPORAL_NAMESPACE=" + namespace)
		return findings["namespace"].Verdict == "ok" && findings["search attributes"].Verdict == "FAIL" &&
			strings.Contains(findings["search attributes"].Mend, "search-attribute create --namespace "+namespace+" --name ") &&
			strings.Contains(findings["search attributes"].Mend, " --name GameId --type Keyword") &&
			strings.Contains(findings["search attributes"].Seen, "GameId is missing")
	}, patience, waitTick)
}

// TestDoctorNamesAPausedWatch proves that a paused schedule is told, with the
// note of who paused it.
func TestDoctorNamesAPausedWatch(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t, "GAMEMASTER_WATCH_INTERVAL=1h")
	r.startWorker()
	require.Eventually(t, func() bool {
		_, findings := r.doctor()
		return findings["watch"].Verdict == "ok"
	}, patience, waitTick)
	require.NoError(t, r.schedule().Pause(t.Context(), client.SchedulePauseOptions{Note: "hands off"}))
	_, findings := r.doctor()
	require.Equal(t, "FAIL", findings["watch"].Verdict)
	require.Contains(t, findings["watch"].Seen, "hands off")
	require.Contains(t, findings["watch"].Mend, "--unpause --schedule-id "+r.schedule().GetID())
}

// withoutDatabaseName leaves the name of the database to PGDATABASE.
func withoutDatabaseName(r *rig) {
	i := slices.IndexFunc(r.environ, func(variable string) bool { return strings.HasPrefix(variable, "DATABASE_URL=") })
	parsed, err := url.Parse(strings.TrimPrefix(r.environ[i], "DATABASE_URL="))
	require.NoError(r.t, err)
	parsed.Path = ""
	r.environ[i] = "DATABASE_URL=" + parsed.String()
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
