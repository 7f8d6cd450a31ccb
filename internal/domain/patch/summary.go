package patch

import (
	"cmp"
	"fmt"
	"strings"
)

// MaxSummary is Temporal's bound on a static summary, in bytes; that of a step is
// kept to it as well.
const MaxSummary = 200

// Summary is the one line that lists of runs show: game, target, who.
func (request Request) Summary() string {
	return Truncate(fmt.Sprintf("patch %s to %s (%s)", request.GameID, request.Version,
		cmp.Or(request.Actor, string(request.OpSource.OrDefault()))), MaxSummary)
}

// Details is the part of the run's page that never changes, in Markdown: who
// asked, for what and why, and how patient the run is. It is far below the 20 kB
// that Temporal takes, because every text of others is cut.
func (request Request) Details(budgets Budgets) string {
	var b strings.Builder
	line(&b, "Patch", Quoted(request.PatchID))
	line(&b, "Asked for", fmt.Sprintf("game %s to version %s", Quoted(request.GameID), Quoted(request.Version)))
	if request.ExpectedVersion != "" {
		line(&b, "Only from", Quoted(request.ExpectedVersion))
	}
	if request.Force {
		line(&b, "Force", "the container is recreated also when the game is on the version already")
	}
	asked(&b, request)
	budgets.tell(&b)
	return b.String()
}

// Summary is that of a reconciliation.
func (request ReconcileRequest) Summary() string {
	return Truncate(fmt.Sprintf("reconcile %s: %s (%s)", request.GameID, request.Mode,
		cmp.Or(request.Actor, string(request.OpSource.OrDefault()))), MaxSummary)
}

// Details is that of a reconciliation.
func (request ReconcileRequest) Details(budgets Budgets) string {
	var b strings.Builder
	line(&b, "Reconciliation", Quoted(request.PatchID))
	gives := "the container follows the record"
	if request.Mode == ModeAdopt {
		gives = "the record follows the container"
	}
	line(&b, "Asked for", fmt.Sprintf("game %s, mode %s: %s", Quoted(request.GameID), Quoted(string(request.Mode)), gives))
	asked(&b, request.Asked())
	budgets.tell(&b)
	return b.String()
}

// asked tells who asked and why.
func asked(b *strings.Builder, request Request) {
	source := Quoted(string(request.OpSource.OrDefault()))
	if request.Actor != "" {
		source = Quoted(request.Actor) + " by " + source
	}
	line(b, "Asked by", source)
	if request.SourceRef != "" {
		line(b, "Reference", Quoted(request.SourceRef))
	}
	if request.Reason != "" {
		line(b, "Reason", Quoted(request.Reason))
	}
}

func (budgets Budgets) tell(b *strings.Builder) {
	budgets = budgets.OrDefaults()
	line(b, "Gives up after", fmt.Sprintf("%s for a step on Postgres, %s for Runtime Manager, %s for one undo",
		budgets.Store, budgets.Manager, budgets.Undo))
	line(b, "Result", "the audit row, which outlives this page: `gamemaster patches show`")
}
