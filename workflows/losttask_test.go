package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/workflows"
)

// testRun is the run ID in the SDK's test environment.
const testRun = "default-test-run-id"

// TestEndsAsItsRowTells proves that a run whose last task was lost, after it had
// told a success, and whose record went on meanwhile, ends as the row tells: what
// was written is not changed, and nothing else is.
func TestEndsAsItsRowTells(t *testing.T) {
	for name, meanwhile := range map[string]func(*world){
		"game gone":          func(w *world) { w.row = nil },
		"moved by another":   movedTo("1.4.7"),
		"moved, and stopped": func(w *world) { movedTo("1.4.7")(w); setStatus(runtime.StatusStopped)(w) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			finished := time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
			row := operation.OperationEntry{
				GameID: gameID, OpKind: operation.OpKindPatch, OpSource: operation.OpSourceAdminRest,
				Outcome: operation.OutcomeSuccess, PatchID: patchID, RunID: testRun,
				FromVersion: "1.4.2", FromImageRef: oldImage, ToVersion: "1.4.3", ToImageRef: newImage,
				StartedAt: finished, FinishedAt: &finished,
			}
			w.entries = append(w.entries, row)
			w.on("Inspect", act{after: meanwhile})
			var upserted []string
			o := w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
				require.NoError(t, env.SetTypedSearchAttributesOnStart(workflows.Attributes(input().Request)))
				env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
					upserted = append(upserted, told(t, args.Get(0).(temporal.SearchAttributes)))
				})
			})
			require.NoError(t, o.err)
			require.True(t, o.result.IsSuccess(), o.result.Message)
			require.Equal(t, patch.Image{Version: "1.4.3", ImageRef: newImage}, o.result.To)
			require.Equal(t, finished, o.result.FinishedAt)
			require.Equal(t, "1.4.3", o.result.Runtime.CurrentEngineVersion)
			require.Equal(t, []operation.OperationEntry{row}, w.entries)
			require.Equal(t, "success done", upserted[len(upserted)-1])
		})
	}
}
