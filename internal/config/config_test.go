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
	require.Equal(t, 5*time.Minute, got.WatchInterval)
	require.Empty(t, got.WatchHeal)
}

// TestLoadExport proves that the interval of the export is read, that there is one
// when nobody says anything, and that one that is too short is refused.
func TestLoadExport(t *testing.T) {
	for _, row := range []struct{ interval, fault string }{
		{interval: "0"}, {interval: "10s"}, {interval: "1h"},
		{interval: "9s", fault: "GAMEMASTER_EXPORT_INTERVAL: 9s, want at least 10s"},
		{interval: "-5m", fault: "GAMEMASTER_EXPORT_INTERVAL: -5m0s"},
	} {
		got, err := config.Load(map[string]string{"GAMEMASTER_EXPORT_INTERVAL": row.interval})
		if row.fault != "" {
			require.ErrorContains(t, err, row.fault)
			continue
		}
		require.NoError(t, err, row)
		want, err := time.ParseDuration(row.interval)
		require.NoError(t, err)
		require.Equal(t, want, got.ExportInterval)
	}
	got, err := config.Load(nil)
	require.NoError(t, err)
	require.Equal(t, time.Minute, got.ExportInterval)
}

// TestLoadWorkerLimits proves that a worker's limits are read, and that one which
// no worker could mean is refused by its name.
func TestLoadWorkerLimits(t *testing.T) {
	for _, name := range []string{"GAMEMASTER_WORKER_SLOTS", "GAMEMASTER_WORKER_CACHE"} {
		for _, bad := range []string{"-1", "100001", "many"} {
			_, err := config.Load(map[string]string{name: bad})
			require.ErrorContains(t, err, name+":", bad)
		}
	}
	got, err := config.Load(map[string]string{"GAMEMASTER_WORKER_SLOTS": "3000", "GAMEMASTER_WORKER_CACHE": "1"})
	require.NoError(t, err)
	require.Equal(t, [2]int{3000, 1}, [2]int{got.WorkerSlots, got.WorkerCache})
}

// TestLoadWatch proves which settings of the watch are taken.
func TestLoadWatch(t *testing.T) {
	for _, row := range []struct{ interval, heal, fault string }{
		{interval: "0"}, {interval: "10s", heal: "enforce"}, {interval: "24h"},
		{interval: "9s", fault: "GAMEMASTER_WATCH_INTERVAL: 9s, want at least 10s"},
		{interval: "-5m", fault: "GAMEMASTER_WATCH_INTERVAL: -5m0s"},
		{interval: "often", fault: "GAMEMASTER_WATCH_INTERVAL:"},
		{interval: "5m", heal: "adopt", fault: `GAMEMASTER_WATCH_HEAL: "adopt"`},
	} {
		got, err := config.Load(map[string]string{
			"GAMEMASTER_WATCH_INTERVAL": row.interval, "GAMEMASTER_WATCH_HEAL": row.heal,
		})
		if row.fault != "" {
			require.ErrorContains(t, err, row.fault)
			continue
		}
		require.NoError(t, err, row)
		want, err := time.ParseDuration(row.interval)
		require.NoError(t, err)
		require.Equal(t, want, got.WatchInterval)
		require.Equal(t, patch.Mode(row.heal), got.WatchHeal)
	}
}

// TestLoadTemporalUI proves what answers may link to, and that a password in it
// is not repeated.
func TestLoadTemporalUI(t *testing.T) {
	for _, good := range []string{"", "http://127.0.0.1:8233", "https://temporal.example/ui/"} {
		got, err := config.Load(map[string]string{"GAMEMASTER_TEMPORAL_UI_URL": good})
		require.NoError(t, err, good)
		require.Equal(t, good, got.TemporalUI)
	}
	for _, bad := range []string{
		"temporal.example", "//temporal.example", "javascript:alert(1)", "ftp://temporal.example", "https://", "https://ann:hunter2@temporal.example",
		"https://temporal.example/?next=hunter2", "https://temporal.example?", "https://temporal.example/#x", "https://temporal.example/%zz",
	} {
		_, err := config.Load(map[string]string{"GAMEMASTER_TEMPORAL_UI_URL": bad})
		require.ErrorContains(t, err, "GAMEMASTER_TEMPORAL_UI_URL: want an http or https URL", bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
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
