package runtime

import (
	"fmt"
	"slices"
)

// Status is where a game is in its life.
type Status string

// The statuses of a runtime record.
const (
	StatusStarting             Status = "starting"
	StatusRunning              Status = "running"
	StatusGenerationInProgress Status = "generation_in_progress"
	StatusGenerationFailed     Status = "generation_failed"
	StatusEngineUnreachable    Status = "engine_unreachable"
	StatusStopped              Status = "stopped"
	StatusFinished             Status = "finished"
)

// moves lists, for each status, where it may go. A move to the same status is
// not a move.
var moves = map[Status][]Status{
	StatusStarting:             {StatusRunning, StatusStopped},
	StatusRunning:              {StatusGenerationInProgress, StatusEngineUnreachable, StatusStopped, StatusFinished},
	StatusGenerationInProgress: {StatusRunning, StatusGenerationFailed, StatusEngineUnreachable, StatusStopped, StatusFinished},
	StatusGenerationFailed:     {StatusRunning, StatusGenerationInProgress, StatusStopped, StatusFinished},
	StatusEngineUnreachable:    {StatusRunning, StatusStopped, StatusFinished},
	StatusStopped:              {StatusStarting, StatusFinished},
	StatusFinished:             {},
}

// Statuses returns every known status, in the order of a game's life.
func Statuses() []Status {
	return []Status{
		StatusStarting, StatusRunning, StatusGenerationInProgress, StatusGenerationFailed,
		StatusEngineUnreachable, StatusStopped, StatusFinished,
	}
}

// IsKnown reports whether status is one of [Statuses].
func (status Status) IsKnown() bool {
	_, known := moves[status]
	return known
}

// Transition returns nil when a record may move from one status to the other,
// and otherwise an error that wraps [ErrInvalidTransition].
func Transition(from, to Status) error {
	if slices.Contains(moves[from], to) {
		return nil
	}
	return fmt.Errorf("%w: %q to %q", ErrInvalidTransition, from, to)
}
