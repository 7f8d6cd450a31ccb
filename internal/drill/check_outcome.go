package drill

import (
	"fmt"
	"slices"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// outcomeToldTrue: what the API answered, what the run came to and what the
// audit row says are the same, and what they promise of the container is so.
func outcomeToldTrue(game GameEvidence, _ Evidence) (broken []string) {
	for _, ask := range game.Asks {
		broken = append(broken, askToldTrue(game, ask)...)
	}
	for _, run := range game.Runs {
		if run.Status == RunOpen || run.Status.FromOutside() {
			continue
		}
		broken = append(broken, runToldTrue(game, run)...)
	}
	return broken
}

// askToldTrue holds an answer that told the end against the audit row, which
// outlives everything else.
func askToldTrue(game GameEvidence, ask Ask) []string {
	if ask.Answer != AnswerEnded {
		return nil
	}
	row, found := game.row(ask.RunID)
	if !found {
		run, _ := game.run(ask.RunID)
		if run.Status.FromOutside() && ask.Outcome == operation.OutcomeFailure {
			return nil
		}
		return []string{fmt.Sprintf("patch %q was answered with %s %s, and its run %q has no audit row", ask.PatchID, ask.Outcome, ask.Code, ask.RunID)}
	}
	// Ended from outside is told by whatever words there were at the time: those
	// of before the watch wrote its row are others.
	if row.ErrorCode == string(patch.CodeTerminated) && ask.Outcome == operation.OutcomeFailure {
		return nil
	}
	if row.PatchID != ask.PatchID || row.Outcome != ask.Outcome || row.ErrorCode != string(ask.Code) {
		return []string{fmt.Sprintf("patch %q was answered with %s %q, its audit row says %s %q of %q",
			ask.PatchID, ask.Outcome, ask.Code, row.Outcome, row.ErrorCode, row.PatchID)}
	}
	return nil
}

// runToldTrue holds a run's result against its audit row, its way of closing
// and the recreates that took place.
func runToldTrue(game GameEvidence, run Run) (broken []string) {
	result := run.Result
	if result == nil {
		return []string{fmt.Sprintf("run %s is %s and carries no result", run.RunID, run.Status)}
	}
	if closing := RunStatus(result.Code.Closing()); run.Status != closing {
		broken = append(broken, fmt.Sprintf("run %s ended with %q and closed as %s, want %s", run.RunID, result.Code, run.Status, closing))
	}
	row, found := game.row(run.RunID)
	if found && (row.Outcome != result.Outcome || row.ErrorCode != string(result.Code)) {
		broken = append(broken, fmt.Sprintf("run %s ended with %s %q, its audit row says %s %q",
			run.RunID, result.Outcome, result.Code, row.Outcome, row.ErrorCode))
	}
	if result.Kind == operation.OpKindReconcile {
		return broken
	}
	if result.IsSuccess() {
		return append(broken, successToldTrue(game, run)...)
	}
	return append(broken, failureToldTrue(game, run)...)
}

// successToldTrue: a patch that moved the game had its container recreated on
// the target, and its answer shows the record there.
func successToldTrue(game GameEvidence, run Run) (broken []string) {
	result := run.Result
	if result.Runtime == nil || result.Runtime.CurrentImageRef != result.To.ImageRef {
		broken = append(broken, fmt.Sprintf("run %s succeeded and does not show the record on %q", run.RunID, result.To.ImageRef))
	}
	recreated := slices.ContainsFunc(game.applied(), func(call Call) bool {
		intent, ok := call.Intent()
		return ok && intent.PatchID == run.PatchID && intent.Direction == patch.DirectionPatch && call.Image == result.To.ImageRef
	})
	if !result.Noop && !recreated && !game.movedContainer() {
		broken = append(broken, fmt.Sprintf("run %s succeeded, and its patch never recreated the container on %q", run.RunID, result.To.ImageRef))
	}
	return broken
}

// failureToldTrue: a patch that failed after it had recreated the container says
// what became of that, and where it says that the container is in line with the
// row, the last recreate under its name put it there.
func failureToldTrue(game GameEvidence, run Run) []string {
	last, recreated := lastRecreate(game, run)
	if !recreated {
		return nil
	}
	undo := run.Result.Undo
	if undo == nil {
		return []string{fmt.Sprintf("run %s ended with %s after a recreate on %q, and tells of no undo", run.RunID, run.Result.Code, last.Image)}
	}
	inLine := undo.Line == patch.LineInLine || undo.Line == patch.LineRecreated
	if inLine && last.Image != undo.Row.ImageRef && !game.movedContainer() {
		return []string{fmt.Sprintf("run %s says that the container is on %q, and recreated it last on %q", run.RunID, undo.Row.ImageRef, last.Image)}
	}
	return nil
}

// lastRecreate returns the last recreate of the run that took place.
func lastRecreate(game GameEvidence, run Run) (last Call, found bool) {
	for _, call := range game.applied() {
		if intent, ok := call.Intent(); ok && intent.RunID == run.RunID {
			last, found = call, true
		}
	}
	return last, found
}

// asExpected: the game came to one of the ends that the case allows.
func asExpected(game GameEvidence, _ Evidence) (broken []string) {
	expect := game.Expect
	for _, run := range game.Runs {
		if run.Result == nil {
			continue
		}
		if len(expect.Codes) > 0 && !slices.Contains(expect.Codes, run.Result.Code) {
			broken = append(broken, fmt.Sprintf("run %s ended with %q (%s), want one of %q", run.RunID, run.Result.Code, run.Result.Message, expect.Codes))
		}
	}
	if expect.Version != "" && (game.Record == nil || game.Record.CurrentEngineVersion != expect.Version) {
		broken = append(broken, fmt.Sprintf("the record is on %q, want %q", versionOf(game), expect.Version))
	}
	if kind := difference(game); kind.IsDifference() && !expect.Differs {
		broken = append(broken, fmt.Sprintf("record and container differ (%s), which the case does not expect", kind))
	}
	if expect.Recreates != nil && len(game.applied()) != *expect.Recreates {
		broken = append(broken, fmt.Sprintf("the container was recreated %d times, want %d", len(game.applied()), *expect.Recreates))
	}
	return broken
}

func versionOf(game GameEvidence) string {
	if game.Record == nil {
		return ""
	}
	return game.Record.CurrentEngineVersion
}
