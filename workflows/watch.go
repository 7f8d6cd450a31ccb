package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// ProgressQuery answers a [PassProgress].
const ProgressQuery = "progress"

// WatchActor is who asks for the reconciliations of the watch.
const WatchActor = "watch"

const (
	// pageSize is how many records are on a page unless the input says so: eight
	// at a time, each with the whole five seconds that an inspect may take, two
	// hundred are done within pageAttempt.
	pageSize = 200

	// maxPageSize keeps a page's payloads and statements small.
	maxPageSize = 1000

	// pagesPerRun is how many pages a run walks before it goes on as a new one: a
	// page is six events, so that a run stays near a thousand of the 51,200 that
	// it may have, and opens in the UI at once. 100,000 records are five runs.
	pagesPerRun = 100

	// maxHeals bounds the reconciliations of one pass. Games drift one by one; when
	// a whole fleet seems to, it is rather Runtime Manager that answers wrongly,
	// and recreating ten thousand healthy containers would be the greater damage.
	// Until the next pass an operator has minutes to see it.
	maxHeals = 50

	// silentPages is how many pages in a row Runtime Manager may leave unanswered
	// before the pass is given up: each was tried for half a minute.
	silentPages = 3

	// sweepBack is how far back runs are looked for that could write no audit row.
	// It outlasts a night without the watch, and an audit row that is there already
	// costs one statement.
	sweepBack = 24 * time.Hour

	// keepFindings is how long resolved findings and the summaries of passes are
	// kept: a month of them answers whether a game has drifted before.
	keepFindings = 30 * 24 * time.Hour
)

// WatchInput is the argument of [ReconcileRuntimes].
type WatchInput struct {
	// Heal is the mode of the reconciliations that are started for games whose
	// container is on another image than the record's; empty starts none. Only
	// [patch.ModeEnforce] is taken: that the record is wrong and the container
	// right is a person's decision.
	Heal patch.Mode `json:"heal,omitempty"`
	// PageSize is how many records are compared in one step; zero means 200.
	PageSize int `json:"page_size,omitempty"`
	// Budgets are those of the reconciliations; left out they have their defaults.
	Budgets patch.Budgets `json:"budgets,omitzero"`
	// Progress is how far the pass has come in the runs before; who starts a pass
	// leaves it out.
	Progress PassProgress `json:"progress,omitzero"`
}

// PassProgress is how far a pass has come. It is all that is carried from run to
// run.
type PassProgress struct {
	// PassID is the first run of the pass, and StartedAt when that began.
	PassID    string    `json:"pass_id"`
	StartedAt time.Time `json:"started_at"`
	// After is the last record that was compared; nil before the first page.
	After  *activities.PagePosition `json:"after,omitempty"`
	Pages  int                      `json:"pages"`
	Counts drift.Counts             `json:"counts"`
	// Healing counts the reconciliations that were started.
	Healing int `json:"healing"`
	// Silent counts the latest pages in a row that Runtime Manager did not answer.
	Silent int `json:"silent,omitempty"`
	// Swept counts the runs that were ended from outside, and whose audit rows are
	// there.
	Swept int `json:"swept,omitempty"`
}

// ReconcileRuntimes is one pass of the watch: it walks over all records, newest
// first, compares each with its container and keeps the findings; then it writes
// the audit rows of runs that could not, and keeps its summary, which it
// returns. Records that are made while it walks are the next pass's.
//
// It changes nothing but the findings, unless it is told to heal: then it starts
// [ReconcileRuntime] under the game's own workflow ID, does not wait for its end,
// and leaves a game alone that has anything open. Only a container on the wrong
// image can be healed: the contract of Runtime Manager can neither make a
// container that is missing nor stop one that is extra.
//
// A step that fails beyond its budget fails the pass, and so does a Runtime
// Manager that does not answer. What was found until then is kept, the summary
// is not, and the next pass begins in some minutes, from the start.
func ReconcileRuntimes(ctx workflow.Context, input WatchInput) (drift.Pass, error) {
	p, err := newPass(ctx, input)
	if err != nil {
		return drift.Pass{}, err
	}
	for page := 1; ; page++ {
		more, err := p.check(ctx)
		if err != nil {
			return drift.Pass{}, p.failed(ctx, err)
		}
		if !more {
			break
		}
		if page >= pagesPerRun || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			p.input.Progress = p.progress
			return drift.Pass{}, workflow.NewContinueAsNewError(ctx, ReconcileRuntimesType, p.input)
		}
	}
	// Rows that cannot be written are no reason to lose the summary.
	swept := p.sweep(ctx)
	summary, err := p.finish(ctx)
	if err := errors.Join(swept, err); err != nil {
		return drift.Pass{}, p.failed(ctx, err)
	}
	return summary, nil
}

