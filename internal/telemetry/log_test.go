package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

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
