package api

import (
	"context"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
)

// Patcher starts, joins, awaits, looks at, lists and steers patches and
// reconciliations; package starter implements it.
type Patcher interface {
	// Start starts the patch or joins the open one of the same version; the
	// handle names the run that carries it out, so a joined request gets the
	// patch id of the run that it joined. It returns a [*patch.Refusal] with
	// [patch.CodePatchInProgress] (PatchID is the open patch) or
	// [patch.CodeServiceUnavailable] when it cannot. Of the latter, one with a
	// PatchID may have taken place.
	Start(ctx context.Context, request patch.Request) (patch.Handle, error)

	// Await waits for the end of the run. It returns [patch.ErrStillOpen] when
	// ctx ends first; the run goes on.
	Await(ctx context.Context, handle patch.Handle) (patch.Result, error)

	// Look returns what is known of the patch, or [patch.ErrNotFound] when no
	// patch has the id.
	Look(ctx context.Context, patchID string) (patch.View, error)

	// History returns a run, open or closed, with its history as JSON. It returns
	// [history.ErrNotFound] when Temporal has forgotten the run, and
	// [history.ErrTooLarge] when the JSON has more than most bytes.
	History(ctx context.Context, run history.Ref, most int) (history.Run, []byte, error)

	// Reconcile starts the reconciliation or joins the open one of the same mode,
	// and is refused as Start is.
	Reconcile(ctx context.Context, request patch.ReconcileRequest) (patch.Handle, error)

	// Cancel asks the open run of the patch to stop. It returns
	// [patch.ErrNotFound], [patch.ErrClosed] when the patch has ended, or
	// [patch.ErrInDoubt] when it waits for an operator.
	Cancel(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error)

	// Retry has a patch that waits for an operator try again, and Abandon has it
	// end as it stands. They return [patch.ErrNotFound], [patch.ErrClosed],
	// [patch.ErrNotInDoubt] when the patch waits for nobody, or [patch.ErrPaused]
	// when its run is paused.
	Retry(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error)
	Abandon(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error)

	// ListOpen returns a page of the open patches.
	ListOpen(ctx context.Context, query patch.OpenQuery) (patch.OpenPage, error)
}