// pass is one pass under way.
type pass struct {
	input    WatchInput
	progress PassProgress
	steps    *activities.Watch
}

func newPass(ctx workflow.Context, input WatchInput) (*pass, error) {
	if input.PageSize < 1 {
		input.PageSize = pageSize
	}
	input.PageSize = min(input.PageSize, maxPageSize)
	p := &pass{input: input, progress: input.Progress}
	if info := workflow.GetInfo(ctx); p.progress.PassID == "" {
		p.progress.PassID, p.progress.StartedAt = info.WorkflowExecution.RunID, info.WorkflowStartTime.UTC()
	}
	err := workflow.SetQueryHandlerWithOptions(ctx, ProgressQuery,
		func() (PassProgress, error) { return p.progress, nil },
		workflow.QueryHandlerOptions{Description: "How far the pass has come: pages, counts, reconciliations started, ended runs swept. " +
			"Takes no input, changes nothing, and can be asked at any time, also after the end, while a worker runs."})
	if err != nil {
		return nil, fmt.Errorf("set query handler %q: %w", ProgressQuery, err)
	}
	if input.Heal != "" && input.Heal != patch.ModeEnforce {
		return nil, temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("heal is %q, want nothing or %q", input.Heal, patch.ModeEnforce), string(patch.CodeInvalidRequest), nil)
	}
	return p, nil
}

// check compares the next page and says whether another follows.
func (p *pass) check(ctx workflow.Context) (more bool, err error) {
	input := activities.CheckPageInput{After: p.progress.After, Size: p.input.PageSize}
	if p.input.Heal != "" {
		input.Heal = max(maxHeals-p.progress.Healing, 0)
	}
	var checked activities.CheckPageResult
	options := pageOptions(ctx, fmt.Sprintf("compare page %d", p.progress.Pages+1))
	p.show(options)
	if err := workflow.ExecuteActivity(options, p.steps.CheckPage, input).Get(ctx, &checked); err != nil {
		return false, err
	}
	p.progress.Pages++
	p.progress.Counts = p.progress.Counts.Add(checked.Counts)
	p.progress.Silent++
	if !checked.Silent {
		p.progress.Silent = 0
	}
	more = checked.Next != nil
	if more {
		p.progress.After = checked.Next
	}
	if p.isInVain(more) {
		return false, temporal.NewNonRetryableApplicationError(
			"Runtime Manager does not answer", string(patch.CodeServiceUnavailable), nil)
	}
	p.heal(ctx, checked.Heal)
	return more, nil
}

// isInVain says that Runtime Manager is down, rather than unable to tell of
// some games that follow each other; a pass that compared nothing is none.
func (p *pass) isInVain(more bool) bool {
	return p.progress.Silent >= silentPages || (p.progress.Silent > 0 && !more && p.progress.Counts.Checked == 0)
}

// heal starts the reconciliations that are due and waits until they are known to
// Temporal. One that cannot be started is left to the next pass.
func (p *pass) heal(ctx workflow.Context, due []activities.Healing) {
	starts := make([]workflow.Future, 0, len(due))
	for _, healing := range due {
		request := patch.ReconcileRequest{
			PatchID: healing.PatchID, GameID: healing.GameID, Mode: p.input.Heal,
			OpSource: operation.OpSourceSystem, Actor: WatchActor, SourceRef: p.progress.PassID,
			Reason: "the container is on another image than the record's",
		}
		child := workflow.ExecuteChildWorkflow(healOptions(ctx, request, p.input.Budgets), ReconcileRuntimeType,
			ReconcileInput{Request: request, Budgets: p.input.Budgets})
		starts = append(starts, child.GetChildWorkflowExecution())
	}
	for i, start := range starts {
		var already *temporal.ChildWorkflowExecutionAlreadyStartedError
		switch err := start.Get(ctx, nil); {
		case err == nil:
			p.progress.Healing++
		case errors.As(err, &already):
			// Somebody was quicker; that run ends with both sides in line as well.
		default:
			workflow.GetLogger(ctx).Warn("start reconciliation", "game_id", due[i].GameID, "err", err.Error())
		}
	}
}

