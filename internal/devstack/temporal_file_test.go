package devstack_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"galaxy/gamemaster/internal/devstack"
)

// Runs that have ended and runs that are open stay in the lists through a restart:
// in a new directory, where what lists need is in a file of its own, and in one of
// before, whose one file has both and goes on so. In neither does a run get lost
// between the two.
func TestTemporalKeepsListsThroughRestart(t *testing.T) {
	const history, visibility = "temporal.sqlite", "temporal.sqlite_visibility"
	for name, test := range map[string]struct {
		begin func(t *testing.T, dir string)
		files []string
	}{
		"new directory": {func(*testing.T, string) {}, []string{history, visibility}},
		// What is in a file that has been begun comes from a server of before.
		"of before": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, history), nil, 0o600))
		}, []string{history}},
	} {
		t.Run(name, func(t *testing.T) {
			options := devstack.TemporalOptions{Dir: t.TempDir(), Headless: true, SearchAttributes: map[string]string{"GameID": "Keyword"}}
			test.begin(t, options.Dir)
			server := startTemporal(t, options)
			c := temporalClient(t, server, "default")
			stop := runTemporalWorker(t, c)
			for _, id := range []string{"ended-1", "ended-2"} {
				run, err := c.ExecuteWorkflow(t.Context(), temporalStart(id, keyGame.ValueSet("go")), greet, "list")
				require.NoError(t, err)
				require.NoError(t, run.Get(t.Context(), nil))
			}
			_, err := c.ExecuteWorkflow(t.Context(), temporalStart("open", keyGame.ValueSet("go")), awaitSignal)
			require.NoError(t, err)
			require.Eventually(t, func() bool { // a first task cut off in the middle would be taken up again only after ten seconds
				described, err := c.DescribeWorkflowExecution(t.Context(), "open", "")
				return err == nil && described.WorkflowExecutionInfo.HistoryLength >= 4
			}, temporalPatience, 10*time.Millisecond)
			requireFound(t, c, `GameID = "go"`, "ended-1", "ended-2", "open")
			stop()
			require.NoError(t, server.Close())
			require.Equal(t, test.files, databaseFiles(t, options.Dir))

			server = startTemporal(t, options)
			c = temporalClient(t, server, "default")
			requireFound(t, c, `GameID = "go" and ExecutionStatus = "Completed"`, "ended-1", "ended-2")
			requireFound(t, c, `GameID = "go" and ExecutionStatus = "Running"`, "open")
			described, err := c.DescribeWorkflowExecution(t.Context(), "ended-2", "")
			require.NoError(t, err, "what is listed is there")
			require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, described.WorkflowExecutionInfo.Status)
			runTemporalWorker(t, c)
			require.NoError(t, c.SignalWorkflow(t.Context(), "open", "", "go on", nil))
			requireFound(t, c, `GameID = "go" and ExecutionStatus = "Completed"`, "ended-1", "ended-2", "open")
			require.Equal(t, test.files, databaseFiles(t, options.Dir))
		})
	}
}

// A directory that has lost the file of its runs, but not that of its lists, is
// refused with the way out.
func TestTemporalNamesALostFile(t *testing.T) {
	dir := t.TempDir()
	lists := filepath.Join(dir, "temporal.sqlite_visibility")
	require.NoError(t, os.WriteFile(lists, nil, 0o600))
	_, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Dir: dir, Headless: true})
	require.ErrorContains(t, err, lists+", which lists its runs, is left: bring it back, or remove that one too")
	require.NoError(t, os.Remove(lists))
	require.NoError(t, startTemporal(t, devstack.TemporalOptions{Dir: dir, Headless: true}).Close())
}

// databaseFiles are the databases in a directory, without what SQLite and the
// server's lock have beside them.
func databaseFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		switch filepath.Ext(entry.Name()) {
		case ".sqlite", ".sqlite_visibility":
			names = append(names, entry.Name())
		}
	}
	return names
}
