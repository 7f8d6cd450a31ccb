package drill

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Evidence is everything that is known after things have settled.
type Evidence struct {
	Games []GameEvidence
	// Faults are what was planned to go wrong.
	Faults []PlannedFault
	// Secrets must not be found in anything that was kept.
	Secrets []Secret
	// Logs are what the processes wrote.
	Logs []Log
	// Watched says that a whole pass of the watch began after the last run
	// ended: from then on what was ended from outside has its row, and every
	// difference its finding.
	Watched bool
}

// GameEvidence is all of one game.
type GameEvidence struct {
	GameID string
	// Initial is what the game was put on before anything was asked.
	Initial patch.Image
	// Moves are what the drill itself did to record and container meanwhile, as
	// another writer would.
	Moves []Move
	// Turns are those that the drill itself has begun and ended.
	Turns []Turn
	// Terminations are how many runs the drill itself ended from outside.
	Terminations int

	// Record is nil when there is none.
	Record *runtime.RuntimeRecord
	// Rows are the audit rows, the oldest first.
	Rows []operation.OperationEntry
	// Findings are the open findings of the watch.
	Findings []drift.Finding
	// Fence is the highest fencing number that was given out; zero when that is
	// not known.
	Fence int64
	// Keys are the idempotency keys that stand for one of the game's patches.
	Keys []Key

	// Container is what Runtime Manager has now.
	Container drift.Container
	// Calls are what Runtime Manager was asked, in the order of arrival.
	Calls []Call

	// Runs are the runs under the game's workflow ID, the oldest first.
	Runs []Run
	// Asks are what was asked through the API, in order.
	Asks []Ask
	// Expect is what the case allows.
	Expect Expect
}

// Move is a change that the drill made by itself.
type Move struct {
	// To is the image that the record was put on; empty when that stayed.
	To patch.Image
	// Container says that the container was put there or taken away.
	Container bool
}

// Turn is a turn of the game, between two moments of the simulator's log: no call
// that came up to From came in it, and all that came later and up to To did.
type Turn struct {
	From, To int64
}

// Key is a row of idempotency_keys.
type Key struct {
	Key, PatchID, RunID string
}

// Op is what Runtime Manager was asked to do.
type Op string

// The calls.
const (
	OpPatch   Op = "patch"
	OpInspect Op = "inspect"
	OpFence   Op = "fence"
)

// Effect is what a call came to.
type Effect string

// The effects.
const (
	EffectApplied  Effect = "applied"
	EffectReplayed Effect = "replayed"
	EffectRefused  Effect = "refused"
	EffectNone     Effect = "none"
)

// Call is one call to Runtime Manager, as the simulator logged it.
type Call struct {
	Seq   int64
	Op    Op
	Key   string
	Fence int64
	Image string
	// Arrival, Landing and End number the moments at which the call came in, had
	// its effect and was answered or cut off. Landing is zero for a call without
	// effect, End for one that is under way.
	Arrival, Landing, End int64
	Effect                Effect
	// Fault is the mode of the fault that it met; empty for none.
	Fault string
}

// Intent is what an idempotency key says.
type Intent struct {
	PatchID, RunID string
	Direction      patch.Direction
}

// Intent reads the key of the call; see [patch.IdempotencyKey].
func (call Call) Intent() (Intent, bool) {
	parts := strings.Split(call.Key, "/")
	// A run that was started by hand may have no patch id; its key begins with a
	// slash.
	if len(parts) < 3 {
		return Intent{}, false
	}
	return Intent{PatchID: parts[0], RunID: parts[1], Direction: patch.Direction(parts[2])}, true
}

// Run is one run as Temporal tells of it.
type Run struct {
	RunID, Type string
	// PatchID, Version and Force are of the memo; empty for a run that was
	// started by hand.
	PatchID, Version string
	Force            bool
	Status           RunStatus
	// NeedsOperator says that the run waits for an operator's decision.
	NeedsOperator bool
	// Result is nil while the run is open, and when it was ended from outside.
	Result *patch.Result
	// ResetOf is the run whose place this one took.
	ResetOf string
	// Pending are the steps that are under way or wait for their next attempt.
	Pending []string
	// Failures are the workflow tasks that failed.
	Failures []TaskFailure
	// StartedAt and EndedAt bound the run; EndedAt is zero while it is open.
	StartedAt, EndedAt time.Time
	// Raw is the whole history with its payloads, as bytes to search in.
	Raw []byte
}