// sweep writes the audit rows of the runs that were ended from outside.
func (p *pass) sweep(ctx workflow.Context) error {
	input := activities.SweepEndedInput{Since: p.progress.StartedAt.Add(-sweepBack)}
	for {
		var swept activities.SweepEndedResult
		options := sweepOptions(ctx, "write the audit rows of ended runs")
		p.show(options)
		if err := workflow.ExecuteActivity(options, p.steps.SweepEnded, input).Get(ctx, &swept); err != nil {
			return err
		}
		p.progress.Swept += swept.Runs
		if input.PageToken = swept.NextPageToken; len(input.PageToken) == 0 {
			return nil
		}
	}
}

// finish keeps the summary.
func (p *pass) finish(ctx workflow.Context) (drift.Pass, error) {
	now := workflow.Now(ctx).UTC()
	summary := drift.Pass{
		ID: p.progress.PassID, StartedAt: p.progress.StartedAt, FinishedAt: &now, Counts: p.progress.Counts,
	}
	var finished activities.FinishPassResult
	options := storeOptions(ctx, finishBudget, "keep the summary")
	p.show(options)
	err := workflow.ExecuteActivity(options, p.steps.FinishPass,
		activities.FinishPassInput{Pass: summary, KeepSince: now.Add(-keepFindings)}).Get(ctx, &finished)
	if err == nil {
		p.ended(ctx, "")
	}
	return summary, err
}

// failed is how the pass closes when it could not be brought to its end: as
// Failed, so that a person looks, unless it was cancelled.
func (p *pass) failed(ctx workflow.Context, err error) error {
	refusal, _ := refusalOf(err)
	if temporal.IsCanceledError(err) {
		p.ended(ctx, "cancelled")
		return temporal.NewCanceledError(p.progress)
	}
	p.ended(ctx, refusal.Message)
	return temporal.NewApplicationErrorWithOptions(refusal.Message, string(refusal.Code),
		temporal.ApplicationErrorOptions{NonRetryable: true, Cause: err, Details: []any{p.progress}})
}

// One attempt at a page: 25 rounds of eight inspects of five seconds each would
// be two minutes; the rest is for those that are looked at again.
const pageAttempt = 3 * time.Minute

// pageBudget is for one page in total: it outlasts a Postgres fail-over and
// three attempts at the longest. A pass that waits for longer has to start over:
// what it has seen is too old by then.
const pageBudget = 10 * time.Minute

// pageOptions are for a page: slow retries, which is what a Runtime Manager that
// is being restarted takes.
func pageOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    pageAttempt,
		ScheduleToCloseTimeout: pageBudget,
		HeartbeatTimeout:       managerHeartbeat,
		RetryPolicy:            backoff(time.Second, 30*time.Second),
		Summary:                summary,
	})
}

// sweepAttempt and sweepBudget are for one page of ended runs: 200 runs, a look
// and a statement each, take a second or two.
const (
	sweepAttempt = time.Minute
	sweepBudget  = 5 * time.Minute
)

// sweepOptions are for a page of ended runs.
func sweepOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    sweepAttempt,
		ScheduleToCloseTimeout: sweepBudget,
		HeartbeatTimeout:       managerHeartbeat,
		RetryPolicy:            backoff(time.Second, 30*time.Second),
		Summary:                summary,
	})
}

// finishBudget is for the summary: the whole pass hangs on it, so that it is
// tried for longer than a patch would wait for a store.
const finishBudget = patch.Duration(5 * time.Minute)

// healOptions are for the start of a reconciliation: under the game's own ID, so
// that it cannot race a patch, and for itself once it has begun.
func healOptions(ctx workflow.Context, request patch.ReconcileRequest, budgets patch.Budgets) workflow.Context {
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            patch.WorkflowID(request.GameID),
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		// What a list and a joiner know the run by, as of one that was asked for.
		Memo: map[string]any{
			MemoPatchID: request.PatchID, MemoMode: string(request.Mode), MemoActor: request.Actor,
		},
		TypedSearchAttributes: ReconcileAttributes(request),
		StaticSummary:         request.Summary(),
		StaticDetails:         request.Details(budgets),
	})
}
