package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// LoadRecordInput is the request as it came in.
type LoadRecordInput struct {
	Request patch.Request `json:"request"`
	// WorkflowID is that of the run; it has to be the game's own.
	WorkflowID string `json:"workflow_id"`
}

// LoadRecordResult is the row of the game.
type LoadRecordResult struct {
	Record runtime.RuntimeRecord `json:"record"`
	// Attempt is the try that succeeded, from one.
	Attempt int `json:"attempt"`
}

// LoadRecord checks the request, reads the game's row and admits it or not. It
// fails for good with invalid_request, runtime_not_found, runtime_not_running or
// precondition_failed, and for now with service_unavailable.
func (a *Activities) LoadRecord(ctx context.Context, input LoadRecordInput) (LoadRecordResult, error) {
	const op = "get runtime record"
	if err := input.Request.Validate(); err != nil {
		return LoadRecordResult{}, failed(ctx, op, err)
	}
	if err := patch.CheckWorkflowID(input.Request.GameID, input.WorkflowID); err != nil {
		return LoadRecordResult{}, failed(ctx, op, err)
	}
	record, err := a.runtimes.Get(ctx, input.Request.GameID)
	if err != nil {
		return LoadRecordResult{}, failed(ctx, op, err)
	}
	if err := patch.Admit(record, input.Request.ExpectedVersion); err != nil {
		return LoadRecordResult{}, failed(ctx, op, err)
	}
	return LoadRecordResult{Record: record, Attempt: attempt(ctx)}, nil
}

// ValidateVersionInput asks what the move of Record to Version amounts to.
type ValidateVersionInput struct {
	Record  runtime.RuntimeRecord `json:"record"`
	Version string                `json:"version"`
	Force   bool                  `json:"force,omitempty"`
}

// ValidateVersionResult is the plan of the move.
type ValidateVersionResult struct {
	Plan    patch.Plan `json:"plan"`
	Attempt int        `json:"attempt"`
}

// ValidateVersion looks the version up in the registry and plans the move. It
// fails for good with engine_version_not_found, semver_patch_only or
// invalid_request (the stored version is unreadable), and for now with
// service_unavailable.
func (a *Activities) ValidateVersion(ctx context.Context, input ValidateVersionInput) (ValidateVersionResult, error) {
	const op = "get engine version"
	target, err := a.versions.Get(ctx, input.Version)
	if err != nil {
		return ValidateVersionResult{}, failed(ctx, op, err)
	}
	plan, err := patch.Decide(input.Record, target, input.Force)
	if err != nil {
		return ValidateVersionResult{}, failed(ctx, op, err)
	}
	return ValidateVersionResult{Plan: plan, Attempt: attempt(ctx)}, nil
}

func runID(ctx context.Context) string { return activity.GetInfo(ctx).WorkflowExecution.RunID }

// attempt is the try of the step, from one: what [alive] has counted, or else
// Temporal.
func attempt(ctx context.Context) int {
	if counted, ok := ctx.Value(attemptKey{}).(int); ok {
		return counted
	}
	return int(activity.GetInfo(ctx).Attempt)
}

// tookOver reports whether the step's run took the place of firstRunID after a
// reset. A run whose first is not known is its own.
func tookOver(ctx context.Context, firstRunID string) bool {
	return firstRunID != "" && firstRunID != runID(ctx)
}
