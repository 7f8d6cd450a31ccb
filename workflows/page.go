package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/domain/patch"
)

// What a run shows of itself. The page costs no event: the SDK computes it by
// replay when somebody looks, and a worker has to be up for it. The search
// attributes cost one event each time.

// begin shows what the run does from now on: step, or a wait when that is empty,
// given up after budget; zero is no bound.
func (r *run) begin(ctx workflow.Context, step, doing string, budget time.Duration) {
	r.page.Begin(step, doing, workflow.Now(ctx), budget)
	r.show(ctx)
}

// show puts the page where the UI shows it.
func (r *run) show(ctx workflow.Context) { workflow.SetCurrentDetails(ctx, r.page.Markdown()) }

// attributes are the search attributes of a run that change.
type attributes struct {
	outcome string
	phase   string
	code    patch.Code
}

// attribute brings the search attributes that change up to date, when they are
// not. It is called where a list of runs has to tell a run from the others, and
// nowhere else:
//
//   - once at the end, with all three: a run that goes well has this one event,
//     in the workflow task that closes it;
//   - when the undo begins, and again when it begins anew after an operator's
//     retry: a run that goes wrong;
//   - when an operator has to decide;
//   - when the audit row cannot be written at once.
//
// Runs that were started by hand get the others with the first of them.
func (r *run) attribute(ctx workflow.Context, wanted attributes) {
	if r.attributes == wanted {
		return
	}
	updates := []temporal.SearchAttributeUpdate{PatchOutcomeKey.ValueSet(wanted.outcome), PhaseKey.ValueSet(wanted.phase)}
	switch {
	case wanted.code != "":
		updates = append(updates, ErrorCodeKey.ValueSet(string(wanted.code)))
	case r.attributes.code != "":
		// What was undone turned out to have been done.
		updates = append(updates, ErrorCodeKey.ValueUnset())
	}
	if _, known := workflow.GetTypedSearchAttributes(ctx).GetKeyword(GameIDKey); !known {
		updates = append(updates, asked(r.request)...)
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, updates...); err != nil {
		workflow.GetLogger(ctx).Error("upsert search attributes", "err", err.Error())
	}
	r.attributes = wanted
}

// atPhase are the search attributes of an open run.
func (r *run) atPhase(outcome string) attributes {
	return attributes{outcome: outcome, phase: string(r.page.State.Phase), code: r.failing}
}
