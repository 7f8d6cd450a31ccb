package starter

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// gameRuns are the types of the runs that hold a game, for visibility queries.
const gameRuns = "WorkflowType IN ('" + workflows.PatchRuntimeType + "', '" + workflows.ReconcileRuntimeType + "')"

// HasOpen reports whether a patch or a reconciliation of the game is open. It is
// read from Temporal's own state, as of now. It returns a [*patch.Refusal] with
// service_unavailable when Temporal cannot say.
func (s *Starter) HasOpen(ctx context.Context, gameID string) (bool, error) {
	latest, err := s.describe(ctx, patch.WorkflowID(gameID), "")
	switch {
	case errors.Is(err, patch.ErrNotFound):
		return false, nil
	case err != nil:
		return false, unavailable(ctx, "look at the game's patch", err)
	}
	return latest.isOpen(), nil
}

// endedPage bounds the runs that are read at once. Each is looked at by itself,
// which takes a few milliseconds, so that a page takes a second or two.
const endedPage = 50

// PageEnded returns a page of the runs that were ended from outside, by a
// termination or by a timeout, at or after since: patches and reconciliations
// alike. Runs that a reset put another one in the place of are left out, since
// that one brings what they began to an end; so a page may have few runs, or
// none, and not be the last one.
//
// They come from Temporal's visibility store, which lags about a second behind.
// pageToken is [patch.EndedPage.NextPageToken] of the page before, which is good
// for the same since only, and empty for the first page. It returns a
// [*patch.Refusal] with service_unavailable when Temporal cannot say.
func (s *Starter) PageEnded(ctx context.Context, since time.Time, pageToken []byte) (patch.EndedPage, error) {
	answer, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: endedPage, NextPageToken: pageToken,
		// Another installation in the same namespace has its own audit log.
		Query: gameRuns + " AND TaskQueue = '" + s.taskQueue + "' AND ExecutionStatus IN ('Terminated', 'TimedOut') AND CloseTime >= '" +
			since.UTC().Format(time.RFC3339Nano) + "'",
	})
	if err != nil {
		return patch.EndedPage{}, unavailable(ctx, "list the runs that were ended", err)
	}
	page := patch.EndedPage{NextPageToken: answer.GetNextPageToken()}
	for _, info := range answer.GetExecutions() {
		listed := describedOf(info)
		run, err := s.describe(ctx, listed.handle.WorkflowID, listed.handle.RunID)
		switch {
		case errors.Is(err, patch.ErrNotFound):
			// Forgotten between the two; what the list has is all there is.
			run = listed
		case err != nil:
			return patch.EndedPage{}, unavailable(ctx, "look at a run that was ended", err)
		}
		if run.resetRunID != "" {
			continue
		}
		ended := run.ended()
		if ended.EndedBy, ended.EndedFor, err = s.terminatedBy(ctx, run); err != nil {
			return patch.EndedPage{}, unavailable(ctx, "look at who ended a run", err)
		}
		page.Runs = append(page.Runs, ended)
	}
	return page, nil
}

// terminatedBy returns who terminated the run and why, which stands in the last
// event of its history only; nothing of a run that timed out, or is forgotten.
func (s *Starter) terminatedBy(ctx context.Context, run described) (identity, reason string, err error) {
	if run.status != enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED {
		return "", "", nil
	}
	events := s.client.GetWorkflowHistory(ctx, run.handle.WorkflowID, run.handle.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		var notFound *serviceerror.NotFound
		switch {
		case errors.As(err, &notFound):
			return "", "", nil
		case err != nil:
			return "", "", err
		}
		if ended := event.GetWorkflowExecutionTerminatedEventAttributes(); ended != nil {
			return ended.GetIdentity(), ended.GetReason(), nil
		}
	}
	return "", "", nil
}

func (d described) ended() patch.EndedRun {
	return patch.EndedRun{
		Handle: d.handle, Version: d.version, Actor: d.actor, Reconciles: d.reconciles(),
		StartedAt: d.started, EndedAt: d.closed,
	}
}
