package config_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/domain/patch"
)

// TestLoad proves that values arrive and that what is left out has its default.
func TestLoad(t *testing.T) {
	got, err := config.Load(map[string]string{
		"DATABASE_URL": "postgres://u@h/d", "RTM_URL": "http://rtm:8090",
		"GAMEMASTER_UNDO_BUDGET": "5m", "GAMEMASTER_LOG_LEVEL": "debug",
	}, config.NeedDatabase, config.NeedRTM)
	require.NoError(t, err)
	require.Equal(t, "gamemaster", got.TaskQueue)
	require.Equal(t, slog.LevelDebug, got.LogLevel)
	require.Equal(t, patch.Budgets{Undo: patch.Duration(5 * time.Minute)}, got.Budgets())
}

// TestLoadReportsEverything proves that all faults come together, each by the
// variable's name, and none with a secret.
func TestLoadReportsEverything(t *testing.T) {
	_, err := config.Load(map[string]string{
		"RTM_URL":                   "hunter2@nowhere",
		"GAMEMASTER_STORE_BUDGET":   "soon",
		"GAMEMASTER_MANAGER_BUDGET": "48h",
		"GAMEMASTER_UNDO_BUDGET":    "1ms",
		"GAMEMASTER_LOG_LEVEL":      "loud",
		"GAMEMASTER_LOG_FORMAT":     "xml",
	}, config.NeedDatabase, config.NeedRTM, config.NeedAuth)
	for _, name := range []string{
		"DATABASE_URL is not set", "RTM_URL:", "GAMEMASTER_AUTH_FILE is not set", "GAMEMASTER_STORE_BUDGET:",
		"GAMEMASTER_MANAGER_BUDGET:", "GAMEMASTER_UNDO_BUDGET:", "GAMEMASTER_LOG_LEVEL:", "GAMEMASTER_LOG_FORMAT:",
	} {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, err.Error(), "hunter2")
}
