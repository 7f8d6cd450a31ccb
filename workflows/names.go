package workflows

import (
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/domain/patch"
)

// Everything that Temporal or an operator knows by name. Open runs and old
// histories refer to these: a name that was released is never changed.
const (
	// TaskQueue is where workers poll for the runs and their steps.
	TaskQueue = "gamemaster"
	// PatchRuntimeType is the workflow type of one patch.
	PatchRuntimeType = "PatchRuntime"
	// ReconcileRuntimeType is the workflow type that brings one game's record and
	// container together; it runs under the ID of the game's patches.
	ReconcileRuntimeType = "ReconcileRuntime"
	// ReconcileRuntimesType is the workflow type of one pass of the watch.
	ReconcileRuntimesType = "ReconcileRuntimes"
	// ExportHistoriesType is the workflow type of one pass of the export of
	// histories.
	ExportHistoriesType = "ExportHistories"
	// StateQuery answers a [patch.State].
	StateQuery = "state"
	// RetryUpdate and AbandonUpdate take a [patch.Command] while the run is in
	// needs_operator.
	RetryUpdate   = "retry"
	AbandonUpdate = "abandon"
)

// Memo fields, by which a request finds out whether it may join an open run, and
// a list tells what each run is. The latter two are there when they are not
// empty; runs from before they existed have neither.
const (
	MemoPatchID         = "patch_id"
	MemoVersion         = "version"
	MemoForce           = "force"
	MemoExpectedVersion = "expected_version"
	MemoActor           = "actor"
	// MemoMode is there for a reconciliation only, which has no version.
	MemoMode = "mode"
)

// Search attributes of a patch or a reconciliation, all of type Keyword. They are
// what a list of runs is filtered by; see the saved views in docs/runbook.md.
// TargetVersion is a patch's only, Actor is missing when nobody was named, and
// ErrorCode is there while a failure is undone and when it was the end.
var (
	GameIDKey        = temporal.NewSearchAttributeKeyKeyword("GameId")
	TargetVersionKey = temporal.NewSearchAttributeKeyKeyword("TargetVersion")
	PatchOutcomeKey  = temporal.NewSearchAttributeKeyKeyword("PatchOutcome")
	OpSourceKey      = temporal.NewSearchAttributeKeyKeyword("OpSource")
	ActorKey         = temporal.NewSearchAttributeKeyKeyword("Actor")
	PhaseKey         = temporal.NewSearchAttributeKeyKeyword("Phase")
	ErrorCodeKey     = temporal.NewSearchAttributeKeyKeyword("ErrorCode")
)

// PhaseForward is the search attribute Phase of a run on its way forward:
// validating, patching or recording, which of them tells the run itself. Each
// change of a search attribute is an event of the history, and these phases last
// for milliseconds in all runs that go well: only a run that goes wrong, or waits
// for its audit row, tells more. See [run.attribute].
const PhaseForward = "forward"

// Values of PatchOutcome while the run is open; a closed run has its
// operation.Outcome there.
const (
	OutcomeOpen          = "open"
	OutcomeNeedsOperator = "needs_operator"
)

// SearchAttributes returns the name and type of every search attribute that a
// namespace must have before a patch can start.
func SearchAttributes() map[string]string {
	const keyword = "Keyword"
	return map[string]string{
		GameIDKey.GetName():        keyword,
		TargetVersionKey.GetName(): keyword,
		PatchOutcomeKey.GetName():  keyword,
		OpSourceKey.GetName():      keyword,
		ActorKey.GetName():         keyword,
		PhaseKey.GetName():         keyword,
		ErrorCodeKey.GetName():     keyword,
	}
}

// maxAttribute bounds what is put into a search attribute, in bytes: visibility
// stores index at most 255 characters of a Keyword, and a run that somebody
// started by hand may carry anything.
const maxAttribute = 255

// Attributes returns the search attributes that a patch is started with.
func Attributes(request patch.Request) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(append(asked(request),
		PatchOutcomeKey.ValueSet(OutcomeOpen), PhaseKey.ValueSet(PhaseForward))...)
}

// ReconcileAttributes returns those of a reconciliation. It has no
// TargetVersion: which one it comes to is what the run finds out.
func ReconcileAttributes(request patch.ReconcileRequest) temporal.SearchAttributes {
	return Attributes(request.Asked())
}

// asked are the search attributes that never change.
func asked(request patch.Request) []temporal.SearchAttributeUpdate {
	updates := []temporal.SearchAttributeUpdate{
		GameIDKey.ValueSet(cut(request.GameID)),
		OpSourceKey.ValueSet(string(request.OpSource.OrDefault())),
	}
	if request.Version != "" {
		updates = append(updates, TargetVersionKey.ValueSet(cut(request.Version)))
	}
	if request.Actor != "" {
		updates = append(updates, ActorKey.ValueSet(cut(request.Actor)))
	}
	return updates
}

func cut(text string) string { return patch.Truncate(text, maxAttribute) }
