package history

import (
	"time"

	"galaxy/gamemaster/internal/domain/patch"
)

// Action is what somebody did to a run from outside of it.
type Action string

// The actions that a history tells of.
const (
	// ActionStart is a run that did not come through our API, such as one from
	// the button "Start Workflow Like This One".
	ActionStart     Action = "start"
	ActionCancel    Action = "cancel"
	ActionReset     Action = "reset"
	ActionTerminate Action = "terminate"
	ActionRetry     Action = "retry"
	ActionAbandon   Action = "abandon"
	ActionSignal    Action = "signal"
	ActionPause     Action = "pause"
	ActionUnpause   Action = "unpause"
)

// Bounds of the texts, in bytes: those of a request's.
const (
	MaxBy     = patch.MaxActor
	MaxReason = patch.MaxReason
)

// Intervention is what somebody did to a run: it is kept for ever, when Temporal
// has forgotten the run and when its exported history is dropped.
type Intervention struct {
	// PatchID is that of the run; see [Run].
	PatchID string
	// GameID is empty for a run under an ID that is no game's.
	GameID string
	RunID  string
	// EventID is the number of the event that tells of it.
	EventID int64
	At      time.Time
	Action  Action
	// By is who the API let in, where it took part, and otherwise what the client
	// called itself; empty when Temporal does not know.
	By string
	// Reason is why; of a signal it is the signal's name.
	Reason string
}

// Storable makes the texts fit their columns: whatever somebody wrote must not
// keep the history from its export.
func (i Intervention) Storable() Intervention {
	i.PatchID = patch.Storable(i.PatchID, patch.MaxSourceRef)
	i.By, i.Reason = patch.Storable(i.By, MaxBy), patch.Storable(i.Reason, MaxReason)
	return i
}
