package drill

import (
	"fmt"
	"strings"
)

// nothingStuck: every run has ended, or waits for an operator with nothing under
// way where the case has it so.
func nothingStuck(game GameEvidence, _ Evidence) (broken []string) {
	for _, run := range game.Runs {
		switch {
		case run.Status != RunOpen:
		case !run.NeedsOperator:
			broken = append(broken, fmt.Sprintf("run %s is still open, pending: %q", run.RunID, run.Pending))
		case len(run.Pending) > 0:
			broken = append(broken, fmt.Sprintf("run %s needs an operator and has steps under way: %q", run.RunID, run.Pending))
		case !game.Expect.NeedsOperator:
			broken = append(broken, fmt.Sprintf("run %s needs an operator, which the case does not expect", run.RunID))
		}
	}
	return broken
}

// endsByItself: no run was ended from outside, but those that the drill ended,
// and those whose place a reset took: an accepted patch does not give way to the
// next one.
func endsByItself(game GameEvidence, _ Evidence) []string {
	var ended []string
	for _, run := range game.Runs {
		if run.Status.FromOutside() && !game.wasReset(run.RunID) {
			ended = append(ended, run.RunID)
		}
	}
	if len(ended) <= game.Terminations {
		return nil
	}
	return []string{fmt.Sprintf("the runs %q were ended from outside, and the drill ended %d", ended, game.Terminations)}
}

// Causes of a failed workflow task that say that the code is at fault; the
// others are the business of the server, such as a task that a signal overtook.
const (
	causeNondeterminism = "NonDeterministicError"
	causePanic          = "WorkflowWorkerUnhandledFailure"
)

// noNondeterminism: no workflow task ever failed because of the workflow's code.
func noNondeterminism(game GameEvidence, _ Evidence) (broken []string) {
	for _, run := range game.Runs {
		for _, failure := range run.Failures {
			message := strings.ToLower(failure.Message)
			if strings.Contains(failure.Message, starvedTask) {
				continue
			}
			if failure.Cause == causeNondeterminism || failure.Cause == causePanic ||
				strings.Contains(message, "nondetermin") || strings.Contains(message, "panic") {
				broken = append(broken, fmt.Sprintf("run %s, event %d: %s: %s", run.RunID, failure.EventID, failure.Cause, failure.Message))
			}
		}
	}
	return broken
}

// starvedTask is the SDK's code for a workflow task that got no processor for a
// second, as in a worker that was stopped by a signal in the middle of it: the
// task fails, and is done again.
const starvedTask = "[TMPRL1101]"

// faultFired: what was planned to go wrong did. A fault that never fired proves
// nothing.
func faultFired(evidence Evidence) (broken []string) {
	for _, fault := range evidence.Faults {
		if fault.Fired == 0 {
			broken = append(broken, fmt.Sprintf("%s (%s) never fired", fault.Name, fault.Layer))
		}
	}
	return broken
}
