package worker_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	sdklog "go.temporal.io/sdk/log"

	"galaxy/gamemaster/worker"
)

// TestReplayer proves that what a patch or a reconciliation left replays as it is
// stored, and that a history whose steps are others, whose workflow is unknown or
// that cannot be read is told.
func TestReplayer(t *testing.T) {
	replayer := worker.NewReplayer(sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	load := func(name string) []byte {
		t.Helper()
		text, err := os.ReadFile(filepath.Join("..", "workflows", "testdata", "histories", name+".json"))
		require.NoError(t, err)
		return text
	}
	for _, name := range []string{"success", "conflict", "cancelled", "needs_operator_retry", "reset_success_2", "reconcile_enforce"} {
		require.NoError(t, replayer.Replay(load(name)), name)
	}
	success := load("success")
	for says, document := range map[string][]byte{
		"nondeterministic": bytes.ReplaceAll(success, []byte(`"PatchContainer"`), []byte(`"RestoreContainer"`)),
		"read the history": success[:len(success)/2],
		"Dance":            bytes.ReplaceAll(success, []byte(`"PatchRuntime"`), []byte(`"Dance"`)),
	} {
		require.ErrorContains(t, replayer.Replay(document), says)
	}
}
