package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// errOutOfLine says that the container did not run the row's image after the
// undo had recreated it, or that the row moved meanwhile: look again.
var errOutOfLine = errors.New("container and record are not in line yet")

// errStartedStopped says that the undo recreated the container of a game that
// was stopped at the same moment: it may be running, and only a person may stop
// it.
var errStartedStopped = errors.New("the game was stopped while its container was being recreated, stop the container")

// errTurnInProgress says that the undo waits for a turn to be done.
var errTurnInProgress = errors.New("a turn is being generated, its container is not touched")

// turnPoll is how long the undo waits before it looks again whether the turn
// is done: turns take minutes, and a look is one read by primary key.
const turnPoll = 5 * time.Second

// maxMessage bounds an error's text in the history, in bytes.
const maxMessage = 500

// FailureDetails are the details of every ApplicationError of a step.
type FailureDetails struct {
	// Attempt is the try that failed, from one.
	Attempt int `json:"attempt"`
	// Field is the request's field that is to be mended; see [patch.Refusal].
	Field string `json:"field,omitempty"`
	// Settled says that no call to Runtime Manager can land any more: none was
	// made, or the only one was answered.
	Settled bool `json:"settled,omitempty"`
	// Untouched says that the step made no call to Runtime Manager at all.
	Untouched bool `json:"untouched,omitempty"`
}

// failed turns what a step came to into the ApplicationError that the workflow
// sees. It has to be the last thing that touches the error: the outermost
// error decides whether it is retried, and only its type crosses to the
// workflow.
func failed(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return interrupted(ctx, op)
	}
	code, options := classify(err)
	if !options.NonRetryable {
		keepCount(ctx)
	}
	message := err.Error()
	var answer *ports.RTMError
	if errors.As(err, &answer) {
		// The stores' errors say themselves what was tried.
		message = op + ": " + message
	}
	if code == patch.CodeInternalError {
		activity.GetLogger(ctx).Error("step failed unexpectedly", "op", op, "err", err.Error())
		message = op + ": unexpected error, see the worker's log of this run"
	}
	first := attempt(ctx) == 1
	details := FailureDetails{
		Attempt: attempt(ctx), Untouched: first && answer == nil,
		Settled: first && (answer == nil || answer.Status != 0),
	}
	var refusal *patch.Refusal
	if errors.As(err, &refusal) {
		message, details.Field = refusal.Message, refusal.Field
	}
	options.Details = []any{details}
	return applicationError(code, message, options)
}

// interrupted tells a cancelled run, which wants no further attempt, from a
// worker that stops or an operator who pauses the step, which do: the cause of
// the context says which it was.
func interrupted(ctx context.Context, op string) error {
	cause := context.Cause(ctx)
	if temporal.IsCanceledError(cause) {
		return ctx.Err()
	}
	keepCount(ctx)
	return applicationError(patch.CodeServiceUnavailable, op+": "+cause.Error(), temporal.ApplicationErrorOptions{
		Details: []any{FailureDetails{Attempt: attempt(ctx)}},
	})
}

func applicationError(code patch.Code, message string, options temporal.ApplicationErrorOptions) error {
	return temporal.NewApplicationErrorWithOptions(bounded(message), string(code), options)
}

// classify gives err its code and says whether trying again can help.
func classify(err error) (patch.Code, temporal.ApplicationErrorOptions) {
	final := temporal.ApplicationErrorOptions{NonRetryable: true}
	expected := temporal.ApplicationErrorOptions{NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign}

	var refusal *patch.Refusal
	var answer *ports.RTMError
	switch {
	case errors.As(err, &refusal):
		return refusal.Code, expected
	case errors.Is(err, runtime.ErrNotFound):
		return patch.CodeRuntimeNotFound, expected
	case errors.Is(err, engineversion.ErrNotFound):
		return patch.CodeEngineVersionNotFound, expected
	case errors.Is(err, ports.ErrInvalidInput):
		return patch.CodeInternalError, final
	case errors.Is(err, ports.ErrRTMRejected), errors.Is(err, errStartedStopped):
		return patch.CodeServiceUnavailable, final
	case errors.Is(err, errTurnInProgress):
		return patch.CodeServiceUnavailable, temporal.ApplicationErrorOptions{
			NextRetryDelay: turnPoll, Category: temporal.ApplicationErrorCategoryBenign,
		}
	case errors.As(err, &answer):
		// A Retry-After beyond what is left of the budget ends the step at
		// once: there is no use in waiting for a call that may not be made.
		return patch.CodeServiceUnavailable, temporal.ApplicationErrorOptions{NextRetryDelay: answer.RetryAfter}
	default:
		// A store's or the network's own error: the specification calls it
		// service_unavailable, and it may be gone by the next attempt.
		return patch.CodeServiceUnavailable, temporal.ApplicationErrorOptions{}
	}
}

// bounded cuts text to maxMessage and says so.
func bounded(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", patch.Truncate(text, maxMessage), len(text))
}
