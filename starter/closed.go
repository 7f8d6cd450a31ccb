package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
)

// closedPage bounds the runs that are listed at once: each is exported by itself,
// in some ten milliseconds, so that a page takes a few seconds.
const closedPage = 50

// PageClosed returns a page of the patches and reconciliations that closed at or
// after since, however they closed. They come from Temporal's visibility store,
// which lags about a second behind. pageToken is [history.ClosedPage.NextPageToken]
// of the page before, good for the same since only, and empty for the first page.
// It returns a [*patch.Refusal] with service_unavailable when Temporal cannot say.
func (s *Starter) PageClosed(ctx context.Context, since time.Time, pageToken []byte) (history.ClosedPage, error) {
	answer, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: closedPage, NextPageToken: pageToken,
		// Another installation in the same namespace exports its own.
		Query: gameRuns + " AND TaskQueue = '" + s.taskQueue + "' AND ExecutionStatus != 'Running' AND CloseTime >= '" +
			since.UTC().Format(time.RFC3339Nano) + "'",
	})
	if err != nil {
		return history.ClosedPage{}, unavailable(ctx, "list the runs that have closed", err)
	}
	page := history.ClosedPage{NextPageToken: answer.GetNextPageToken()}
	for _, info := range answer.GetExecutions() {
		page.Runs = append(page.Runs, history.Ref{WorkflowID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId()})
	}
	return page, nil
}

// History returns a run, open or closed, with what people did to it and with its
// history as the SDK's JSON, which is also what `temporal workflow show --output
// json` prints. It returns
// [history.ErrNotFound] when Temporal has forgotten the run, [history.ErrTooLarge]
// when the JSON has more than most bytes, and a [*patch.Refusal] with
// service_unavailable when Temporal cannot say.
func (s *Starter) History(ctx context.Context, ref history.Ref, most int) (history.Run, []byte, error) {
	described, err := s.describe(ctx, ref.WorkflowID, ref.RunID)
	var invalid *serviceerror.InvalidArgument
	switch {
	// Temporal's own have one shape; what it cannot read as a run ID is no run's.
	case errors.Is(err, patch.ErrNotFound), errors.As(err, &invalid):
		return history.Run{}, nil, fmt.Errorf("run %q: %w", ref.RunID, history.ErrNotFound)
	case err != nil:
		return history.Run{}, nil, unavailable(ctx, "look at the run", err)
	}
	run := described.past()
	events, err := s.events(ctx, run.Ref, most)
	if err != nil {
		return history.Run{}, nil, err
	}
	document, err := protojson.Marshal(events)
	if err != nil {
		return history.Run{}, nil, fmt.Errorf("encode the history of run %q: %w", run.RunID, err)
	}
	if len(document) > most {
		return history.Run{}, nil, tooLarge(run.Ref, len(document))
	}
	run.Events, run.Size = len(events.GetEvents()), len(document)
	// One that was started by hand has no memo, and is a run of the patch all the same.
	gameID := described.handle.GameID
	run.PatchID = cmp.Or(ofGame(gameID, run.PatchID), patchOf(gameID, events.GetEvents()))
	run.Interventions = Interventions(run.Ref, events.GetEvents())
	return run, document, nil
}

func (d described) past() history.Run {
	run := history.Run{
		Ref:     history.Ref{WorkflowID: d.handle.WorkflowID, RunID: d.handle.RunID},
		PatchID: d.handle.PatchID, WorkflowType: d.workflow, Status: d.status.String(), StartedAt: d.started,
	}
	if !d.isOpen() {
		run.ClosedAt = d.closed
	}
	return run
}

// events reads the whole history. It stops as soon as that is too large: the JSON
// is larger than what is read.
func (s *Starter) events(ctx context.Context, ref history.Ref, most int) (*historypb.History, error) {
	all, size := &historypb.History{}, 0
	pages := s.client.GetWorkflowHistory(ctx, ref.WorkflowID, ref.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for pages.HasNext() {
		event, err := pages.Next()
		var notFound *serviceerror.NotFound
		switch {
		case errors.As(err, &notFound):
			return nil, fmt.Errorf("run %q: %w", ref.RunID, history.ErrNotFound)
		case err != nil:
			return nil, unavailable(ctx, "read the history", err)
		}
		if size += proto.Size(event); size > most {
			return nil, tooLarge(ref, size)
		}
		all.Events = append(all.Events, event)
	}
	return all, nil
}

func tooLarge(ref history.Ref, size int) error {
	return fmt.Errorf("run %q: %d bytes and more: %w", ref.RunID, size, history.ErrTooLarge)
}
