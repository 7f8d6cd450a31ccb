package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// families are the metrics that processes expose, by name.
type families map[string]*dto.MetricFamily

// scrape reads /metrics of a process.
func scrape(t *testing.T, url string) families {
	t.Helper()
	response, err := http.Get(url + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)
	return found
}

// value is that of the one series of a counter or gauge with exactly these
// labels, given as "name=value".
func (f families) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	for _, metric := range f[name].GetMetric() {
		if slices.Equal(labelsOf(metric), labels) {
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s%v", name, labels)
	return 0
}

// phases are how often runs of a type have left each phase.
func (f families) phases(workflow string) map[string]uint64 {
	left := map[string]uint64{}
	for _, metric := range f["gamemaster_phase_duration_seconds"].GetMetric() {
		labels := labelsOf(metric)
		for _, label := range labels {
			if phase, ok := strings.CutPrefix(label, "phase="); ok && slices.Contains(labels, "workflow_type="+workflow) {
				left[phase] += metric.GetHistogram().GetSampleCount()
			}
		}
	}
	return left
}

func labelsOf(metric *dto.Metric) []string {
	var labels []string
	for _, label := range metric.GetLabel() {
		labels = append(labels, label.GetName()+"="+label.GetValue())
	}
	return labels
}

// observed is an installation in which one patch has succeeded, one was refused
// and one was undone, whose histories are exported, and what its two processes
// expose after that.
func observed(t *testing.T) (worker, door families) {
	t.Helper()
	r := newRigWithoutAPI(t, "GAMEMASTER_WATCH_INTERVAL=1h", "GAMEMASTER_EXPORT_INTERVAL=10s")
	p := start(t, r.environ, "api", "--addr", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	admin := fmt.Sprintf("http://%s", p.awaitLog("admin pages are listening")["addr"])
	r.url = fmt.Sprintf("http://%s", p.awaitLog("api is listening")["addr"])
	r.watchedWorker()
	r.passWithin(patience)
	require.Equal(t, http.StatusOK, r.patch(r.game(), "1.4.3").status)
	require.Equal(t, http.StatusUnprocessableEntity, r.patch(r.game(), "1.5.0").status)
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	r.exec("UPDATE runtime_records SET status = 'stopped' WHERE game_id = $1", game)
	r.letGo(game)
	require.Equal(t, "conflict", r.awaitEnd(patchID)["code"])
	// The series of the mark come with the end of a pass, and the last export that
	// is counted may be of the pass after it.
	require.Eventually(t, func() bool {
		worker, door = scrape(t, r.probes), scrape(t, admin)
		kept := worker.value(t, "gamemaster_history_exports_total", "outcome=success")
		// Of both: a pass may end between the two.
		marked := func(both families) bool { return len(both["gamemaster_export_mark_timestamp_seconds"].GetMetric()) > 0 }
		return kept == 3 && marked(worker) && marked(door)
	}, patience, 10*waitTick, "the export of all three")
	return worker, door
}

// TestMetrics proves what the two processes of an installation expose: how
// patches ended, what was undone, how long steps and requests took, the pool,
// what is open and how far the export is, each under its name and labels; and that
// dashboard and alerts ask for nothing else.
func TestMetrics(t *testing.T) {
	t.Parallel()
	worker, door := observed(t)
	requireAlerts(t, exposedBy(worker, door))
	requireDashboard(t, exposedBy(worker, door))
	require.EqualValues(t, 1, worker.value(t, "gamemaster_patches_total", "code=", "kind=patch", "outcome=success"))
	require.EqualValues(t, 1, worker.value(t, "gamemaster_patches_total", "code=semver_patch_only", "kind=patch", "outcome=failure"))
	require.EqualValues(t, 1, worker.value(t, "gamemaster_patches_total", "code=conflict", "kind=patch", "outcome=failure"))
	require.EqualValues(t, 1, worker.value(t, "gamemaster_undos_total", "line=left_alone"))
	require.Zero(t, door.value(t, "gamemaster_patches_total", "code=", "kind=patch", "outcome=success"), "counted where the row was written")
	require.Zero(t, worker.value(t, "gamemaster_history_exports_total", "outcome=failure"))
	require.Zero(t, worker.value(t, "gamemaster_history_exports_total", "outcome=unreplayable"))
	require.Zero(t, door.value(t, "gamemaster_history_exports_total", "outcome=success"), "only workers export")

	steps := map[string]bool{}
	for _, metric := range slices.Concat(worker["temporal_activity_execution_latency_seconds"].GetMetric(),
		worker["temporal_local_activity_execution_latency_seconds"].GetMetric()) {
		for _, label := range metric.GetLabel() {
			if label.GetName() == "activity_type" {
				steps[label.GetValue()] = steps[label.GetValue()] || metric.GetHistogram().GetSampleCount() > 0
			}
		}
	}
	for _, step := range []string{"LoadRecord", "ValidateVersion", "PatchContainer", "UpdateImage", "AppendOperationLog", "RestoreContainer"} {
		require.True(t, steps[step], "%s: %v", step, steps)
	}
	// All three were validated and have their row, two were moved, one was undone.
	require.Equal(t, map[string]uint64{"validating": 3, "patching": 2, "recording": 2, "compensating": 1, "auditing": 3},
		worker.phases("PatchRuntime"))
	for _, both := range []families{worker, door} {
		require.GreaterOrEqual(t, both.value(t, "gamemaster_oldest_open_run_age_seconds"), 0.0)
		require.GreaterOrEqual(t, both.value(t, "gamemaster_runs_in_doubt"), 0.0)
		// The mark is ten minutes behind the pass, which was moments ago.
		require.Greater(t, both.value(t, "gamemaster_oldest_unexported_run_age_seconds"), 500.0)
		require.Zero(t, both.value(t, "gamemaster_unexported_runs", "state=waiting"))
		require.Zero(t, both.value(t, "gamemaster_unexported_runs", "state=lost"))
		require.NotEmpty(t, both["temporal_request_total"].GetMetric())
		require.NotEmpty(t, both["go_goroutines"].GetMetric())
		for name, family := range both {
			require.Less(t, len(family.GetMetric()), 200, name)
			for _, metric := range family.GetMetric() {
				for _, label := range labelsOf(metric) {
					require.NotContains(t, label, "game-", "%s tells of single games", name)
				}
			}
		}
	}
	require.Positive(t, worker.value(t, "pgxpool_acquires_total", "db_client_connection_pool_name=gamemaster-worker", "db_system_name=postgresql"))
	require.Positive(t, door.value(t, "pgxpool_acquires_total", "db_client_connection_pool_name=gamemaster-api", "db_system_name=postgresql"))
	require.NotEmpty(t, door["gamemaster_http_request_duration_seconds"].GetMetric())
}
