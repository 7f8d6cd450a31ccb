package drill

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Violation is a promise that was not kept.
type Violation struct {
	// Check is the name of the promise; see [Checks].
	Check string
	// GameID is empty when no one game is concerned.
	GameID string
	// Detail says what was found.
	Detail string
}

// String tells the violation in one line.
func (violation Violation) String() string {
	if violation.GameID == "" {
		return violation.Check + ": " + violation.Detail
	}
	return violation.Check + ": " + violation.GameID + ": " + violation.Detail
}

// check is one promise. It looks at one game, or at everything else.
type check struct {
	name string
	// ofGame is nil when of is set.
	ofGame func(GameEvidence, Evidence) []string
	of     func(Evidence) []string
}

func checks() []check {
	return []check{
		{name: "accepted_has_one_row", ofGame: acceptedHasOneRow},
		{name: "row_has_run", ofGame: rowHasRun},
		{name: "direction_once", ofGame: directionOnce},
		{name: "record_container_agree", ofGame: recordContainerAgree},
		{name: "chain_unbroken", ofGame: chainUnbroken},
		{name: "recreates_never_overlap", ofGame: recreatesNeverOverlap},
		{name: "nothing_stuck", ofGame: nothingStuck},
		{name: "ends_by_itself", ofGame: endsByItself},
		{name: "no_nondeterminism", ofGame: noNondeterminism},
		{name: "outcome_told_true", ofGame: outcomeToldTrue},
		{name: "fence_rises", ofGame: fenceRises},
		{name: "turn_uninterrupted", ofGame: turnUninterrupted},
		{name: "key_one_patch", ofGame: keyOnePatch},
		{name: "as_expected", ofGame: asExpected},
		{name: "fault_fired", of: faultFired},
		{name: "no_secret", of: noSecret},
		{name: "no_crash", of: noCrash},
	}
}

// Checks returns the names of all promises, in the order in which they are
// looked at.
func Checks() []string {
	all := checks()
	names := make([]string, len(all))
	for i, check := range all {
		names[i] = check.name
	}
	return names
}

// Check holds the evidence against every promise and returns what was broken;
// nil when all were kept.
func Check(evidence Evidence) []Violation {
	var violations []Violation
	for _, check := range checks() {
		if check.of != nil {
			for _, detail := range check.of(evidence) {
				violations = append(violations, Violation{Check: check.name, Detail: detail})
			}
			continue
		}
		for _, game := range evidence.Games {
			for _, detail := range check.ofGame(game, evidence) {
				violations = append(violations, Violation{Check: check.name, GameID: game.GameID, Detail: detail})
			}
		}
	}
	return violations
}

// Tell returns the violations as lines.
func Tell(violations []Violation) string {
	var b strings.Builder
	for _, violation := range violations {
		fmt.Fprintln(&b, violation)
	}
	return b.String()
}

// sorted returns the keys of a set in order, so that the same evidence always
// gives the same violations.
func sorted[K cmp.Ordered](set map[K]bool) []K {
	keys := make([]K, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
