package workflows_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

const corpus = "testdata/histories"

// recorded is what the manifest says of one history.
type recorded struct {
	code   patch.Code
	events int
	closes enumspb.EventType
}

const (
	completed = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
	canceled  = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED
	failed    = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED
)

// replay takes history through today's workflow, and proves as well what the
// replayer does not look at: that it closes the same way, with the same code.
func replay(t *testing.T, history *historypb.History, want recorded) error {
	t.Helper()
	ended := &ending{}
	replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
		Interceptors: []interceptor.WorkerInterceptor{ended},
	})
	require.NoError(t, err)
	replayer.RegisterWorkflowWithOptions(workflows.PatchRuntime, workflow.RegisterOptions{Name: workflows.PatchRuntimeType})
	replayer.RegisterWorkflowWithOptions(workflows.ReconcileRuntime, workflow.RegisterOptions{Name: workflows.ReconcileRuntimeType})
	replayer.RegisterWorkflowWithOptions(workflows.ReconcileRuntimes, workflow.RegisterOptions{Name: workflows.ReconcileRuntimesType})
	replayer.RegisterWorkflowWithOptions(workflows.ExportHistories, workflow.RegisterOptions{Name: workflows.ExportHistoriesType})
	if err := replayer.ReplayWorkflowHistory(quiet(), history); err != nil {
		return err
	}
	if ended.code != want.code || closing(ended.err) != want.code.Closing() {
		return fmt.Errorf("nondeterministic end: replay ends with %q as %s, recorded was %q", ended.code, closing(ended.err), want.code)
	}
	return nil
}

// ending is an interceptor that keeps how the replayed run ended.
type ending struct {
	interceptor.WorkerInterceptorBase
	interceptor.WorkflowInboundInterceptorBase
	code patch.Code
	err  error
}

func (e *ending) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	e.Next = next
	return e
}

func (e *ending) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	result, err := e.Next.ExecuteWorkflow(ctx, in)
	if ended, ok := result.(patch.Result); ok {
		e.code = ended.Code
	}
	e.err = err
	return result, err
}

func quiet() sdklog.Logger { return sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// TestReplay proves that today's workflow takes every recorded run to its end
// in the same way. When it fails, runs that are open in production get stuck
// at the next roll-out: put the change behind workflow.GetVersion.
func TestReplay(t *testing.T) {
	for name, want := range manifest() {
		t.Run(name, func(t *testing.T) {
			history := load(t, name)
			require.Equal(t, want.events, len(history.Events), "events")
			last := history.Events[want.events-1]
			require.Equal(t, want.closes, last.GetEventType())
			require.True(t, strings.Contains(last.String(), string(want.code)), "code %s", want.code)
			require.NoError(t, replay(t, history, want))
		})
	}
}

// TestCorpusMatchesManifest proves that no history got lost or came without its
// line, and that every code that closes a run is in the corpus.
func TestCorpusMatchesManifest(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, len(manifest()))
	require.GreaterOrEqual(t, len(files), least, "the corpus only grows")
	codes := map[patch.Code]bool{}
	for _, file := range files {
		line, known := manifest()[strings.TrimSuffix(filepath.Base(file), ".json")]
		require.True(t, known, file)
		codes[line.code] = true
	}
	for _, code := range patch.Codes() {
		own := code.Closing() != patch.ClosesNothing && code.Closing() != patch.ClosesTerminated
		require.Equal(t, own, codes[code], code)
	}
}

// TestReplayFindsAnotherEnd proves that a run which would end with another code
// than it did is noticed, though its steps are the same.
func TestReplayFindsAnotherEnd(t *testing.T) {
	want := manifest()["service_unavailable"]
	want.code = patch.CodeConflict
	require.ErrorContains(t, replay(t, load(t, "service_unavailable"), want), "nondeterministic end")
}

// TestReplayFindsADifference proves that the replayer would notice: a history
// whose steps are others than the workflow's must fail, those within a workflow
// task among them.
func TestReplayFindsADifference(t *testing.T) {
	swap := func(text []byte, one, other string) []byte {
		text = bytes.ReplaceAll(text, []byte(`"`+one+`"`), []byte(`"Swapped"`))
		text = bytes.ReplaceAll(text, []byte(`"`+other+`"`), []byte(`"`+one+`"`))
		return bytes.ReplaceAll(text, []byte(`"Swapped"`), []byte(`"`+other+`"`))
	}
	for what, doctored := range map[string]*historypb.History{
		"another step":                  parse(t, swap(textOf(t, "conflict"), "RestoreContainer", "FenceOff")),
		"another order":                 parse(t, swap(textOf(t, "conflict"), "RestoreContainer", "UpdateImage")),
		"another step within the task":  inTasks(load(t, "success"), func(text []byte) []byte { return swap(text, "UpdateImage", "TakeFence") }),
		"another order within the task": inTasks(load(t, "success"), func(text []byte) []byte { return swap(text, "LoadRecord", "ValidateVersion") }),
	} {
		t.Run(what, func(t *testing.T) {
			want := manifest()["success"]
			if len(doctored.Events) == manifest()["conflict"].events {
				want = manifest()["conflict"]
			}
			// Temporal's own number for it.
			require.ErrorContains(t, replay(t, doctored, want), "TMPRL1100")
		})
	}
}

// inTasks changes what a history has of the steps within workflow tasks.
func inTasks(history *historypb.History, change func([]byte) []byte) *historypb.History {
	for _, event := range history.Events {
		for _, payload := range event.GetMarkerRecordedEventAttributes().GetDetails()["data"].GetPayloads() {
			payload.Data = change(payload.Data)
		}
	}
	return history
}

func textOf(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus, name+".json"))
	require.NoError(t, err)
	return text
}

func load(t *testing.T, name string) *historypb.History {
	t.Helper()
	return parse(t, textOf(t, name))
}

func parse(t *testing.T, text []byte) *historypb.History {
	t.Helper()
	history, err := client.HistoryFromJSON(bytes.NewReader(text), client.HistoryJSONOptions{})
	require.NoError(t, err)
	return history
}
