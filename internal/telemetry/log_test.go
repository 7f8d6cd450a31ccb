package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	sdklog "go.temporal.io/sdk/log"

	"galaxy/gamemaster/internal/telemetry"
)

// TestLoggers proves the two formats, the level, and that the SDK's lines come
// out the same way.
func TestLoggers(t *testing.T) {
	var out bytes.Buffer
	logger := telemetry.NewLogger(&out, "json", slog.LevelInfo)
	logger.Debug("hidden")
	telemetry.ForTemporal(logger).Info("step", "game_id", "g")
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "g", line["game_id"])

	out.Reset()
	telemetry.NewLogger(&out, "text", slog.LevelInfo).Info("step", "game_id", "g")
	require.Contains(t, out.String(), "game_id=g")
}

// TestTemporalLines proves that the SDK's lines have our keys, each once, that a
// line about a game's run names the game, and that a logger which is given more
// leaves the one that it came from as it is.
func TestTemporalLines(t *testing.T) {
	var out bytes.Buffer
	line := func() map[string]any {
		t.Helper()
		var keys []string
		decoder := json.NewDecoder(bytes.NewReader(out.Bytes()))
		for depth := 0; decoder.More() || depth == 0; depth++ {
			word, err := decoder.Token()
			require.NoError(t, err)
			if text, ok := word.(string); ok && depth%2 == 1 {
				require.NotContains(t, keys, text, out.String())
				keys = append(keys, text)
			}
		}
		var read map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &read))
		out.Reset()
		delete(read, "time")
		return read
	}
	logger := telemetry.ForTemporal(telemetry.NewLogger(&out, "json", slog.LevelInfo))
	run := sdklog.With(logger, "WorkflowID", "patch-runtime/g-1", "RunID", "r", "ActivityType", "LoadRecord", "Attempt", 2)
	run.Warn("step", "Error", errors.New("away"), "game_id", "g-1", "own", 7)
	require.Equal(t, map[string]any{
		"level": "WARN", "msg": "step", "workflow_id": "patch-runtime/g-1", "game_id": "g-1", "run_id": "r",
		"activity": "LoadRecord", "attempt": 2.0, "err": "away", "own": 7.0,
	}, line())
	sdklog.With(run, "Attempt", 3).Info("again", "LocalActivityType", "TakeFence", "TraceID", "t")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "again", "workflow_id": "patch-runtime/g-1", "game_id": "g-1", "run_id": "r",
		"activity": "TakeFence", "attempt": 3.0, "trace_id": "t",
	}, line())
	run.Info("before")
	require.Equal(t, 2.0, line()["attempt"])
	run.Debug("hidden")
	require.Empty(t, out.String())
	logger.Error("watch", "WorkflowID", "reconcile-runtimes-2026")
	require.NotContains(t, line(), "game_id")
}

// TestLinesUnderASpan proves that a line says which span it was logged under, if
// any, whatever the logger was given before.
func TestLinesUnderASpan(t *testing.T) {
	var out bytes.Buffer
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	telemetry.NewLogger(&out, "json", slog.LevelInfo).With("a", 1).InfoContext(ctx, "line")
	require.Contains(t, out.String(), `"a":1,"trace_id":"01000000000000000000000000000000","span_id":"0200000000000000"`)
	out.Reset()
	telemetry.NewLogger(&out, "json", slog.LevelInfo).InfoContext(t.Context(), "line")
	require.NotContains(t, out.String(), "trace_id")
}
