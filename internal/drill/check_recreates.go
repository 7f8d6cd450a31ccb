package drill

import (
	"fmt"
	"strings"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// directionOnce: no key is carried out twice, and no patch recreates its
// container on the target a second time unless it had been put back in between.
func directionOnce(game GameEvidence, _ Evidence) (broken []string) {
	keys := map[string]bool{}
	// last is the image that each patch put the container on.
	last := map[string]string{}
	at := game.Initial.ImageRef
	for _, call := range game.applied() {
		if keys[call.Key] {
			broken = append(broken, fmt.Sprintf("key %q was carried out more than once", call.Key))
		}
		keys[call.Key] = true
		intent, ok := call.Intent()
		if !ok {
			broken = append(broken, fmt.Sprintf("key %q is not one of a run", call.Key))
			continue
		}
		if intent.Direction == patch.DirectionPatch {
			before, again := last[intent.PatchID]
			if again && at == before && !game.movedContainer() {
				broken = append(broken, fmt.Sprintf("patch %q recreated the container on %q twice, with nothing in between", intent.PatchID, call.Image))
			}
			last[intent.PatchID] = call.Image
		}
		at = call.Image
	}
	return broken
}

// recreatesNeverOverlap: of two recreates of one game that both took place, one
// was asked for after the other had landed.
func recreatesNeverOverlap(game GameEvidence, _ Evidence) (broken []string) {
	if game.Expect.Unfenced {
		return nil
	}
	applied := game.applied()
	for i, one := range applied {
		for _, other := range applied[i+1:] {
			if one.Key != other.Key && one.Arrival < other.Landing && other.Arrival < one.Landing {
				broken = append(broken, fmt.Sprintf("recreate %q was under way from %d to %d, %q from %d to %d",
					one.Key, one.Arrival, one.Landing, other.Key, other.Arrival, other.Landing))
			}
		}
	}
	return broken
}

// fenceRises: the fencing numbers of the recreates that took place rise, none
// was let in below one that had been seen, and none was used that was never
// given out. A recreate's number is seen when the call arrives, a fence's when
// it is in force.
func fenceRises(game GameEvidence, _ Evidence) (broken []string) {
	if game.Expect.Unfenced {
		return nil
	}
	var before, highest int64
	for _, call := range game.applied() {
		if call.Fence == fenceUnseen {
			continue
		}
		seen := seenBefore(game.Calls, call)
		switch {
		case call.Fence == 0:
			broken = append(broken, fmt.Sprintf("recreate %q carries no fencing number", call.Key))
		case call.Fence < seen:
			broken = append(broken, fmt.Sprintf("recreate %q with fence %d took place after %d had been seen", call.Key, call.Fence, seen))
		case call.Fence <= before:
			broken = append(broken, fmt.Sprintf("recreate %q with fence %d came after one with %d", call.Key, call.Fence, before))
		}
		before = call.Fence
	}
	for _, call := range game.Calls {
		highest = max(highest, call.Fence)
	}
	if game.Fence > 0 && highest >= game.Fence+patch.FenceStep {
		broken = append(broken, fmt.Sprintf("Runtime Manager was told fence %d, and %d is the last that was given out", highest, game.Fence))
	}
	return broken
}

// turnUninterrupted: no recreate that took place was asked for while a turn was
// being generated. One that was under way when the turn began is not ours to call
// back.
func turnUninterrupted(game GameEvidence, _ Evidence) (broken []string) {
	for _, turn := range game.Turns {
		for _, call := range game.applied() {
			if turn.From < call.Arrival && call.Arrival <= turn.To {
				broken = append(broken, fmt.Sprintf("recreate %q came at %d, in a turn from %d to %d", call.Key, call.Arrival, turn.From, turn.To))
			}
		}
	}
	return broken
}

// seenBefore returns the highest number that had been seen when the recreate
// took place.
func seenBefore(calls []Call, recreate Call) (seen int64) {
	for _, call := range calls {
		asked := call.Op == OpPatch && call.Effect != EffectRefused && call.Arrival < recreate.Landing
		fenced := call.Op == OpFence && call.Effect == EffectApplied && call.Landing < recreate.Landing
		if asked || fenced {
			seen = max(seen, call.Fence)
		}
	}
	return seen
}

// recordContainerAgree: record and container agree, or the difference is told by
// name where an operator looks.
func recordContainerAgree(game GameEvidence, evidence Evidence) []string {
	kind := difference(game)
	if kind == drift.InSync || isFlagged(game, kind, evidence.Watched) {
		return nil
	}
	return []string{fmt.Sprintf("record is %s on %q, container %s; nothing tells of this %s",
		game.Record.Status, game.Record.CurrentImageRef, describe(game.Container), kind)}
}

// difference judges record and container. A game without a record is nobody's
// to compare with.
func difference(game GameEvidence) drift.Kind {
	if game.Record == nil {
		return drift.InSync
	}
	return drift.Judge(*game.Record, game.Container)
}

func describe(container drift.Container) string {
	if container == (drift.Container{}) {
		return "is not there"
	}
	return fmt.Sprintf("is %s on %q", container.Status, container.ImageRef)
}

// How [patch.Undo.Sentence] begins, in the rows that tell of a difference.
const (
	toldAbandoned = "abandoned, container may differ from the row"
	toldMissing   = "there is no container"
)

// isFlagged reports whether something tells of the difference: an open run that
// needs an operator, a finding of the watch, the audit row of the latest run
// that had a say, or - until the watch has passed - the end of a run from
// outside.
func isFlagged(game GameEvidence, kind drift.Kind, watched bool) bool {
	for _, finding := range game.Findings {
		if finding.Kind == kind {
			return true
		}
	}
	for _, run := range game.Runs {
		if run.Status == RunOpen && run.NeedsOperator {
			return true
		}
	}
	if n := len(game.Runs); n > 0 && !watched {
		last := game.Runs[n-1]
		if last.Status.FromOutside() {
			return true
		}
	}
	for i := len(game.Rows) - 1; i >= 0; i-- {
		row := game.Rows[i]
		if isAbandoned(row) || tells(row, game.Container, kind) {
			return true
		}
		if row.Outcome == operation.OutcomeSuccess && !row.Noop {
			// From here on the row before it no longer speaks.
			return false
		}
	}
	return false
}

// tells reports whether the row says what the container is on, or that there is
// none.
func tells(row operation.OperationEntry, container drift.Container, kind drift.Kind) bool {
	if kind == drift.Missing && container.ImageRef == "" {
		return strings.HasPrefix(row.Undo, toldMissing)
	}
	return container.ImageRef != "" && strings.Contains(row.Undo, "container runs "+container.ImageRef)
}

// isAbandoned reads what [patch.Undo.Sentence] writes.
func isAbandoned(row operation.OperationEntry) bool {
	return strings.HasPrefix(row.Undo, toldAbandoned)
}