// RunStatus is how a run stands.
type RunStatus string

// The statuses of a run.
const (
	RunOpen       RunStatus = "Running"
	RunCompleted  RunStatus = "Completed"
	RunFailed     RunStatus = "Failed"
	RunCanceled   RunStatus = "Canceled"
	RunTerminated RunStatus = "Terminated"
	RunTimedOut   RunStatus = "TimedOut"
)

// FromOutside reports whether the run had no say in its end.
func (status RunStatus) FromOutside() bool { return status == RunTerminated || status == RunTimedOut }

// TaskFailure is a workflow task that failed.
type TaskFailure struct {
	EventID        int64
	Cause, Message string
}

// Answer is how the API answered.
type Answer string

// The answers.
const (
	// AnswerUnknown: there was none that says anything, so that what was asked
	// may have happened.
	AnswerUnknown Answer = "unknown"
	// AnswerRefused: it was refused without a run.
	AnswerRefused Answer = "refused"
	// AnswerOpen: it was accepted, and its end was not told.
	AnswerOpen Answer = "open"
	// AnswerEnded: the end was told.
	AnswerEnded Answer = "ended"
)

// Ask is one request and its answer.
type Ask struct {
	Version string
	Force   bool
	// Key is the Idempotency-Key.
	Key    string
	Answer Answer
	// PatchID and RunID are as answered; also an unknown answer may name a
	// patch.
	PatchID, RunID string
	// Outcome and Code tell the end, or the refusal.
	Outcome operation.Outcome
	Code    patch.Code
	// Error is what the client said, for people.
	Error string
}

// Accepted reports whether the answer promises a run.
func (ask Ask) Accepted() bool { return ask.Answer == AnswerOpen || ask.Answer == AnswerEnded }

// PlannedFault is something that was planned to go wrong.
type PlannedFault struct {
	Name  string
	Layer Layer
	// Fired is how often it did.
	Fired int
}

// Secret is a text that nothing may keep.
type Secret struct{ Name, Value string }

// Log is what a process wrote.
type Log struct {
	Process, Text string
	// Truncated says that it wrote more than is kept, and that the oldest of it is
	// gone.
	Truncated bool
}

// run returns the run with that id.
func (game GameEvidence) run(runID string) (Run, bool) {
	i := slices.IndexFunc(game.Runs, func(run Run) bool { return run.RunID == runID })
	if i < 0 {
		return Run{}, false
	}
	return game.Runs[i], true
}

// row returns the audit row of a run.
func (game GameEvidence) row(runID string) (operation.OperationEntry, bool) {
	i := slices.IndexFunc(game.Rows, func(row operation.OperationEntry) bool { return row.RunID == runID })
	if i < 0 {
		return operation.OperationEntry{}, false
	}
	return game.Rows[i], true
}

// wasReset reports whether another run took the place of the one with that id.
func (game GameEvidence) wasReset(runID string) bool {
	return slices.ContainsFunc(game.Runs, func(run Run) bool { return run.ResetOf == runID })
}

// applied returns the recreates that took place, in order of landing.
func (game GameEvidence) applied() []Call {
	var applied []Call
	for _, call := range game.Calls {
		if call.Op == OpPatch && call.Effect == EffectApplied {
			applied = append(applied, call)
		}
	}
	slices.SortStableFunc(applied, func(a, b Call) int { return cmp.Compare(a.Landing, b.Landing) })
	return applied
}

// movedContainer reports whether the drill touched the container by itself, so
// that the calls do not tell all that it ran.
func (game GameEvidence) movedContainer() bool {
	return slices.ContainsFunc(game.Moves, func(move Move) bool { return move.Container })
}
