package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
)

const (
	// maxHistory bounds the history that is told, in bytes: a patch has some 40
	// kB, and clients read no answer beyond 8 MiB.
	maxHistory = 6 << 20

	// maxHistoryRuns bounds the runs that are told: a patch has one, and one more
	// for each reset.
	maxHistoryRuns = 100

	// maxInterventions bounds what people did that is told: a patch has a few, and
	// whoever can send signals can send any number.
	maxInterventions = 1000
)

// GetPatchHistory answers the events of one run of a patch: from Temporal while
// that has the run, else from its export.
func (server *Server) GetPatchHistory(
	ctx context.Context, request contract.GetPatchHistoryRequestObject,
) (contract.GetPatchHistoryResponseObject, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	kept, err := server.histories.ListHistories(ctx, request.PatchID, maxHistoryRuns)
	if err != nil {
		return nil, unavailable("list the histories", err)
	}
	asking, done := partOfTheTime(ctx, kept)
	defer done()
	runID, err := server.runOf(asking, request, kept)
	if err != nil {
		return nil, err
	}
	run, document, err := server.fromTemporal(asking, request.PatchID, runID)
	if err != nil {
		run, document, err = server.fromExport(ctx, request.PatchID, runID, kept, err)
	}
	if err != nil {
		return nil, err
	}
	interventions, err := server.interventions(ctx, request.PatchID, run)
	if err != nil {
		return nil, err
	}
	return contract.GetPatchHistory200JSONResponse{Body: contract.PatchHistory{
		PatchID: request.PatchID, Run: toldRun(run), Runs: each(kept, toldRun),
		Interventions: each(interventions, toldIntervention), History: document,
	}}, nil
}

// interventions is what people did to the patch, in order: what is kept of its
// closed runs, and what run tells of itself, which need not be kept yet.
func (server *Server) interventions(ctx context.Context, patchID string, run history.Run) ([]history.Intervention, error) {
	all, err := server.histories.ListInterventions(ctx, patchID, maxInterventions)
	if err != nil {
		return nil, unavailable("list the interventions", err)
	}
	for _, one := range run.Interventions {
		if !slices.ContainsFunc(all, func(kept history.Intervention) bool {
			return kept.RunID == one.RunID && kept.EventID == one.EventID
		}) {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b history.Intervention) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.RunID, b.RunID), cmp.Compare(a.EventID, b.EventID))
	})
	return all[max(0, len(all)-maxInterventions):], nil
}

// toldIntervention tells what somebody did.
func toldIntervention(one history.Intervention) contract.Intervention {
	return contract.Intervention{RunID: one.RunID, At: one.At, Action: string(one.Action), By: one.By, Reason: one.Reason}
}

// runOf is the run that is asked for: the one that is named, or the latest, also
// when nobody but the export knows of it any more.
func (server *Server) runOf(
	ctx context.Context, request contract.GetPatchHistoryRequestObject, kept []history.Run,
) (runID string, err error) {
	if request.Params.RunID != "" {
		return request.Params.RunID, nil
	}
	view, err := server.patcher.Look(ctx, request.PatchID)
	switch {
	case err == nil && view.Handle.RunID != "":
		return view.Handle.RunID, nil
	case len(kept) > 0:
		return kept[0].RunID, nil
	case err != nil:
		return "", patcherFault("look at the patch", err)
	}
	return "", noHistory()
}

// partOfTheTime is the context for what is asked of Temporal: where something is
// kept, one that leaves time to read it, since a Temporal that hangs answers
// nothing at all.
func partOfTheTime(ctx context.Context, kept []history.Run) (context.Context, context.CancelFunc) {
	if len(kept) == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, lookTimeout)
}

// fromTemporal reads a run of the patch from Temporal.
func (server *Server) fromTemporal(ctx context.Context, patchID, runID string) (history.Run, []byte, error) {
	gameID, _ := patch.GameOf(patchID)
	run, document, err := server.patcher.History(ctx, history.Ref{WorkflowID: patch.WorkflowID(gameID), RunID: runID}, maxHistory)
	if err == nil && run.PatchID != patchID {
		// A run of another patch of the game.
		err = history.ErrNotFound
	}
	return run, document, err
}

// fromExport reads a run of the patch, which Temporal did not tell of for the
// reason asked, from its export. The error is a problem.
func (server *Server) fromExport(
	ctx context.Context, patchID, runID string, kept []history.Run, asked error,
) (run history.Run, document []byte, err error) {
	err = asked
	if i := slices.IndexFunc(kept, func(run history.Run) bool { return run.RunID == runID }); i >= 0 {
		run = kept[i]
		document, err = server.histories.ReadHistory(ctx, patchID, runID, maxHistory)
	}
	switch {
	case err == nil:
		return run, document, nil
	case errors.Is(err, history.ErrNotFound):
		return history.Run{}, nil, noHistory()
	case errors.Is(err, history.ErrTooLarge):
		return history.Run{}, nil, internal("read the history", fmt.Errorf("it has more than %d bytes", maxHistory))
	}
	return history.Run{}, nil, patcherFault("read the history", err)
}

// noHistory is the problem of a run that neither Temporal nor the export has.
func noHistory() *problem {
	return refusal(codePatchNotFound, "no history is known of such a run of the patch")
}

// toldRun tells a run.
func toldRun(run history.Run) contract.HistoryRun {
	told := contract.HistoryRun{
		RunID: run.RunID, WorkflowID: run.WorkflowID, WorkflowType: run.WorkflowType, Status: run.Status, Source: "temporal",
		Events: run.Events, StartedAt: run.StartedAt, ClosedAt: run.ClosedAt, ExportedAt: run.ExportedAt, ReplayError: run.ReplayError,
	}
	if run.ExportedAt != (time.Time{}) {
		told.Source = "export"
	}
	return told
}
