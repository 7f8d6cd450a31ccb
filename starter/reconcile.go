package starter

import (
	"context"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// Reconcile starts to bring a game's record and container together, or joins the
// game's open reconciliation of the same mode. It runs under the workflow ID of
// the game's patches, so that the two never meet.
//
// The same request id started again returns its run as [Starter.Start] does, and
// the handle is good for whatever a patch's is: [Starter.Await], [Starter.Look]
// and [Starter.Cancel].
//
// It returns a [*patch.Refusal]: with invalid_request when the request is not
// well formed, with patch_in_progress when a patch of the game is open, or a
// reconciliation of the other mode, with service_unavailable when Temporal cannot
// say.
func (s *Starter) Reconcile(ctx context.Context, request patch.ReconcileRequest) (patch.Handle, error) {
	if err := request.Validate(); err != nil {
		return patch.Handle{}, err
	}
	options := s.options(request.GameID)
	options.Memo = reconcileMemo(request)
	options.TypedSearchAttributes = workflows.ReconcileAttributes(request)
	options.StaticSummary, options.StaticDetails = request.Summary(), request.Details(s.budgets)
	return s.begin(ctx, beginning{
		patchID: request.PatchID, gameID: request.GameID, options: options,
		workflow: workflows.ReconcileRuntimeType, input: workflows.ReconcileInput{Request: request, Budgets: s.budgets},
		join: func(_ context.Context, open described) (patch.Handle, error) {
			if open.reconciles() && open.mode == request.Mode {
				return joined(open.handle), nil
			}
			return patch.Handle{}, inTheWay(open)
		},
	})
}

func reconcileMemo(request patch.ReconcileRequest) map[string]any {
	fields := map[string]any{
		workflows.MemoPatchID: request.PatchID,
		workflows.MemoMode:    string(request.Mode),
	}
	if request.Actor != "" {
		fields[workflows.MemoActor] = request.Actor
	}
	return fields
}
