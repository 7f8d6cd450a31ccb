// Package workflows says what happens in a patch, in which order, and what
// undoes it. It is deterministic and does no I/O: every decision that may
// change is taken in an activity, so that its verdict stands in the history
// and old runs replay.
package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// Input is the argument of [PatchRuntime].
type Input struct {
	Request patch.Request `json:"request"`
	// Budgets left out have their defaults.
	Budgets patch.Budgets `json:"budgets,omitzero"`
}

// PatchRuntime moves one running game to another patch of its engine. Its
// workflow ID has to be [patch.WorkflowID] of the game, by which Temporal keeps
// a game to one open patch.
//
// It closes as [patch.Code.Closing] says: a success and every expected refusal
// as Completed with a [patch.Result], a cancelled run as Canceled, and what a
// person should look at as Failed with an ApplicationError of the code's type;
// the latter two carry the same result in their details.
func PatchRuntime(ctx workflow.Context, input Input) (patch.Result, error) {
	r, err := newRun(ctx, input.Request, "", input.Budgets)
	if err != nil {
		return patch.Result{}, err
	}
	if err := r.operator.listen(ctx, r); err != nil {
		return patch.Result{}, err
	}
	failure := r.carryOut(ctx)
	if failure != nil && r.touched {
		failure = r.compensate(ctx, failure)
	}
	r.audit(ctx, failure)
	return r.close(ctx)
}

// run is one patch, or one reconciliation, under way.
type run struct {
	request patch.Request
	// firstRunID is another than the run's own after a reset. It goes into inputs
	// only: a branch on it here would not replay.
	firstRunID string
	budgets    patch.Budgets
	steps      *activities.Activities
	// page is what the run shows of itself, its state among it.
	page   patch.Page
	result patch.Result
	plan   patch.Plan
	// record is the row as it was loaded, then as it was rotated.
	record activities.UpdateImageResult
	// touched says that the container may differ from the row: the undo is due
	// from before the recreate is tried, because a call that timed out may have
	// happened.
	touched bool
	// untouched says that no call for a recreate was made after all; refused,
	// that none was or the only one was refused; unsettled, that one which was
	// given up on may still land.
	untouched, refused, unsettled bool
	// patched is how the container was recreated, and fence the number that the
	// recreate carried.
	patched activities.PatchContainerResult
	fence   int64
	// recording says that the rotation may have been tried, and nobody knows
	// whether it took place.
	recording bool
	operator  operator
	// failing is the code of what is undone, and of how the run ended; empty while
	// there is none.
	failing patch.Code
	// attributes are the search attributes as they were set last.
	attributes attributes
}

func newRun(ctx workflow.Context, request patch.Request, kind operation.OpKind, budgets patch.Budgets) (*run, error) {
	info := workflow.GetInfo(ctx)
	r := &run{
		request:    request,
		firstRunID: info.OriginalRunID,
		budgets:    budgets.OrDefaults(),
		page: patch.Page{
			Reconciles: kind == operation.OpKindReconcile, Budgets: budgets.OrDefaults(),
			State: patch.State{
				PatchID: request.PatchID, GameID: request.GameID,
				Phase: patch.PhaseValidating,
				To:    patch.Image{Version: request.Version},
			},
		},
		attributes: attributes{outcome: OutcomeOpen, phase: PhaseForward},
		result: patch.Result{
			PatchID: request.PatchID, GameID: request.GameID,
			WorkflowID: info.WorkflowExecution.ID, RunID: info.WorkflowExecution.RunID, Kind: kind,
			To:        patch.Image{Version: request.Version},
			StartedAt: info.WorkflowStartTime,
		},
	}
	// Handlers come before anything that blocks, or an update that arrives with
	// the first task finds none.
	if err := workflow.SetQueryHandlerWithOptions(ctx, StateQuery, r.answerState, workflow.QueryHandlerOptions{
		Description: stateDescription,
	}); err != nil {
		return nil, fmt.Errorf("set query handler %q: %w", StateQuery, err)
	}
	return r, nil
}

// stateDescription is shown beside the query in the UI.
const stateDescription = "Where the run is: phase; step, what it does, since and until when at the latest; attempts as soon as the step " +
	"has ended; versions and images from and to; code and text of the latest failure. Takes no input, changes nothing, and can be " +
	"asked at any time, also after the end, while a worker runs."

func (r *run) answerState() (patch.State, error) { return r.page.State, nil }

// carryOut does the patch, and returns what kept it from being done.
func (r *run) carryOut(ctx workflow.Context) *patch.Refusal {
	for _, step := range []func(workflow.Context) *patch.Refusal{r.load, r.validate, r.move} {
		if refusal := step(ctx); refusal != nil {
			return refusal
		}
	}
	return nil
}

func (r *run) load(ctx workflow.Context) *patch.Refusal {
	var loaded activities.LoadRecordResult
	ctx = storeOptions(ctx, r.budgets.Store, told("read the record of "+r.request.GameID))
	err := r.atOnce(ctx, "LoadRecord", r.steps.LoadRecord, activities.LoadRecordInput{
		Request: r.request, WorkflowID: r.result.WorkflowID,
	}, &loaded)
	if err != nil {
		return r.failed(ctx, err)
	}
	r.succeeded(loaded.Attempt)
	r.record.Record = loaded.Record
	r.result.From = patch.ImageOf(loaded.Record)
	r.page.State.From = r.result.From
	return nil
}

