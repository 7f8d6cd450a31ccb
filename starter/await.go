package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

// Await waits for the end of the run and returns its result. It returns
// [patch.ErrStillOpen] when ctx's deadline passes first, ctx's own error when
// it is cancelled, [patch.ErrNotFound] when neither Temporal nor the audit log
// knows the run, and a [*patch.Refusal] with service_unavailable when Temporal
// cannot say. A run that was reset is followed to the run that took its place;
// one that was terminated for good is told as [patch.CodeTerminated].
//
// Of a run that the handle's start began, a success is returned as soon as its
// audit row is committed, since a run ends as its row tells; see [Options].
func (s *Starter) Await(ctx context.Context, handle patch.Handle) (patch.Result, error) {
	if result, ok := s.heard(ctx, handle); ok {
		return result, nil
	}
	var result patch.Result
	err := s.ended(ctx, handle, &result)
	if err == nil {
		return result, nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return patch.Result{}, patch.ErrStillOpen
	}
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return s.remembered(ctx, handle)
	}
	if result, ok := resultOf(handle, err); ok {
		return s.withKind(ctx, handle, result), nil
	}
	var terminated *temporal.TerminatedError
	if errors.As(err, &terminated) {
		return s.successor(ctx, handle)
	}
	return patch.Result{}, unavailable(ctx, "wait for the patch", err)
}

// askAnew is after how long Temporal is asked again for the end of a run. A server
// that is busy drops notifications, and who waited for one is answered after 20
// seconds only; who asks anew is told at once of a run that has ended. Within a
// caller's ten seconds that is a few requests.
const askAnew = 2 * time.Second

// ended waits for the end of a run, and returns how it ended; the error of ctx
// when that ends first.
func (s *Starter) ended(ctx context.Context, handle patch.Handle, into *patch.Result) error {
	run := s.client.GetWorkflow(ctx, handle.WorkflowID, handle.RunID)
	for {
		within, cancel := context.WithTimeout(ctx, askAnew)
		err := run.Get(within, into)
		over := within.Err() != nil && ctx.Err() == nil && timedOut(err)
		cancel()
		if !over {
			return err
		}
	}
}

// timedOut reports whether err is that of a request whose time was over, and not
// how a run ended.
func timedOut(err error) bool {
	_, told := errors.AsType[*serviceerror.DeadlineExceeded](err)
	return told || errors.Is(err, context.DeadlineExceeded)
}

// resultOf reads the result out of the details of a run that did not close as
// Completed.
func resultOf(handle patch.Handle, err error) (patch.Result, bool) {
	var result patch.Result
	var cancelled *temporal.CanceledError
	if errors.As(err, &cancelled) {
		if cancelled.HasDetails() && cancelled.Details(&result) == nil {
			return result, true
		}
		return lost(handle, patch.CodeCancelled, "the run was cancelled"), true
	}
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		if application.HasDetails() && application.Details(&result) == nil && result.RunID != "" {
			return result, true
		}
		return lost(handle, patch.CodeInternalError, application.Message()), true
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return lost(handle, patch.CodeTerminated, "the run timed out: nothing was compensated; the watch compares record and container"), true
	}
	return patch.Result{}, false
}

// lost is the result of a run that left none.
func lost(handle patch.Handle, code patch.Code, message string) patch.Result {
	return patch.Result{
		PatchID: handle.PatchID, GameID: handle.GameID, WorkflowID: handle.WorkflowID, RunID: handle.RunID,
		Outcome: operation.OutcomeFailure, Code: code, Message: message,
	}
}

// successor goes on with the run that a reset put in the place of a terminated
// one. Without such a run nobody brought container and record together, and the
// result says so.
func (s *Starter) successor(ctx context.Context, handle patch.Handle) (patch.Result, error) {
	latest, err := s.describe(ctx, handle.WorkflowID, "")
	if err != nil && !errors.Is(err, patch.ErrNotFound) {
		return patch.Result{}, unavailable(ctx, "look for the run after a reset", err)
	}
	if err == nil && latest.handle.RunID != handle.RunID && latest.handle.PatchID == handle.PatchID {
		return s.Await(ctx, latest.handle)
	}
	if result, err := s.remembered(ctx, patch.Handle{PatchID: handle.PatchID}); err == nil {
		// The run in its place has ended, and yet another patch came after it.
		return result, nil
	}
	return s.withKind(ctx, handle, lost(handle, patch.CodeTerminated,
		fmt.Sprintf("run %s was terminated by an operator: nothing was compensated; the watch compares record and container", handle.RunID))), nil
}

// withKind fills in what a run that left no result cannot have told. Where it is
// not to be found out, the result is good enough without.
func (s *Starter) withKind(ctx context.Context, handle patch.Handle, result patch.Result) patch.Result {
	if !result.StartedAt.IsZero() {
		// The run's own, which knows.
		return result
	}
	if run, err := s.describe(ctx, handle.WorkflowID, handle.RunID); err == nil {
		result.Kind = run.kind()
	}
	return result
}

// remembered reads the result of a run that Temporal no longer has; without a run
// id it is that of the patch.
func (s *Starter) remembered(ctx context.Context, handle patch.Handle) (patch.Result, error) {
	entry, err := s.row(ctx, handle)
	if err != nil {
		return patch.Result{}, err
	}
	return patch.ResultOf(entry), nil
}

// row is the audit row that remembered reads.
func (s *Starter) row(ctx context.Context, handle patch.Handle) (operation.OperationEntry, error) {
	entries, err := s.log.ListByPatch(ctx, handle.PatchID)
	if err != nil {
		return operation.OperationEntry{}, fmt.Errorf("read the audit log: %w", err)
	}
	if handle.RunID != "" {
		entries = slices.DeleteFunc(slices.Clone(entries), func(entry operation.OperationEntry) bool { return entry.RunID != handle.RunID })
	} else {
		entries = ofThePatch(handle.PatchID, entries)
	}
	if len(entries) == 0 {
		return operation.OperationEntry{}, patch.ErrNotFound
	}
	return entries[0], nil
}

// ofThePatch returns the rows that can tell what came of a patch, the one that
// tells it first, out of those that name it, the latest of which comes first. It
// is told by its latest run, but by one that was terminated, or refused as
// invalid, only when there is no other: one that was reset away may be told of
// after the one that took its place, and a request that a run has got past became
// invalid in the hands of somebody who started it once more, under an ID that is
// not its game's. A row of another game is not the patch's, and not for the eyes
// of who may see the patch.
func ofThePatch(patchID string, entries []operation.OperationEntry) []operation.OperationEntry {
	gameID, _ := patch.GameOf(patchID)
	own := slices.DeleteFunc(slices.Clone(entries), func(entry operation.OperationEntry) bool { return entry.GameID != gameID })
	lesser := func(entry operation.OperationEntry) int {
		if entry.ErrorCode == string(patch.CodeTerminated) || entry.ErrorCode == string(patch.CodeInvalidRequest) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(own, func(a, b operation.OperationEntry) int { return lesser(a) - lesser(b) })
	return own
}
