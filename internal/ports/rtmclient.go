package ports

import (
	"context"
	"errors"
	"fmt"
	"time"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_rtmclient.go -package=mocks galaxy/gamemaster/internal/ports RTMClient

// Sentinel errors of the Runtime Manager. Every error of an [RTMClient] wraps
// exactly one of them.
var (
	// ErrRTMUnavailable says that the call may succeed when tried again: no
	// answer, an unreadable one, 429 or 5xx. Whether it took effect is unknown.
	ErrRTMUnavailable = errors.New("runtime manager unavailable")

	// ErrRTMRejected says that the call cannot succeed as it is: Runtime Manager
	// refused it for good (3xx, 4xx, 501, 505), or it cannot even be sent.
	ErrRTMRejected = errors.New("runtime manager rejected the call")

	// ErrContainerNotFound says that the game has no container. It is an
	// answer of Inspect, not a fault.
	ErrContainerNotFound = errors.New("engine container not found")

	// ErrFenced says that Runtime Manager has seen a higher fencing number for
	// the game: the call had no effect and never will have. It comes beside
	// [ErrRTMRejected].
	ErrFenced = errors.New("a later call for the game has been seen")

	// ErrFenceUnsupported is the answer of Fence when Runtime Manager knows no
	// fencing numbers. It is an answer, not a fault: what was asked of it before
	// may land at any time.
	ErrFenceUnsupported = errors.New("runtime manager knows no fencing numbers")
)

// RTMClient drives the Runtime Manager, which owns the engine containers.
type RTMClient interface {
	// Patch recreates the container of input.GameID on input.ImageRef. It
	// returns when Runtime Manager says that it is done.
	Patch(ctx context.Context, input RTMPatchInput) error

	// Inspect returns what the container of gameID runs now, or
	// [ErrContainerNotFound].
	Inspect(ctx context.Context, gameID string) (Container, error)

	// Fence has Runtime Manager refuse, from its answer on, every Patch of the
	// game whose fencing number is lower, also one that it has been working on.
	// It touches no container, and the game needs none. It returns [ErrFenced]
	// when a higher number was seen, and [ErrFenceUnsupported].
	Fence(ctx context.Context, input RTMFenceInput) error
}

// RTMPatchInput asks for one recreate.
type RTMPatchInput struct {
	// GameID names the game whose container is recreated.
	GameID string
	// ImageRef is the image that it is recreated on.
	ImageRef string
	// IdempotencyKey names the intent: Runtime Manager carries out a key once,
	// however often it is sent. Not empty, at most 255 bytes of visible ASCII.
	IdempotencyKey string
	// Fence is the fencing number of this attempt; see [patch.Fence]. Positive.
	Fence int64
}

// Validate reports the first reason why the call cannot be made.
func (input RTMPatchInput) Validate() error {
	const op = "runtime manager patch"
	if err := requireGameID(op, input.GameID); err != nil {
		return err
	}
	if blank(input.ImageRef) {
		return fmt.Errorf("%s: image ref must not be empty", op)
	}
	if blank(input.IdempotencyKey) {
		return fmt.Errorf("%s: idempotency key must not be empty", op)
	}
	return requireFence(op, input.Fence)
}

// RTMFenceInput asks for older calls to be refused.
type RTMFenceInput struct {
	// GameID names the game whose calls are concerned.
	GameID string
	// Fence is the lowest fencing number that is still let in. Positive.
	Fence int64
}

// Validate reports the first reason why the call cannot be made.
func (input RTMFenceInput) Validate() error {
	const op = "runtime manager fence"
	if err := requireGameID(op, input.GameID); err != nil {
		return err
	}
	return requireFence(op, input.Fence)
}

// maxFence is what a JSON number can hold exactly everywhere.
const maxFence = 1<<53 - 1

func requireFence(op string, fence int64) error {
	if fence < 1 || fence > maxFence {
		return fmt.Errorf("%s: fencing number is %d, want 1 to %d", op, fence, int64(maxFence))
	}
	return nil
}

// ContainerRunning is the status of a container that serves its game.
const ContainerRunning = "running"

// Container is what Runtime Manager says of one game's container.
type Container struct {
	GameID   string `json:"game_id"`
	ImageRef string `json:"image_ref"`
	// Status is Runtime Manager's own word; [ContainerRunning] is the one that
	// Game Master acts on.
	Status string `json:"status"`
}

// Runs reports whether the container is up on imageRef.
func (container Container) Runs(imageRef string) bool {
	return container.Status == ContainerRunning && container.ImageRef == imageRef
}

// RTMError is an answer of the Runtime Manager that is not a success. It wraps
// [ErrRTMUnavailable] or [ErrRTMRejected].
type RTMError struct {
	// Kind is the sentinel that the error wraps.
	Kind error
	// Status is the HTTP status, zero when there was no answer.
	Status int
	// Code and Message are what Runtime Manager said, bounded and fit to be
	// logged; both may be empty.
	Code    string
	Message string
	// RetryAfter is how long Runtime Manager asked to be left alone; zero when
	// it did not ask.
	RetryAfter time.Duration
	// Err says why there was no answer that could be used; nil when Runtime
	// Manager itself said no.
	Err error
}

// Error names the status and, where Runtime Manager gave them, code and message.
func (e *RTMError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: %s", e.Kind, e.Err)
	default:
		text := fmt.Sprintf("%s: HTTP %d", e.Kind, e.Status)
		for _, said := range []string{e.Code, e.Message} {
			if said != "" {
				text += ": " + said
			}
		}
		return text
	}
}

// Unwrap returns the sentinel and Err.
func (e *RTMError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
