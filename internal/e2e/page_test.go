package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// attributesOf returns the keywords that the game's latest run has, by name.
func attributesOf(t *testing.T, r *rig, game string) map[string]string {
	t.Helper()
	described, err := r.temporal.DescribeWorkflowExecution(t.Context(), patch.WorkflowID(game), "")
	require.NoError(t, err)
	told := map[string]string{}
	fields := described.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()
	for name := range workflows.SearchAttributes() {
		if field := fields[name]; field != nil {
			var value string
			require.NoError(t, converter.GetDefaultDataConverter().FromPayload(field, &value))
			told[name] = value
		}
	}
	return told
}

// upsertsOf counts the changes of search attributes in the game's latest run.
func upsertsOf(t *testing.T, r *rig, game string) (upserts, events int) {
	t.Helper()
	history := r.temporal.GetWorkflowHistory(t.Context(), patch.WorkflowID(game), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		events++
		if event.GetEventType() == enumspb.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES {
			upserts++
		}
	}
	return upserts, events
}

// metadataQuery is what the UI asks a run for its page.
const metadataQuery = "__temporal_workflow_metadata"

// pageOf is what the UI shows of the game's latest run under "User Metadata".
func pageOf(t *testing.T, r *rig, game string) string {
	t.Helper()
	value, err := r.temporal.QueryWorkflow(t.Context(), patch.WorkflowID(game), "", metadataQuery)
	require.NoError(t, err)
	metadata := &sdkpb.WorkflowMetadata{}
	require.NoError(t, value.Get(metadata))
	return metadata.GetCurrentDetails()
}

// TestRunTellsOfItself proves, on a real server, what the page and the search
// attributes of a patch say while it is under way, while it waits for an
// operator, and at its end, and how many events that cost.
func TestRunTellsOfItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.startWorker()
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	require.Equal(t, map[string]string{
		"GameId": game, "TargetVersion": "1.4.3", "OpSource": "admin_rest", "Actor": everything().name,
		"PatchOutcome": "open", "Phase": "forward",
	}, attributesOf(t, r, game))
	require.Eventually(t, func() bool { return strings.Contains(pageOf(t, r, game), "(step `PatchContainer`)") }, patience, waitTick)
	described, err := r.temporal.DescribeWorkflow(t.Context(), patch.WorkflowID(game), "")
	require.NoError(t, err)
	summary, err := described.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "patch "+game+" to 1.4.3 ("+everything().name+")", summary)
	details, err := described.GetStaticDetails()
	require.NoError(t, err)
	require.Contains(t, details, patchID)
	r.letGo(game)
	require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
	require.Contains(t, pageOf(t, r, game), "**Done:** `"+game+"` moved from `1.4.2` to `1.4.3`")
	require.Equal(t, "success done", outcomeAndPhase(attributesOf(t, r, game)))
	upserts, events := upsertsOf(t, r, game)
	require.Equal(t, 1, upserts)
	require.Equal(t, 17, events)
}

func outcomeAndPhase(attributes map[string]string) string {
	return strings.TrimSpace(attributes["PatchOutcome"] + " " + attributes["Phase"] + " " + attributes["ErrorCode"])
}

// TestByHand proves that a run which somebody started in the UI, with nothing but
// its input, does its work and is found by the search attributes of all others.
func TestByHand(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	game := r.game()
	request := requestFor(game, "1.4.3")
	run, err := r.temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: patch.WorkflowID(game), TaskQueue: r.taskQueue(),
	}, workflows.PatchRuntimeType, workflows.Input{Request: request})
	require.NoError(t, err)
	require.NoError(t, run.Get(t.Context(), nil))
	require.Equal(t, map[string]string{
		"GameId": game, "TargetVersion": "1.4.3", "OpSource": "admin_rest", "Actor": "ann", "PatchOutcome": "success", "Phase": "done",
	}, attributesOf(t, r, game))
	r.requireInLine(game, "1.4.3", 1)
	recordHistory(t, r, "by_hand", game)
}

