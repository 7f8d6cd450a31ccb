package drill

import (
	"cmp"
	"fmt"
	"slices"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// acceptedHasOneRow: every accepted patch has a run, and every run that ended
// has exactly one audit row. A run that was ended from outside cannot write its
// own, so that it has to be there only once the watch has passed; one whose
// place a reset took has said all through the other.
func acceptedHasOneRow(game GameEvidence, evidence Evidence) (broken []string) {
	rows := map[string]int{}
	for _, row := range game.Rows {
		rows[row.RunID]++
	}
	known := map[string]bool{}
	for _, run := range game.Runs {
		known[run.PatchID] = true
		n := rows[run.RunID]
		least, most := 1, 1
		switch {
		case run.Status == RunOpen:
			least, most = 0, 0
		case run.Status.FromOutside() && (!evidence.Watched || game.wasReset(run.RunID)):
			least = 0
		}
		if n < least || n > most {
			broken = append(broken, fmt.Sprintf("run %s of patch %q is %s and has %d audit rows, want %d to %d",
				run.RunID, run.PatchID, run.Status, n, least, most))
		}
	}
	accepted := map[string]bool{}
	for _, ask := range game.Asks {
		if ask.Accepted() {
			accepted[ask.PatchID] = true
		}
	}
	for _, patchID := range sorted(accepted) {
		if !known[patchID] {
			broken = append(broken, fmt.Sprintf("patch %q was accepted and has no run", patchID))
		}
	}
	return broken
}

// rowHasRun: every audit row belongs to a run, and names its patch.
func rowHasRun(game GameEvidence, _ Evidence) (broken []string) {
	for _, row := range game.Rows {
		run, found := game.run(row.RunID)
		patchID := run.PatchID
		if patchID == "" {
			// As [patch.Entry] has it for runs that were started by hand.
			patchID = patch.WorkflowID(game.GameID)
		}
		switch {
		case !found:
			broken = append(broken, fmt.Sprintf("row %d of patch %q names run %q, which Temporal does not know", row.ID, row.PatchID, row.RunID))
		case row.PatchID != patchID:
			broken = append(broken, fmt.Sprintf("row %d names patch %q, its run %s is of %q", row.ID, row.PatchID, row.RunID, patchID))
		}
	}
	return broken
}

// chainUnbroken: the moves that the audit log tells lead from the game's first
// version to the record's, without a gap. A run that was ended from outside, or
// abandoned, may have moved the record without telling; each stands for at most
// one step, to where it was going.
func chainUnbroken(game GameEvidence, _ Evidence) (broken []string) {
	steps := untoldSteps(game)
	at := game.Initial.Version
	reach := func(version, what string) {
		if at == version {
			return
		}
		if !takeStep(&steps, version) {
			broken = append(broken, fmt.Sprintf("the chain is at %q, %s is %q", at, what, version))
		}
		at = version
	}
	for _, row := range told(game.Rows) {
		reach(row.FromVersion, fmt.Sprintf("row %d begins where it", row.ID))
		at = row.ToVersion
	}
	if game.Record != nil {
		reach(game.Record.CurrentEngineVersion, "the record")
	}
	return broken
}

// told returns the rows that tell of a move, in the order in which they ended.
func told(rows []operation.OperationEntry) []operation.OperationEntry {
	var moves []operation.OperationEntry
	for _, row := range rows {
		if row.Outcome != operation.OutcomeSuccess || row.Noop {
			continue
		}
		moves = append(moves, row)
	}
	slices.SortStableFunc(moves, func(a, b operation.OperationEntry) int {
		if a.FinishedAt != nil && b.FinishedAt != nil {
			if order := a.FinishedAt.Compare(*b.FinishedAt); order != 0 {
				return order
			}
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return moves
}

// anyVersion is a step that may lead anywhere.
const anyVersion = ""

// untoldSteps returns where the record may have been moved without a row that
// tells of it.
func untoldSteps(game GameEvidence) (steps []string) {
	for _, move := range game.Moves {
		if move.To.Version != "" {
			steps = append(steps, move.To.Version)
		}
	}
	for _, run := range game.Runs {
		row, hasRow := game.row(run.RunID)
		unknown := run.Status.FromOutside() ||
			hasRow && (row.ErrorCode == string(patch.CodeTerminated) || isAbandoned(row))
		if unknown {
			// A reconciliation has no version: it adopts what it finds.
			steps = append(steps, run.Version)
		}
	}
	return steps
}

// takeStep uses up one step to version.
func takeStep(steps *[]string, version string) bool {
	i := slices.Index(*steps, version)
	if i < 0 {
		i = slices.Index(*steps, anyVersion)
	}
	if i < 0 {
		return false
	}
	*steps = slices.Delete(*steps, i, i+1)
	return true
}

// keyOnePatch: an idempotency key stands for one patch, whoever asks how often.
func keyOnePatch(game GameEvidence, _ Evidence) (broken []string) {
	patches := map[string]string{}
	for _, key := range game.Keys {
		patches[key.Key] = key.PatchID
		if _, found := game.run(key.RunID); key.RunID != "" && !found {
			broken = append(broken, fmt.Sprintf("key %q is settled on run %q, which Temporal does not know", key.Key, key.RunID))
		}
	}
	for _, ask := range game.Asks {
		if ask.Key == "" || !ask.Accepted() {
			continue
		}
		if before, known := patches[ask.Key]; known && before != ask.PatchID {
			broken = append(broken, fmt.Sprintf("key %q stands for patch %q and for %q", ask.Key, before, ask.PatchID))
		}
		patches[ask.Key] = ask.PatchID
	}
	return broken
}
