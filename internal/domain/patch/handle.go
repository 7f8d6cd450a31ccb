package patch

import (
	"errors"
)

// Errors of looking at a patch, and of steering it, from outside.
var (
	// ErrNotFound says that no patch has that id.
	ErrNotFound = errors.New("patch not found")
	// ErrStillOpen says that the patch did not end while the caller waited.
	ErrStillOpen = errors.New("patch is still open")
	// ErrClosed says that the patch has ended, so that nothing can be asked of it
	// any more.
	ErrClosed = errors.New("patch has ended")
	// ErrNotInDoubt says that the patch waits for no operator, so that there is
	// nothing to decide.
	ErrNotInDoubt = errors.New("patch needs no operator")
	// ErrPaused says that the run of the patch is paused in Temporal, which takes
	// no decision for it until somebody unpauses it there.
	ErrPaused = errors.New("patch is paused in Temporal, unpause it first")
	// ErrInDoubt says that the patch cannot be cancelled, since it cannot be put
	// back without an operator's decision.
	ErrInDoubt = errors.New("patch waits for an operator: retry or abandon it")
)

// Handle names the run that carries out a request.
type Handle struct {
	PatchID    string `json:"patch_id"`
	GameID     string `json:"game_id"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// Joined says that the run was open already when the request came.
	Joined bool `json:"joined,omitempty"`
	// Begun says that the call which returned the handle began the run, as far as
	// it knows.
	Begun bool `json:"-"`
}

// View is a patch seen from outside: its state while it is open, its result
// ever after.
type View struct {
	Handle Handle
	// State is set while the run is open, and Open as well, which is what a list
	// tells of it.
	State *State
	Open  *Open
	// Result is set once it has ended.
	Result *Result
	// Actor is who asked for it, once it has ended; empty when nobody knows, or the
	// run was started by hand.
	Actor string
}
