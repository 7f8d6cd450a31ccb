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

// Search attributes of a patch, all of type Keyword.
var (
	GameIDKey        = temporal.NewSearchAttributeKeyKeyword("GameId")
	TargetVersionKey = temporal.NewSearchAttributeKeyKeyword("TargetVersion")
	PatchOutcomeKey  = temporal.NewSearchAttributeKeyKeyword("PatchOutcome")
	OpSourceKey      = temporal.NewSearchAttributeKeyKeyword("OpSource")
)

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
	}
}

// maxAttribute bounds what is put into a search attribute, in bytes: visibility
// stores index at most 255 characters of a Keyword, and a run that somebody
// started by hand may carry anything.
const maxAttribute = 255

// Attributes returns the search attributes that a run is started with.
func Attributes(request patch.Request) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		GameIDKey.ValueSet(cut(request.GameID)),
		TargetVersionKey.ValueSet(cut(request.Version)),
		PatchOutcomeKey.ValueSet(OutcomeOpen),
		OpSourceKey.ValueSet(string(request.OpSource.OrDefault())),
	)
}

func cut(text string) string { return patch.Truncate(text, maxAttribute) }
