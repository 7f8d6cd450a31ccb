package activities

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// SweepEndedInput asks for one page of the runs that were ended from outside.
type SweepEndedInput struct {
	// Since is the earliest end that is looked at.
	Since time.Time `json:"since"`
	// PageToken is that of the page before; empty asks for the first page.
	PageToken []byte `json:"page_token,omitempty"`
}

// SweepEndedResult is what the page came to.
type SweepEndedResult struct {
	// Runs is how many runs were on the page; all have their audit row by now.
	Runs int `json:"runs"`
	// NextPageToken is empty when no page follows.
	NextPageToken []byte `json:"next_page_token,omitempty"`
	Attempt       int    `json:"attempt"`
}

// tell appends entry, unless its run has a row already: an append that finds one
// uses up a number of the log all the same, and the same runs are swept for a day.
func (w *Watch) tell(ctx context.Context, entry operation.OperationEntry) error {
	rows, err := w.log.ListByPatch(ctx, entry.PatchID)
	if err != nil || slices.ContainsFunc(rows, func(row operation.OperationEntry) bool { return row.RunID == entry.RunID }) {
		return err
	}
	_, err = w.log.Append(ctx, entry)
	return err
}

// SweepEnded writes the audit rows of runs that could write none, because they
// were terminated or timed out. A run that has its row already gets no other, so
// that the same runs may be swept again. It fails for now with
// service_unavailable.
func (w *Watch) SweepEnded(ctx context.Context, input SweepEndedInput) (SweepEndedResult, error) {
	const op = "sweep ended runs"
	ctx, done := alive(ctx)
	defer done()
	page, err := w.runs.PageEnded(ctx, input.Since, input.PageToken)
	if err != nil {
		return SweepEndedResult{}, failed(ctx, op, ofRuns(ctx, "page the ended runs", err))
	}
	for _, run := range page.Runs {
		entry := patch.EndedEntry(run)
		if err := entry.Validate(); err != nil {
			// A run that somebody started by hand about no game; it must not keep
			// the others from their rows.
			activity.GetLogger(ctx).Warn("ended run has no audit row",
				"workflow_id", run.Handle.WorkflowID, "run_id", run.Handle.RunID, "err", err.Error())
			continue
		}
		if err := w.tell(ctx, entry); err != nil {
			return SweepEndedResult{}, failed(ctx, op, err)
		}
	}
	return SweepEndedResult{Runs: len(page.Runs), NextPageToken: page.NextPageToken, Attempt: attempt(ctx)}, nil
}
