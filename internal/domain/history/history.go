// Package history holds what is kept of the runs that have closed: their
// histories, as the SDK's JSON, for the time after Temporal has forgotten them.
package history

import (
	"errors"
	"time"
)

// MaxSize bounds the JSON of one history, in bytes: Temporal ends a run whose
// history reaches 50 MB, so that none of ours is larger.
const MaxSize = 50 << 20

// ErrNotFound is returned when no history is kept of a run, or Temporal has
// forgotten it.
var ErrNotFound = errors.New("history not found")

// ErrTooLarge is returned for a history beyond a limit.
var ErrTooLarge = errors.New("history is too large")

// Ref names a run.
type Ref struct {
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
}

// Run is a run whose history is kept, or that Temporal still has.
type Run struct {
	Ref
	// PatchID is empty for a run that was started by hand and names no patch of its
	// game.
	PatchID      string
	WorkflowType string
	// Status is how it closed, such as Completed or Terminated; Running while it
	// is open.
	Status    string
	StartedAt time.Time
	// ClosedAt is zero while it is open.
	ClosedAt time.Time
	// Events is how many events its history has, and Size the bytes of the JSON;
	// zero when they were not counted.
	Events int
	Size   int
	// ExportedAt is zero when Temporal told of the run.
	ExportedAt time.Time
	// ReplayError is why the exported history does not replay; empty when it does.
	ReplayError string
	// Interventions is what people did to it, when its history was read from
	// Temporal.
	Interventions []Intervention
}

// ClosedPage is a page of the runs that have closed.
type ClosedPage struct {
	Runs []Ref
	// NextPageToken is empty on the last page. It is opaque, and fits the same
	// question only.
	NextPageToken []byte
}

// Outcome is what came of trying to export a run once.
type Outcome string

// The outcomes of an export. A history that does not replay is kept all the same.
const (
	OutcomeSuccess      Outcome = "success"
	OutcomeUnreplayable Outcome = "unreplayable"
	OutcomeFailure      Outcome = "failure"
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome { return []Outcome{OutcomeSuccess, OutcomeUnreplayable, OutcomeFailure} }

// Backlog is how far behind the export is.
type Backlog struct {
	// Mark is up to when the closed runs have been looked through; zero when
	// never.
	Mark time.Time
	// Waiting are the runs that could not be exported and that Temporal may still
	// have; Lost are those that it had forgotten when they were tried last.
	Waiting, Lost int64
	// WaitingSince is when the first of the waiting could not be exported for the
	// first time; zero when none waits.
	WaitingSince time.Time
}

// Since returns the instant up to which every run that Temporal still has is
// exported, as far as is known: the mark, or before it the first of those that
// wait. It is zero while nothing has been looked through.
func (b Backlog) Since() time.Time {
	if !b.Mark.IsZero() && !b.WaitingSince.IsZero() && b.WaitingSince.Before(b.Mark) {
		return b.WaitingSince
	}
	return b.Mark
}
