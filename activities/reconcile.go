package activities

import (
	"context"
	"errors"
	"time"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// LoadRuntimeInput is a request for a reconciliation as it came in.
type LoadRuntimeInput struct {
	Request patch.ReconcileRequest `json:"request"`
	// WorkflowID is that of the run; it has to be the game's own.
	WorkflowID string `json:"workflow_id"`
}

// LoadRuntime checks the request and reads the game's row, whatever its status.
// It fails for good with invalid_request or runtime_not_found, and with
// runtime_not_running when the game is stopped or finished: its container is
// nobody's to touch. It fails for now with service_unavailable.
func (a *Activities) LoadRuntime(ctx context.Context, input LoadRuntimeInput) (LoadRecordResult, error) {
	const op = "get runtime record"
	if err := input.Request.Validate(); err != nil {
		return LoadRecordResult{}, failed(ctx, op, err)
	}
	if err := patch.CheckWorkflowID(input.Request.GameID, input.WorkflowID); err != nil {
		return LoadRecordResult{}, failed(ctx, op, err)
	}
	record, err := a.runtimes.Get(ctx, input.Request.GameID)
	if err == nil {
		err = patch.AdmitReconcile(record)
	}
	if err != nil {
		return LoadRecordResult{}, failed(ctx, op, err)
	}
	return LoadRecordResult{Record: record, Attempt: attempt(ctx)}, nil
}

// AdoptImageInput asks for the row to follow the container.
type AdoptImageInput struct {
	// Record is the row as it was loaded.
	Record runtime.RuntimeRecord `json:"record"`
	// Fence is that of [Activities.TakeFence].
	Fence int64 `json:"fence"`
}

// AdoptImageResult is what the container was found on.
type AdoptImageResult struct {
	// Adopted is what the row says now.
	Adopted patch.Image           `json:"adopted"`
	Record  runtime.RuntimeRecord `json:"record"`
	// Fence is as in [patch.Undo].
	Fence   int64 `json:"fence,omitempty"`
	Attempt int   `json:"attempt"`
}

// AdoptImage rotates image and version of the row to what the container runs,
// once nothing that was asked of Runtime Manager before can change that any
// more, as far as it knows fencing numbers. It fails for good with engine_version_not_found when the image is that
// of no registered version, or of several; with conflict when no container is
// up; with runtime_not_found and runtime_not_running as LoadRuntime does. It
// fails for now with service_unavailable, also when the row moved meanwhile.
func (a *Activities) AdoptImage(ctx context.Context, input AdoptImageInput) (AdoptImageResult, error) {
	const op = "adopt the container's image"
	ctx, done := alive(ctx)
	defer done()

	result, err := a.adopt(ctx, input)
	if err != nil {
		return AdoptImageResult{}, failed(ctx, op, err)
	}
	return result, nil
}

func (a *Activities) adopt(ctx context.Context, input AdoptImageInput) (AdoptImageResult, error) {
	gameID := input.Record.GameID
	fence, err := a.fence(ctx, gameID, input.Fence)
	if err != nil {
		return AdoptImageResult{}, err
	}
	row, err := a.runtimes.Get(ctx, gameID)
	if err != nil {
		return AdoptImageResult{}, err
	}
	if err := errors.Join(patch.SameGame(input.Record, row), patch.AdmitReconcile(row)); err != nil {
		return AdoptImageResult{}, err
	}
	container, err := a.inspect(ctx, gameID)
	if err != nil {
		return AdoptImageResult{}, err
	}
	versions, err := a.versions.List(ctx)
	if err != nil {
		return AdoptImageResult{}, err
	}
	target, err := patch.Adopt(row, container.Runs(container.ImageRef), container.ImageRef, versions)
	if err != nil {
		return AdoptImageResult{}, err
	}
	if target != patch.ImageOf(row) {
		if err := a.rotate(ctx, row, target, input.Fence); err != nil {
			return AdoptImageResult{}, err
		}
	}
	row.CurrentEngineVersion, row.CurrentImageRef = target.Version, target.ImageRef
	return AdoptImageResult{Adopted: target, Record: row, Fence: fence, Attempt: attempt(ctx)}, nil
}

// rotateTime is what the rotation is given once it was begun: as much as an
// attempt on Postgres.
const rotateTime = 5 * time.Second

// rotate writes target into the row. Begun, it is brought to its end: cancelled
// half-way, nobody would know whether it took place. A swap that was lost to
// another writer is tried again, from the look at both sides on.
func (a *Activities) rotate(ctx context.Context, row runtime.RuntimeRecord, target patch.Image, fence int64) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rotateTime)
	defer cancel()
	err := a.runtimes.UpdateImage(ctx, ports.UpdateImageInput{
		GameID: row.GameID, ExpectedStatus: row.Status,
		CurrentImageRef: target.ImageRef, CurrentEngineVersion: target.Version,
		ExpectedImageRef: row.CurrentImageRef, ExpectedEngineVersion: row.CurrentEngineVersion, Fence: fence, Now: time.Now().UTC(),
	})
	if errors.Is(err, ports.ErrStaleFence) {
		return patch.Overtaken()
	}
	if errors.Is(err, runtime.ErrConflict) || errors.Is(err, engineversion.ErrConflict) {
		return errOutOfLine
	}
	return err
}
