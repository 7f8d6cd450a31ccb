package telemetry_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/telemetry"
	"galaxy/gamemaster/workflows"
)

// TestTracesAreOff proves that nothing is traced unless a collector is named,
// and that what is off leaves everything as it is.
func TestTracesAreOff(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, environ := range []map[string]string{
		{},
		{endpoint: "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
		{endpoint: "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:1"},
	} {
		traces, err := telemetry.NewTraces(t.Context(), environ, "service")
		require.NoError(t, err)
		require.Nil(t, traces, environ)
		require.Nil(t, traces.Door(nil))
		require.Nil(t, traces.Postgres())
		require.Equal(t, http.DefaultTransport, traces.Manager(http.DefaultTransport))
		interceptors, err := traces.Temporal()
		require.NoError(t, err)
		require.Empty(t, interceptors)
		traces.Close()
	}
}

// TestTracesRefuse proves that what cannot be done is said by the variable's
// name, and that each protocol there is can be had.
func TestTracesRefuse(t *testing.T) {
	const endpoint, protocol = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	const where = "http://127.0.0.1:1"
	for variable, environ := range map[string]map[string]string{
		"OTEL_TRACES_EXPORTER": {endpoint: where, "OTEL_TRACES_EXPORTER": "zipkin"},
		protocol:               {endpoint: where, protocol: "http/json"},
	} {
		_, err := telemetry.NewTraces(t.Context(), environ, "service")
		require.ErrorContains(t, err, variable)
	}
	for _, good := range []string{"", "http/protobuf", "grpc"} {
		traces, err := telemetry.NewTraces(t.Context(), map[string]string{endpoint: where, protocol: good}, "service")
		require.NoError(t, err)
		require.NotNil(t, traces, good)
		traces.Close()
	}
}

// TestTracesReplay proves that a worker with traces takes every recorded run to
// its end, none of which was started with any.
func TestTracesReplay(t *testing.T) {
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	traces, err := telemetry.NewTraces(t.Context(), map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}, "service")
	require.NoError(t, err)
	t.Cleanup(traces.Close)
	tracing, err := traces.Temporal()
	require.NoError(t, err)
	files, err := filepath.Glob("../../workflows/testdata/histories/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
			Interceptors: []interceptor.WorkerInterceptor{tracing[0].(interceptor.WorkerInterceptor)},
		})
		require.NoError(t, err)
		replayer.RegisterWorkflowWithOptions(workflows.PatchRuntime, workflow.RegisterOptions{Name: workflows.PatchRuntimeType})
		replayer.RegisterWorkflowWithOptions(workflows.ReconcileRuntime, workflow.RegisterOptions{Name: workflows.ReconcileRuntimeType})
		replayer.RegisterWorkflowWithOptions(workflows.ReconcileRuntimes, workflow.RegisterOptions{Name: workflows.ReconcileRuntimesType})
		replayer.RegisterWorkflowWithOptions(workflows.ExportHistories, workflow.RegisterOptions{Name: workflows.ExportHistoriesType})
		encoded, err := os.ReadFile(file)
		require.NoError(t, err)
		history, err := client.HistoryFromJSON(bytes.NewReader(encoded), client.HistoryJSONOptions{})
		require.NoError(t, err)
		require.NoError(t, replayer.ReplayWorkflowHistory(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)), history), file)
	}
}