// savedView matches a query of the runbook's table.
var savedView = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `([^`]*(?:WorkflowType|PatchOutcome|GameId|TargetVersion|Actor|ErrorCode|OpSource|Phase)[^`]*)` \\|$")

// TestSavedViews proves that Temporal takes every query of the runbook, and that
// those an operator begins with find what they say: patches that are open, that
// wait for a person, that failed today, of a game, to a version, of an actor.
func TestSavedViews(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	r.startWorker()
	s := r.starter()
	waiting, handle := doubt(t, r, s)
	failed := r.game()
	r.fault(rtmsim.Fault{GameID: failed, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: http.StatusBadRequest})
	refused := end(t, s, begin(t, s, requestFor(failed, "1.4.3")))
	require.Equal(t, patch.CodeServiceUnavailable, refused.Code)
	require.Equal(t, "needs_operator needs_operator service_unavailable", outcomeAndPhase(attributesOf(t, r, waiting)))

	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "runbook.md"))
	require.NoError(t, err)
	views := map[string]string{}
	for _, match := range savedView.FindAllStringSubmatch(string(text), -1) {
		views[match[1]] = match[2]
		_, err := r.temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: match[2]})
		require.NoError(t, err, match[2])
	}
	require.GreaterOrEqual(t, len(views), 12, views)

	today := time.Now().UTC().Format(time.DateOnly)
	for view, want := range map[string]string{
		"open patches": waiting, "patches in doubt: they wait for a person": waiting, "patches that failed today (a person should look)": failed,
		"one game": failed, "one target version": failed, "one actor": failed, "one code": waiting,
	} {
		query := strings.NewReplacer("2026-03-01", today, "demo-1", failed).Replace(views[view])
		require.NotEmpty(t, query, view)
		require.Eventually(t, func() bool { return finds(t, r, query, want) }, patience, waitTick, "%s: %s", view, query)
	}
	_, err = s.Abandon(t.Context(), handle.PatchID, patch.Command{Actor: "bob", Reason: "test"})
	require.NoError(t, err)
}

// finds reports whether a query finds the latest run of a game.
func finds(t *testing.T, r *rig, query, game string) bool {
	t.Helper()
	answer, err := r.temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1000})
	require.NoError(t, err)
	for _, info := range answer.GetExecutions() {
		if info.GetExecution().GetWorkflowId() == patch.WorkflowID(game) {
			return true
		}
	}
	return false
}

// TestRotationWithoutAnAnswer proves that a patch whose rotation took place, and
// whose answer never came, is found to have succeeded by its undo, and that the
// code which stood in its search attributes meanwhile is gone.
func TestRotationWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, "GAMEMASTER_STORE_BUDGET=4s")
	proxy, through, err := pgfault.StartFor(r.databaseURL())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	start(t, append(r.environ, "DATABASE_URL="+through), "worker")
	game := r.game()
	r.holdPatch(game)
	patchID := r.async(game, "1.4.3")
	r.awaitCall(game)
	require.NoError(t, proxy.PutFault(pgfault.Fault{Name: "mute", SQL: "UPDATE runtime_records", Argument: game, Mode: pgfault.HangAfter, Times: 1}))
	r.letGo(game)
	_, err = proxy.Await(t.Context(), "mute", func(report pgfault.FaultReport) bool { return report.Fired > 0 })
	require.NoError(t, err)
	// The step asks again where it is seen, for a budget that is shorter than an
	// attempt, and is not answered.
	require.NoError(t, proxy.PutFault(pgfault.Fault{Name: "deaf", SQL: "FROM runtime_records WHERE game_id", Argument: game, Mode: pgfault.Hang}))
	require.Eventually(t, func() bool { return attributesOf(t, r, game)["Phase"] == "compensating" }, patience, waitTick)
	proxy.ClearFault("deaf")
	require.Equal(t, "success", r.awaitEnd(patchID)["outcome"])
	require.Len(t, r.audit(game), 1)
	r.requireInLine(game, "1.4.3", 1)
	require.Equal(t, "success done", outcomeAndPhase(attributesOf(t, r, game)))
	upserts, _ := upsertsOf(t, r, game)
	require.Equal(t, 2, upserts)
	recordHistory(t, r, "found_done_by_undo", game)
}
