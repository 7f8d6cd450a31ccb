package patch

import (
	"slices"
	"strconv"
	"strings"

	"galaxy/gamemaster/internal/domain/runtime"
)

// Line is a line of the undo table: what the compensation did with the
// container, given the row.
type Line string

// The lines of the undo table.
const (
	// LineLeftAlone: the game is stopped, finished or gone, and nothing may start
	// its container; or its turn is being generated, and the run made no call
	// that could need undoing.
	LineLeftAlone Line = "left_alone"
	// LineWaitForTurn: a turn is being generated; the container is not touched
	// until it is done.
	LineWaitForTurn Line = "wait_for_turn"
	// LineFollowRow: the container has to run the row's image.
	LineFollowRow Line = "follow_row"
	// LineInLine: it does so already.
	LineInLine Line = "in_line"
	// LineRecreated: it was recreated on the row's image.
	LineRecreated Line = "recreated"
	// LineMissing: there is no container, and Runtime Manager had refused the
	// only call, so there was none before either.
	LineMissing Line = "missing"
	// LineAbandoned: an operator gave up on it.
	LineAbandoned Line = "abandoned"
)

// Decided returns the line that row calls for; nil means that there is no row.
// The row is the source of truth, so the compensation follows it and never its
// own memory of what it was before.
func Decided(row *runtime.RuntimeRecord) Line {
	if row == nil {
		return LineLeftAlone
	}
	switch row.Status {
	case runtime.StatusRunning, runtime.StatusStarting,
		runtime.StatusEngineUnreachable, runtime.StatusGenerationFailed:
		return LineFollowRow
	case runtime.StatusGenerationInProgress:
		return LineWaitForTurn
	default:
		return LineLeftAlone
	}
}

// Undo is what the compensation saw and which line it took.
type Undo struct {
	Line Line `json:"line,omitempty"`
	// RowStatus is the row's status, empty when there was no row.
	RowStatus runtime.Status `json:"row_status,omitempty"`
	// Row is what the row says the game runs.
	Row Image `json:"row"`
	// Container is the image that the container ran when it was first looked
	// at; empty when there was none, or it could not be looked at.
	Container string `json:"container,omitempty"`
	// Fence is the number below which Runtime Manager refuses every call for the
	// game; zero when nothing was under way, or it knows no such numbers.
	Fence int64 `json:"fence,omitempty"`
	// RunID is the run that looked, and did it. After a reset it is another than
	// the run that tells of it. Runs from before it was kept have none, and neither
	// has an undo that was abandoned.
	RunID string `json:"run_id,omitempty"`
	// Told is the sentence of the audit row, where that is all that is left.
	Told string `json:"told,omitempty"`
	// Decisions are what operators decided on the way, in order: the last
	// [MaxDecisions] of them.
	Decisions []Decision `json:"decisions,omitempty"`
	// Decided is how many there were.
	Decided int `json:"decided,omitempty"`
}

const (
	// MaxDecisions is how many decisions are kept in a result: what a person can
	// read, and far below what one event of a history can hold.
	MaxDecisions = 20

	// MaxRetries is how often operators can let one run try again. Temporal takes
	// 2,000 updates of a run, and giving up has to be possible after that.
	MaxRetries = 200
)

// Take keeps a decision.
func (undo *Undo) Take(decision Decision) {
	undo.Decided++
	undo.Decisions = append(undo.Decisions, decision)
	if over := len(undo.Decisions) - MaxDecisions; over > 0 {
		undo.Decisions = undo.Decisions[over:]
	}
}

// maxToldReason bounds a reason in the sentence of the audit row, in bytes, so
// that the decisions before it are told too.
const maxToldReason = 300

// Decision is an operator's command that a run took.
type Decision struct {
	// Update is "retry" or "abandon".
	Update string `json:"update"`
	Command
}

// Sentence tells the undo to whom it is all the same which run did it; others
// ask [Result.UndoSentence].
func (undo Undo) Sentence() string { return undo.sentence(false) }

// sentence tells as well that the undo was inherited from another run.
func (undo Undo) sentence(inherited bool) string {
	if undo.Told != "" {
		return undo.Told
	}
	var b strings.Builder
	b.WriteString(wordsOf(undo.Line))
	if undo.Line == LineInLine || undo.Line == LineRecreated {
		b.WriteString(undo.Row.ImageRef)
	}
	switch {
	case undo.Line == LineAbandoned:
	case undo.RowStatus == "":
		b.WriteString("; there is no row")
	default:
		b.WriteString("; row is " + string(undo.RowStatus) + " on " + undo.Row.Version)
	}
	switch {
	case undo.Container == "":
	case undo.Line == LineRecreated:
		b.WriteString("; container ran " + undo.Container)
	case undo.Line == LineLeftAlone:
		b.WriteString("; container runs " + undo.Container)
	}
	if undo.Fence != 0 {
		b.WriteString("; calls below fence " + strconv.FormatInt(undo.Fence, 10) + " are refused")
	}
	if inherited {
		b.WriteString("; that was the run before the reset")
	}
	undo.tellDecisions(&b)
	return b.String()
}

// tellDecisions begins with the last one, which counts: what is too long for the
// audit row is cut at the end.
func (undo Undo) tellDecisions(b *strings.Builder) {
	for _, decision := range slices.Backward(undo.Decisions) {
		b.WriteString("; " + decision.Update + " by " + strconv.Quote(decision.Actor) + ": " + Truncate(decision.Reason, maxToldReason))
	}
	if more := undo.Decided - len(undo.Decisions); more > 0 {
		b.WriteString("; and " + strconv.Itoa(more) + " before")
	}
}

// Settled is the undo of a compensation that looked twice: the second look
// counts, but when it found everything in line, what the first one had to do
// for that is what is told.
func Settled(first, second Undo) Undo {
	if second.Line == LineInLine && first.Line == LineRecreated && first.Row == second.Row {
		return first
	}
	return second
}

// Command is what an operator tells a run that waits in [PhaseNeedsOperator], or
// that is to be cancelled.
type Command struct {
	// Actor is who commands it; required, because it goes into the audit row, or
	// into the run's history when it is cancelled.
	Actor string `json:"actor"`
	// Reason is why; required for the same reason, except to cancel: a cancelled
	// patch is put back by itself.
	Reason string `json:"reason"`
}

// Validate returns a [*Refusal] that names the field when the command cannot be
// recorded.
func (command Command) Validate() error {
	if strings.TrimSpace(command.Actor) == "" {
		return invalid("actor", "must not be empty: it goes into the audit log")
	}
	if strings.TrimSpace(command.Reason) == "" {
		return invalid("reason", "must not be empty: it goes into the audit log")
	}
	return command.checkTexts()
}

// ValidateCancel is Validate for a cancellation, whose reason may be empty.
func (command Command) ValidateCancel() error {
	if strings.TrimSpace(command.Actor) == "" {
		return invalid("actor", "must not be empty: it goes into the run's history")
	}
	return command.checkTexts()
}

func (command Command) checkTexts() error {
	if err := checkText("reason", command.Reason, MaxReason); err != nil {
		return err
	}
	return checkText("actor", command.Actor, MaxActor)
}
