package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

// historyAnswer is what the API says of a run whose history is in the replay
// corpus.
func historyAnswer(t *testing.T, name, replayError string) (answer, history string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "workflows", "testdata", "histories", name+".json"))
	require.NoError(t, err)
	run := `{"run_id":"r1","workflow_id":"patch-runtime/demo-1","workflow_type":"PatchRuntime","status":"Completed","source":"export","events":1,
		"closed_at":"2026-03-01T12:00:30Z","exported_at":"2026-03-01T12:01:00Z","replay_error":"` + replayError + `"}`
	return `{"patch_id":"` + patchID + `","run":` + run + `,"runs":[` + run + `,{"run_id":"r0","workflow_id":"w","workflow_type":"PatchRuntime",
		"status":"Terminated","source":"export","events":1,"closed_at":"2026-03-01T12:00:00Z"}],
		"interventions":[{"run_id":"r0","at":"2026-03-01T11:59:58Z","action":"cancel","by":"ann","reason":"wrong\\u001b game"},
		{"run_id":"r0","at":"2026-03-01T11:59:59.5Z","action":"terminate","by":"bob@host","reason":"it hung"},
		{"run_id":"r1","at":"2026-03-01T12:00:01Z","action":"reset","by":"","reason":"once more"},
		{"run_id":"r1","at":"2026-03-01T12:00:02Z","action":"signal","by":"bob@host","reason":""}],"history":` + string(text) + `}`, string(text)
}

// TestPatchesHistory proves that the timeline tells each step with its tries and
// what went wrong, operators' decisions and the end; that what people did stands
// before it, with who and why; that other runs are named; and that --json prints the events as they are.
func TestPatchesHistory(t *testing.T) {
	t.Parallel()
	path := "GET /patches/" + patchID + "/history"
	for name, says := range map[string][]string{
		"success":              {"started PatchRuntime", "LoadRecord done", "PatchContainer done", "completed", "replays       yes"},
		"service_unavailable":  {"PatchContainer failed", "attempts; service_unavailable", "RestoreContainer done", "failed"},
		"needs_operator_retry": {"RestoreContainer failed", "2 attempts; service_unavailable", "decision retry", "ann: manager is back", "RestoreContainer done"},
		"cancelled":            {"asked to stop", "cancelled"},
	} {
		answer, history := historyAnswer(t, name, "")
		s := newServer(t, map[string][]reply{path: {ok(answer)}, path + "?run_id=r1": {ok(answer)}})
		code, stdout, stderr := s.run(cli.Shell{}, "patches", "history", patchID)
		require.Zero(t, code, stderr)
		require.NotContains(t, stdout, "\u001b")
		for _, text := range append(says, "another run: --run r0, Terminated at 2026-03-01 12:00:00Z") {
			require.Contains(t, stdout, text, name)
		}
		require.NotContains(t, stdout, "--run r1")
		require.NotContains(t, stdout, "its end is not told", "every step has ended")
		for _, text := range []string{
			"2026-03-01 11:59:58.000Z       cancel requested by ann: wrong", "2026-03-01 11:59:59.500Z       terminated by bob@host: it hung (run r0)\n",
			"2026-03-01 12:00:01.000Z       reset: once more\n", "2026-03-01 12:00:02.000Z       signal by bob@host\n",
		} {
			require.Contains(t, stdout, text, name)
		}
		code, stdout, stderr = s.run(cli.Shell{}, "patches", "history", patchID, "--json", "--run", "r1")
		require.Zero(t, code, stderr)
		require.JSONEq(t, history, stdout)
	}
	answer, _ := historyAnswer(t, "success", "another step")
	s := newServer(t, map[string][]reply{path: {ok(strings.Replace(answer, `"LoadRecord"`, `"Load\u001b[31m"`, 1))}})
	code, stdout, stderr := s.run(cli.Shell{}, "patches", "history", patchID)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "replays       no: another step")
	require.NotContains(t, stdout, "\u001b", "what others wrote does not move the cursor")
	require.True(t, json.Valid([]byte(answer)))

	s = newServer(t, map[string][]reply{path: {problem(404, "patch_not_found", "no history is known")}})
	code, _, stderr = s.run(cli.Shell{}, "patches", "history", patchID)
	require.Equal(t, cli.ExitRefused, code)
	require.Contains(t, stderr, "patch_not_found")
}

// TestHistoryTellsWhatWasUnderWay proves that a step which an open run does, or
// which a terminated one had under way, is told though it has no end.
func TestHistoryTellsWhatWasUnderWay(t *testing.T) {
	t.Parallel()
	answer, text := historyAnswer(t, "success", "")
	var whole, cut struct {
		Events []json.RawMessage `json:"events"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &whole))
	for _, event := range whole.Events {
		cut.Events = append(cut.Events, event)
		if strings.Contains(string(event), `"EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"`) && strings.Contains(string(event), `"PatchContainer"`) {
			break
		}
	}
	require.Less(t, len(cut.Events), len(whole.Events))
	begun, err := json.Marshal(cut)
	require.NoError(t, err)
	s := newServer(t, map[string][]reply{"GET /patches/" + patchID + "/history": {
		ok(strings.NewReplacer(text, string(begun), `"status":"Completed"`, `"status":"Paused"`, `"closed_at":"2026-03-01T12:00:30Z",`, "").Replace(answer)),
	}})
	code, stdout, stderr := s.run(cli.Shell{}, "patches", "history", patchID)
	require.Zero(t, code, stderr)
	require.Regexp(t, `(?m)^2.*Z +\d+  PatchContainer began +its end is not told$`, stdout)
	require.Equal(t, 1, strings.Count(stdout, "its end is not told"))
	require.Regexp(t, `(?m)^is +Paused$`, stdout)
	require.NotContains(t, stdout, "closed as")
}

// TestPrune proves that histories of before are dropped and no others, and that an
// age within a retention is refused.
func TestPrune(t *testing.T) {
	url := stacktest.Database(t)
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `INSERT INTO run_histories
		SELECT 'r' || n, 'p', 'w', 'PatchRuntime', 'Completed', now(), now() - n * interval '100 days', 1, 1, 'x', now(), '' FROM generate_series(0, 3) AS n`)
	require.NoError(t, err)
	shell := cli.Shell{Environ: map[string]string{"DATABASE_URL": url}}
	code, _, stderr := shell.Run("prune", "--histories-older-than", "24h")
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, stderr, "2160h")
	code, stdout, stderr := shell.Run("prune", "--histories-older-than", "4000h")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "dropped 2 histories")
	var left int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM run_histories").Scan(&left))
	require.Equal(t, 2, left)
}
