package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/patch"
)

const (
	// exportLag is how far behind its own start a pass sets the mark: the
	// visibility store, in which closed runs are found, lags a second as a rule,
	// and a run that is kept already costs its share of a statement.
	exportLag = 10 * time.Minute

	// exportSweep is how far the first pass of each hour reaches back, whatever the
	// mark says: it makes up for a visibility store that stood still for a night,
	// or a weekend's half.
	exportSweep = 36 * time.Hour

	// exportPages is how many pages a run walks before it goes on as a new one: a
	// page is six events, so that a run stays near six hundred of the 51,200 that
	// it may have.
	exportPages = 100
)

// ExportInput is the argument of [ExportHistories].
type ExportInput struct {
	// Name is that of the mark, which is the schedule's.
	Name string `json:"name"`
	// Progress is how far the pass has come in the runs before; who starts a pass
	// leaves it out.
	Progress ExportProgress `json:"progress,omitzero"`
}

// ExportProgress is how far a pass has come. It is all that is carried from run to
// run.
type ExportProgress struct {
	// StartedAt is when the first run of the pass began; Since is the earliest end
	// of a run that it looks at.
	StartedAt time.Time `json:"started_at"`
	Since     time.Time `json:"since"`
	// PageToken is where it goes on; empty before the first page.
	PageToken []byte                  `json:"page_token,omitempty"`
	Pages     int                     `json:"pages"`
	Counts    activities.ExportCounts `json:"counts"`
}

// ExportHistories is one pass of the export: it tries again what was missed, then
// walks over the runs that closed since the mark and keeps the histories of those
// that are not kept yet, and sets the mark.
//
// A run whose history cannot be read is noted and left to the next pass; a step
// that fails beyond its budget fails the pass, and the next one goes on from the
// same mark. It returns what it came to.
func ExportHistories(ctx workflow.Context, input ExportInput) (ExportProgress, error) {
	e := &export{input: input, progress: input.Progress}
	if e.progress.StartedAt.IsZero() {
		e.progress.StartedAt = workflow.Now(ctx).UTC()
		if err := e.begin(ctx); err != nil {
			return e.progress, e.failed(err)
		}
	}
	for page := 1; ; page++ {
		more, err := e.page(ctx)
		if err != nil {
			return e.progress, e.failed(err)
		}
		if !more {
			break
		}
		if page >= exportPages || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			e.input.Progress = e.progress
			return e.progress, workflow.NewContinueAsNewError(ctx, ExportHistoriesType, e.input)
		}
	}
	finish := activities.FinishExportInput{Name: input.Name, Mark: e.mark()}
	var finished activities.FinishExportResult
	options := storeOptions(ctx, finishBudget, "set the mark")
	if err := workflow.ExecuteActivity(options, e.steps.FinishExport, finish).Get(ctx, &finished); err != nil {
		return e.progress, e.failed(err)
	}
	e.show(ctx)
	return e.progress, nil
}

// export is one pass under way.
type export struct {
	input    ExportInput
	progress ExportProgress
	steps    *activities.Export
}

// mark is from where the next pass goes on.
func (e *export) mark() time.Time { return e.progress.StartedAt.Add(-exportLag) }

func (e *export) begin(ctx workflow.Context) error {
	var begun activities.BeginExportResult
	options := exportOptions(ctx, "try again what was missed")
	if err := workflow.ExecuteActivity(options, e.steps.BeginExport, activities.BeginExportInput{Name: e.input.Name}).Get(ctx, &begun); err != nil {
		return err
	}
	e.progress.Since, e.progress.Counts = begun.Mark, begun.Counts
	if sweep := e.progress.StartedAt.Add(-exportSweep); !begun.Mark.Truncate(time.Hour).Equal(e.mark().Truncate(time.Hour)) &&
		sweep.Before(begun.Mark) {
		e.progress.Since = sweep
	}
	e.show(ctx)
	return nil
}

func (e *export) page(ctx workflow.Context) (more bool, err error) {
	var exported activities.ExportPageResult
	options := exportOptions(ctx, fmt.Sprintf("export page %d", e.progress.Pages+1))
	input := activities.ExportPageInput{Since: e.progress.Since, PageToken: e.progress.PageToken}
	if err := workflow.ExecuteActivity(options, e.steps.ExportPage, input).Get(ctx, &exported); err != nil {
		return false, err
	}
	e.progress.Pages++
	e.progress.Counts = e.progress.Counts.Add(exported.Counts)
	e.progress.PageToken = exported.NextPageToken
	e.show(ctx)
	return len(exported.NextPageToken) > 0, nil
}

// failed is how the pass closes when it could not be brought to its end: as
// Failed, so that a person looks, unless it was cancelled.
func (e *export) failed(err error) error {
	if temporal.IsCanceledError(err) {
		return temporal.NewCanceledError(e.progress)
	}
	refusal, _ := refusalOf(err)
	return temporal.NewApplicationErrorWithOptions(refusal.Message, string(refusal.Code),
		temporal.ApplicationErrorOptions{NonRetryable: true, Cause: err, Details: []any{e.progress}})
}

// show keeps what the UI shows of the pass.
func (e *export) show(ctx workflow.Context) {
	counts := e.progress.Counts
	workflow.SetCurrentDetails(ctx, fmt.Sprintf(
		"- looked through: %d pages\n- exported: %d\n- of these, do not replay: %d\n- missed, tried again by the next pass: %d",
		e.progress.Pages, counts.Exported, counts.Unreplayable, counts.Missed))
}

// One attempt at a page of fifty runs: a few seconds as a rule, and a minute
// where each has a megabyte. exportBudget outlasts a Postgres fail-over and three
// attempts at the longest; the next pass goes on from the same mark.
const (
	exportAttempt = 3 * time.Minute
	exportBudget  = patch.Duration(10 * time.Minute)
)

// exportOptions are for a page of runs.
func exportOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    exportAttempt,
		ScheduleToCloseTimeout: time.Duration(exportBudget),
		HeartbeatTimeout:       managerHeartbeat,
		RetryPolicy:            backoff(time.Second, 30*time.Second),
		Summary:                summary,
	})
}
