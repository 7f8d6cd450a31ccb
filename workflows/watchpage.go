package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/domain/patch"
)

// show has the UI tell what the pass does now: the step that ctx has the options
// of. A pass cannot be hurried and need not be: the next one does all of it
// anew.
func (p *pass) show(ctx workflow.Context) {
	options := workflow.GetActivityOptions(ctx)
	now := workflow.Now(ctx).UTC()
	told := fmt.Sprintf("**Watching:** %s\n\n- **Since:** %s, until %s at the latest\n", options.Summary,
		now.Format(passTime), now.Add(options.ScheduleToCloseTimeout).Format(passTime))
	if p.progress.Silent > 0 {
		told += fmt.Sprintf("- **Runtime Manager does not answer:** for %d pages; after %d the pass is given up\n",
			p.progress.Silent, silentPages)
	}
	workflow.SetCurrentDetails(ctx, told+
		"- **Do:** nothing; when the attempts on the tab *Pending Activities* rise, mend what their error names\n"+
		"- **Leave alone:** nothing; a pass may be cancelled or terminated, the next one begins from the start\n"+p.counts())
}

// ended tells how the pass came out; failure is empty when it was brought to its
// end.
func (p *pass) ended(ctx workflow.Context, failure string) {
	told := "**Done**\n\n- **Do:** look at `gamemaster drift` when one of the differences below is not zero\n"
	if failure != "" {
		told = "**Failed:** " + patch.Quoted(failure) + "\n\n- **Do:** mend what that names; the next pass begins from the start\n"
	}
	workflow.SetCurrentDetails(ctx, told+p.counts())
}

// passTime is how the page of a pass tells times, in UTC.
const passTime = time.DateTime + " UTC"

// counts tells how far the pass has come.
func (p *pass) counts() string {
	counts := p.progress.Counts
	return fmt.Sprintf(
		"\n**So far**\n\n- compared: %d, on %d pages\n- in sync: %d\n- image drift: %d\n- missing: %d\n- extra: %d\n"+
			"- skipped, since a patch is open: %d\n- unknown, since Runtime Manager did not tell: %d\n"+
			"- reconciliations started: %d\n- ended runs swept: %d\n",
		counts.Checked, p.progress.Pages, counts.InSync, counts.ImageDrift, counts.Missing, counts.Extra,
		counts.Skipped, counts.Unknown, p.progress.Healing, p.progress.Swept)
}
