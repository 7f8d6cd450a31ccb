package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// TestClockFinding proves that a clock is judged by what it said and not by how
// long the answer took.
func TestClockFinding(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, row := range []struct {
		name         string
		there, after time.Duration
		ok           bool
		says         string
	}{
		{"the same", time.Millisecond, 2 * time.Millisecond, true, "within 2ms"},
		{"a slow answer", 4 * time.Second, 5 * time.Second, true, "within 5s"},
		{"within the bound", -2 * time.Second, time.Millisecond, true, "within 2.001s"},
		{"ahead", 3 * time.Second, time.Millisecond, false, "2.999s ahead of"},
		{"behind", -3 * time.Second, time.Millisecond, false, "3s behind"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ok, seen, mend := cli.ClockFinding(asked, asked.Add(row.there), asked.Add(row.after))
			require.Equal(t, row.ok, ok, seen)
			require.Contains(t, seen, row.says)
			require.Equal(t, row.ok, mend == "")
		})
	}
}

// seen is a finding of doctor.
type seen struct{ Check, Verdict, Seen, Mend string }

// examined runs doctor for a worker that has that environment and no Temporal,
// and returns what it found by the name of the check.
func examined(t *testing.T, environ map[string]string) map[string]seen {
	t.Helper()
	environ["TEMPORAL_ADDRESS"] = "127.0.0.1:1"
	_, stdout, stderr := cli.Shell{Environ: environ}.Run("doctor", "--for", "worker", "--json")
	var said struct{ Checks []seen }
	require.NoError(t, json.Unmarshal([]byte(stdout), &said), stdout+stderr)
	found := map[string]seen{}
	for _, check := range said.Checks {
		found[check.Check] = check
	}
	return found
}

// TestDoctorKnowsRuntimeManager proves that whatever else speaks HTTP at RTM_URL
// is told from Runtime Manager, with its mend, and that Runtime Manager is not.
func TestDoctorKnowsRuntimeManager(t *testing.T) {
	t.Parallel()
	const absent = `{"error":{"code":"runtime_not_found","message":"no container"}}`
	for _, row := range []struct {
		name          string
		status        int
		body          string
		verdict, mend string
		fencing       string
	}{
		{"runtime manager", http.StatusNotFound, absent, "ok", "", "ok"},
		{"the API of gamemaster", http.StatusUnauthorized, `{"code":"unauthorized"}`, "FAIL", "credentials", "skip"},
		{"one that lets nobody in", http.StatusForbidden, absent, "FAIL", "credentials", "skip"},
		{"an admin listener", http.StatusNotFound, "404 page not found", "FAIL", "something else answers", "skip"},
		{"a page", http.StatusOK, "<!doctype html>", "FAIL", "something else answers", "skip"},
		{"a proxy with nothing behind it", http.StatusBadGateway, "", "FAIL", "proxy", "skip"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			}))
			defer there.Close()
			found := examined(t, map[string]string{"RTM_URL": there.URL})
			require.Equal(t, row.verdict, found["runtime manager"].Verdict, "%v", found)
			require.Contains(t, found["runtime manager"].Mend, row.mend)
			require.Equal(t, row.fencing, found["fencing"].Verdict, "%v", found)
		})
	}
}

// TestDoctorTellsEveryFault proves that each fault of the environment is told to
// its end, however many there are, in a line of its own.
func TestDoctorTellsEveryFault(t *testing.T) {
	t.Parallel()
	environ := map[string]string{"TEMPORAL_ADDRESS": "127.0.0.1:1"}
	wrong := []string{
		"GAMEMASTER_SETTLE_TIME", "GAMEMASTER_WATCH_INTERVAL", "GAMEMASTER_EXPORT_INTERVAL", "GAMEMASTER_WATCH_HEAL",
		"GAMEMASTER_LOG_LEVEL", "GAMEMASTER_LOG_FORMAT",
	}
	for _, name := range wrong {
		environ[name] = "what-nobody-can-read-" + strings.Repeat("x", 60)
	}
	_, stdout, _ := cli.Shell{Environ: environ}.Run("doctor", "--for", "worker")
	for _, name := range append(wrong, "DATABASE_URL", "RTM_URL") {
		require.Regexp(t, `(?m)^(FAIL  environment| {23}) +.*`+name+`.*[^…]$`, stdout)
	}
	require.Regexp(t, `(?m)^ +mend: set what is named`, stdout)
}