func (r *run) validate(ctx workflow.Context) *patch.Refusal {
	var validated activities.ValidateVersionResult
	ctx = storeOptions(ctx, r.budgets.Store, told("validate "+r.request.Version))
	input := activities.ValidateVersionInput{Record: r.record.Record, Version: r.request.Version, Force: r.request.Force}
	err := r.atOnce(ctx, "ValidateVersion", r.steps.ValidateVersion, input, &validated)
	if err == nil && !validated.Plan.Recreates() {
		// The end of the run, like a refusal; see [run.atOnce].
		err = r.execute(ctx, "ValidateVersion", r.steps.ValidateVersion, input, &validated)
	}
	if err != nil {
		return r.failed(ctx, err)
	}
	r.succeeded(validated.Attempt)
	r.plan = validated.Plan
	r.result.From, r.result.To = r.plan.From, r.plan.To
	r.result.Noop = !r.plan.Recreates()
	r.page.State.From, r.page.State.To = r.plan.From, r.plan.To
	return nil
}

// move recreates the container and rotates the row. A run that was reset to
// behind the recreate, or whose fencing number is not the last one any more,
// begins anew with it.
func (r *run) move(ctx workflow.Context) *patch.Refusal {
	if r.result.Noop {
		return nil
	}
	for {
		if refusal := r.patch(ctx); refusal != nil {
			return refusal
		}
		behind, refusal := r.recordImage(ctx)
		if !behind {
			return refusal
		}
	}
}

func (r *run) patch(ctx workflow.Context) *patch.Refusal {
	r.enter(patch.PhasePatching)
	for turn := 0; ; turn++ {
		fence, err := r.takeFence(ctx, r.budgets.Store)
		if err != nil {
			return r.failed(ctx, err)
		}
		// From here on the container may have moved, whatever the answer is.
		r.touched = true
		err = r.recreate(ctx, fence, turn)
		switch {
		case err == nil:
			return nil
		case untried(err) && turn < lastTurn:
			// All workers were busy, and Runtime Manager was not asked.
			r.page.Tried(0, noSlot)
		default:
			details := detailsOf(err)
			r.untouched, r.refused, r.unsettled = details.Untouched, details.Settled, !details.Settled
			return r.failed(ctx, err)
		}
	}
}

// recreate has the container recreated, in the turn-th wait for a worker.
func (r *run) recreate(ctx workflow.Context, fence int64, turn int) error {
	var patched activities.PatchContainerResult
	ctx = recreateOptions(ctx, r.budgets.Manager, turn, "recreate on "+r.plan.To.Version)
	err := r.execute(ctx, "PatchContainer", r.steps.PatchContainer, activities.PatchContainerInput{
		GameID: r.request.GameID, Plan: r.plan, IdempotencyKey: r.patchKey(), Fence: fence, FirstRunID: r.firstRunID,
	}, &patched)
	if err != nil {
		return err
	}
	r.patched, r.fence = patched, fence
	r.succeeded(patched.Attempt)
	// A task that was lost may have rotated the record before a cancellation is
	// heard of in the one that is done in its place.
	r.recording = true
	return nil
}

// recordImage rotates the row. Behind says that nothing was done: the container
// has to be looked at first.
func (r *run) recordImage(ctx workflow.Context) (behind bool, refusal *patch.Refusal) {
	if ctx.Err() != nil {
		return false, r.failed(ctx, ctx.Err())
	}
	r.enter(patch.PhaseRecording)
	// The point of no return: a rotation that was begun is brought to its end,
	// because cancelled half-way nobody would know whether it took place.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	ctx = storeOptions(ctx, r.budgets.Store, "rotate the record to "+r.plan.To.Version)
	var rotated activities.UpdateImageResult
	err := r.atOnce(ctx, "UpdateImage", r.steps.UpdateImage, activities.UpdateImageInput{
		Record: r.record.Record, Plan: r.plan, PatchedBy: r.patched.RunID, Fence: r.fence, Now: r.patched.At,
	}, &rotated)
	if err != nil {
		refusal := r.failed(ctx, err)
		// A verdict on the row says that the run did not write it.
		r.recording = refusal.Code.Closing() == patch.ClosesFailed
		return false, refusal
	}
	r.succeeded(rotated.Attempt)
	r.recording = false
	if rotated.Behind {
		return true, nil
	}
	r.record = rotated
	return false, nil
}

// patchKey is the key of the recreate. One on the image that the container runs
// already leaves no trace to look for, so that a run which took another's place
// after a reset shares the key with it.
func (r *run) patchKey() string {
	if r.plan.SameImage() && r.firstRunID != "" {
		return patch.IdempotencyKey(r.request.PatchID, r.firstRunID, patch.DirectionPatch, 1)
	}
	return r.key(patch.DirectionPatch, 1)
}

// key names the run's intent to Runtime Manager.
func (r *run) key(direction patch.Direction, round int) string {
	return patch.IdempotencyKey(r.request.PatchID, r.result.RunID, direction, round)
}
