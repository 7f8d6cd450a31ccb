package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/ports"
)

// Export has the steps that carry the histories of closed runs into the store. It
// is registered with a worker as a whole: every exported method is an activity.
type Export struct {
	histories ports.HistoryStore
	runs      ports.ClosedRuns
	replayer  ports.Replayer
}

// ExportDependencies are what the steps of the export need; all are required.
type ExportDependencies struct {
	Histories ports.HistoryStore
	Runs      ports.ClosedRuns
	Replayer  ports.Replayer
}

// NewExport returns the steps over deps, or an error that names what is missing.
func NewExport(deps ExportDependencies) (*Export, error) {
	switch {
	case deps.Histories == nil:
		return nil, errors.New("new export: nil histories")
	case deps.Runs == nil:
		return nil, errors.New("new export: nil closed runs")
	case deps.Replayer == nil:
		return nil, errors.New("new export: nil replayer")
	}
	return &Export{histories: deps.Histories, runs: deps.Runs, replayer: deps.Replayer}, nil
}

// maxRetried bounds the missed runs that a pass tries again: as many as are on a
// page of new ones, so that a heap of them takes no longer than that.
const maxRetried = 50

// BeginExportInput names the export.
type BeginExportInput struct {
	// Name is that of the mark: the one of the schedule.
	Name string `json:"name"`
}

// BeginExportResult says where to go on.
type BeginExportResult struct {
	// Mark is up to when the closed runs have been looked through; zero when
	// never, which reaches back as far as Temporal does.
	Mark    time.Time    `json:"mark"`
	Counts  ExportCounts `json:"counts"`
	Attempt int          `json:"attempt"`
}

// ExportCounts are what came of runs.
type ExportCounts struct {
	// Exported runs are kept, those that do not replay included, of which
	// Unreplayable says how many they are.
	Exported     int `json:"exported"`
	Unreplayable int `json:"unreplayable,omitempty"`
	// Missed runs could not be exported, and are tried again by the next pass.
	Missed int `json:"missed,omitempty"`
}

// Add returns the sum.
func (c ExportCounts) Add(other ExportCounts) ExportCounts {
	c.Exported += other.Exported
	c.Unreplayable += other.Unreplayable
	c.Missed += other.Missed
	return c
}

// BeginExport tries again what was missed, and tells where the passes before got
// to. It fails for now with service_unavailable.
func (e *Export) BeginExport(ctx context.Context, input BeginExportInput) (BeginExportResult, error) {
	const op = "begin export"
	ctx, done := alive(ctx)
	defer done()
	mark, err := e.histories.Mark(ctx, input.Name)
	if err != nil {
		return BeginExportResult{}, failed(ctx, op, err)
	}
	missed, err := e.histories.Missed(ctx, maxRetried)
	if err != nil {
		return BeginExportResult{}, failed(ctx, op, err)
	}
	counts, err := e.export(ctx, missed)
	if err != nil {
		return BeginExportResult{}, failed(ctx, op, err)
	}
	return BeginExportResult{Mark: mark, Counts: counts, Attempt: attempt(ctx)}, nil
}

// ExportPageInput asks for one page of the closed runs.
type ExportPageInput struct {
	// Since is the earliest end that is looked at.
	Since time.Time `json:"since"`
	// PageToken is that of the page before; empty asks for the first page.
	PageToken []byte `json:"page_token,omitempty"`
}

// ExportPageResult is what the page came to.
type ExportPageResult struct {
	Counts ExportCounts `json:"counts"`
	// NextPageToken is empty when no page follows.
	NextPageToken []byte `json:"next_page_token,omitempty"`
	Attempt       int    `json:"attempt"`
}

// ExportPage exports those runs of a page that are not kept yet. A run that cannot
// be read does not keep the others from it: it is noted, and tried again by the
// passes to come. Done again it exports what is left. It fails for now with
// service_unavailable.
func (e *Export) ExportPage(ctx context.Context, input ExportPageInput) (ExportPageResult, error) {
	const op = "export page"
	ctx, done := alive(ctx)
	defer done()
	page, err := e.runs.PageClosed(ctx, input.Since, input.PageToken)
	if err != nil {
		return ExportPageResult{}, failed(ctx, op, ofRuns(ctx, "page the closed runs", err))
	}
	due, err := e.histories.Unkept(ctx, page.Runs)
	if err != nil {
		return ExportPageResult{}, failed(ctx, op, err)
	}
	counts, err := e.export(ctx, due)
	if err != nil {
		return ExportPageResult{}, failed(ctx, op, err)
	}
	return ExportPageResult{Counts: counts, NextPageToken: page.NextPageToken, Attempt: attempt(ctx)}, nil
}

// export keeps the histories of runs, one at a time so that one is in memory. What
// it logs is about such a run, whose ids stand in the place of the pass's own. The
// error is the store's, or that the step is to end.
func (e *Export) export(ctx context.Context, runs []history.Ref) (counts ExportCounts, err error) {
	for _, ref := range runs {
		run, document, err := e.runs.History(ctx, ref, history.MaxSize)
		if err == nil {
			if fault := e.replayer.Replay(document); fault != nil {
				run.ReplayError = bounded(fault.Error())
				counts.Unreplayable++
				activity.GetLogger(ctx).Warn("history does not replay",
					"patch_id", run.PatchID, "workflow_id", ref.WorkflowID, "run_id", ref.RunID, "err", run.ReplayError)
			}
			err = e.histories.Keep(ctx, run, document)
			if err == nil {
				counts.Exported++
				continue
			}
			if !errors.Is(err, ports.ErrInvalidInput) {
				return counts, err
			}
		}
		if err := e.again(ctx, err); err != nil {
			return counts, err
		}
		counts.Missed++
		activity.GetLogger(ctx).Warn("history is not exported, and tried again",
			"workflow_id", ref.WorkflowID, "run_id", ref.RunID, "err", err.Error())
		if err := e.histories.Miss(ctx, ref, bounded(err.Error())); err != nil {
			return counts, err
		}
	}
	return counts, nil
}

// exportTries is how often a page is tried while Temporal does not tell of a run:
// with the waits in between some seconds, a restart. After it the others go on.
const exportTries = 3

// again is the error with which the step is to be tried again, when a run could
// not be read for the reason err; nil when the run is to be noted as missed.
func (e *Export) again(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, history.ErrNotFound), errors.Is(err, history.ErrTooLarge), errors.Is(err, ports.ErrInvalidInput):
		return nil
	case attempt(ctx) < exportTries:
		return ofRuns(ctx, "read a history", err)
	}
	return nil
}

// FinishExportInput is the end of a pass.
type FinishExportInput struct {
	Name string    `json:"name"`
	Mark time.Time `json:"mark"`
}

// FinishExportResult says that the mark is set.
type FinishExportResult struct {
	Attempt int `json:"attempt"`
}

// FinishExport sets the mark from which the next pass goes on. It fails for now
// with service_unavailable.
func (e *Export) FinishExport(ctx context.Context, input FinishExportInput) (FinishExportResult, error) {
	if err := e.histories.SetMark(ctx, input.Name, input.Mark); err != nil {
		return FinishExportResult{}, failed(ctx, "finish export", err)
	}
	return FinishExportResult{Attempt: attempt(ctx)}, nil
}
