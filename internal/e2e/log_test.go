package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// logged are the lines that a process has logged, those that say what.
func (p *process) logged(t *testing.T, what string) (lines []map[string]any) {
	t.Helper()
	for line := range strings.Lines(p.printed()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), "%s", line)
		if strings.Contains(line, what) {
			lines = append(lines, entry)
		}
	}
	return lines
}

// TestLogs proves that every line of either process about a patch carries its
// ids under the same keys, the SDK's own lines among them, and that lines and
// spans find each other.
func TestLogs(t *testing.T) {
	t.Parallel()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	r := newRigWithoutAPI(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+newCollector(t).url)
	door, worker := r.startAPI(), r.startWorker()
	game := r.game()
	// The SDK logs that the step failed and is tried again.
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusServiceUnavailable, Times: 1})
	answer := r.patch(game, "1.4.3", "Traceparent: 00-"+trace+"-00f067aa0ba902b7-01")
	require.Equal(t, http.StatusOK, answer.status, answer.body)

	lines := worker.logged(t, game)
	said := map[any]bool{}
	for _, line := range lines {
		said[line["msg"]] = true
		for key, want := range map[string]any{
			"game_id": game, "workflow_id": "patch-runtime/" + game, "run_id": answer.body["run_id"],
		} {
			require.Equal(t, want, line[key], "%s of %v", key, line)
		}
		require.Contains(t, line, "activity")
		require.Contains(t, line, "attempt")
	}
	require.True(t, said["Activity error."], "%v", lines)
	require.True(t, said["patch ended"], "%v", lines)
	ended := worker.logged(t, "patch ended")
	require.Equal(t, answer.body["patch_id"], ended[0]["patch_id"])
	require.Equal(t, trace, ended[0]["trace_id"])
	require.NotContains(t, worker.printed(), "WorkflowID")

	var requests []map[string]any
	require.Eventually(t, func() bool {
		requests = door.logged(t, game)
		return len(requests) > 0
	}, patience, waitTick)
	for _, line := range requests {
		for key, want := range map[string]any{
			"game_id": game, "workflow_id": "patch-runtime/" + game, "run_id": answer.body["run_id"],
			"patch_id": answer.body["patch_id"], "trace_id": trace,
		} {
			require.Equal(t, want, line[key], "%s of %v", key, line)
		}
	}
}
