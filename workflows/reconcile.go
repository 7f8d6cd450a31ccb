package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// ReconcileInput is the argument of [ReconcileRuntime].
type ReconcileInput struct {
	Request patch.ReconcileRequest `json:"request"`
	// Budgets left out have their defaults.
	Budgets patch.Budgets `json:"budgets,omitzero"`
}

// ReconcileRuntime brings one game's record and container together: by
// recreating the container on the record's image, or by rotating the record to
// what the container runs. Its workflow ID has to be that of the game's patches,
// so that it never runs beside one. It closes as [PatchRuntime] does, and leaves
// an audit row of its own kind. It is never in doubt: it holds the game no longer
// than it works on it, and the watch sees what it could not heal.
func ReconcileRuntime(ctx workflow.Context, input ReconcileInput) (patch.Result, error) {
	r, err := newRun(ctx, input.Request.Asked(), operation.OpKindReconcile, input.Budgets)
	if err != nil {
		return patch.Result{}, err
	}
	r.audit(ctx, r.reconcile(ctx, input.Request))
	return r.close(ctx)
}

func (r *run) reconcile(ctx workflow.Context, request patch.ReconcileRequest) *patch.Refusal {
	var loaded activities.LoadRecordResult
	err := r.execute(storeOptions(ctx, r.budgets.Store, told("read the record of "+request.GameID)), "LoadRuntime",
		r.steps.LoadRuntime, activities.LoadRuntimeInput{Request: request, WorkflowID: r.result.WorkflowID}, &loaded)
	if err != nil {
		return r.failed(ctx, err)
	}
	r.succeeded(loaded.Attempt)
	r.record.Record = loaded.Record
	r.follow(patch.ImageOf(loaded.Record), patch.ImageOf(loaded.Record))
	r.enter(patch.PhaseCompensating)
	fence, err := r.takeFence(ctx, r.budgets.Store)
	if err != nil {
		return r.failed(ctx, err)
	}
	if request.Mode == patch.ModeAdopt {
		return r.adopt(ctx, fence)
	}
	return r.enforce(ctx, fence)
}

// follow sets where the record comes from and goes to.
func (r *run) follow(from, to patch.Image) {
	r.result.From, r.result.To, r.page.State.From, r.page.State.To = from, to, from, to
}

// enforce has the container follow the record.
func (r *run) enforce(ctx workflow.Context, fence int64) *patch.Refusal {
	var restored activities.RestoreContainerResult
	err := r.execute(managerOptions(ctx, r.budgets.Undo, "have the container follow the record"), "RestoreContainer",
		r.steps.RestoreContainer, activities.RestoreContainerInput{
			GameID: r.request.GameID, IdempotencyKey: r.key(patch.DirectionRestore, 1), Fence: fence, FirstRunID: r.firstRunID,
		}, &restored)
	if err != nil {
		refusal := r.failed(ctx, err)
		r.fenceOff(ctx)
		return refusal
	}
	r.succeeded(restored.Attempt)
	undo := restored.Undo
	// Of a later attempt, what was found in line may be the doing of an earlier
	// one.
	r.result.Undo, r.result.Noop = &undo, undo.Line == patch.LineInLine && restored.Attempt == 1
	if undo.RowStatus == "" {
		return &patch.Refusal{Code: patch.CodeRuntimeNotFound, Message: "the record went away"}
	}
	if undo.Line == patch.LineLeftAlone {
		return &patch.Refusal{
			Code: patch.CodeRuntimeNotRunning, Message: fmt.Sprintf("runtime is %q by now, its container is left alone", undo.RowStatus),
		}
	}
	r.follow(undo.Row, undo.Row)
	return nil
}

// fenceOff keeps a recreate that was given up on from landing when the game has
// been stopped since. It is tried for the store's budget: a Runtime Manager that
// does not answer for that long is told again by the game's next patch, and what
// lands before is found by the watch.
func (r *run) fenceOff(ctx workflow.Context) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	state := r.page.State
	defer func() { r.page.State = state }()
	fence, err := r.takeFence(ctx, r.budgets.Store)
	if err != nil {
		return
	}
	var fenced activities.FenceOffResult
	// Whether it came to that does not change how the run ends.
	_ = r.execute(managerOptions(ctx, r.budgets.Store, "have older calls refused"), "FenceOff", r.steps.FenceOff,
		activities.FenceOffInput{GameID: r.request.GameID, Fence: fence}, &fenced)
}

// adopt has the record follow the container.
func (r *run) adopt(ctx workflow.Context, fence int64) *patch.Refusal {
	var adopted activities.AdoptImageResult
	err := r.execute(managerOptions(ctx, r.budgets.Manager, "have the record follow the container"), "AdoptImage",
		r.steps.AdoptImage, activities.AdoptImageInput{Record: r.record.Record, Fence: fence}, &adopted)
	if err != nil {
		refusal := r.failed(ctx, err)
		if refusal.Code.Closing() != patch.ClosesCompleted {
			refusal.Message += "; whether the record was changed is not known, look at it"
		}
		return refusal
	}
	r.succeeded(adopted.Attempt)
	r.record.Record = adopted.Record
	r.follow(r.result.From, adopted.Adopted)
	r.result.Noop = r.result.From == r.result.To
	return nil
}
