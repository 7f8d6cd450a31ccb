package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// begun is a patch that a request stands for from now on.
type begun struct {
	handle patch.Handle
	// result is how it ended, when that is known already.
	result *patch.Result
}

// begin starts the patch that was asked for, or finds the one that its
// Idempotency-Key stands for.
func (server *Server) begin(ctx context.Context, a asked, caller string) (begun, error) {
	if a.key == "" {
		handle, err := server.start(ctx, a)
		return begun{handle: handle}, err
	}
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	return server.beginOnce(ctx, a, caller)
}

// beginOnce starts the patch if this request is the one that may: of requests
// with one key that come at once, the others wait for what it comes to. Should
// its process die, one of them takes its place when its lease is over.
func (server *Server) beginOnce(ctx context.Context, a asked, caller string) (begun, error) {
	offered := a.request.PatchID
	var waiting func()
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		// The lease runs from somewhere between here and the answer.
		began := time.Now()
		key, err := server.keys.Claim(ctx, ports.ClaimInput{
			Caller: caller, Key: a.key, Fingerprint: a.fingerprint[:], PatchID: offered, Lease: claimLease,
		})
		switch {
		case err != nil && a.request.PatchID != offered:
			// What the key stands for is known from the look before.
			return begun{}, notKnown(a.request.PatchID, fmt.Errorf("claim an idempotency key: %w", err))
		case err != nil:
			return begun{}, storeFault("claim an idempotency key", err)
		case !bytes.Equal(key.Fingerprint, a.fingerprint[:]):
			return begun{}, faulty(codeKeyReused, headerIdempotencyKey, "belongs to another request, take another for this one")
		}
		a.request.PatchID = key.PatchID
		switch {
		case key.Settled():
			return server.settled(key)
		case key.Claim != "":
			return server.startOnce(ctx, a, caller, claim{key.Claim, key.PatchID != offered, began.Add(claimLease - leaseMargin)})
		}
		if waiting == nil {
			if waiting = server.takeWaiting(); waiting == nil {
				return begun{}, notKnown(a.request.PatchID, errors.New("as many callers wait as may"))
			}
			defer waiting()
		}
		select {
		case <-ctx.Done():
			return begun{}, notKnown(a.request.PatchID, ctx.Err())
		case <-server.stopping.Done():
			return begun{}, notKnown(a.request.PatchID, errors.New("the server stops"))
		case <-time.After(pause):
		}
	}
}

// claim is what lets one request start the patch of a key.
type claim struct {
	name string
	// takenOver says that another request noted the key first and came to no
	// end.
	takenOver bool
	// until is when nothing may be started under it any more.
	until time.Time
}

// settled returns the patch that a key stands for.
func (server *Server) settled(key ports.IdempotencyKey) (begun, error) {
	gameID, _ := patch.GameOf(key.PatchID)
	found := begun{handle: patch.Handle{
		PatchID: key.PatchID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: key.RunID, Joined: true,
	}}
	if key.Result == nil {
		return found, nil
	}
	var result patch.Result
	if err := json.Unmarshal(key.Result, &result); err != nil {
		return begun{}, internal("read a result that was kept", err)
	}
	found.result = &result
	return found, nil
}

// startOnce starts the patch under a claim. One that was taken over may have
// been started already, which is looked for first.
func (server *Server) startOnce(ctx context.Context, a asked, caller string, held claim) (begun, error) {
	// An answer to the claim that came late, or a process that stood still, must
	// not start what another request has taken over by now.
	ctx, cancel := context.WithDeadline(ctx, held.until)
	defer cancel()
	if held.takenOver {
		view, err := server.look(ctx, a.request.PatchID)
		if err == nil {
			server.settle(ctx, a, caller, view.Handle)
			if view.Result != nil {
				server.keep(ctx, a, caller, *view.Result)
			}
			return begun{handle: view.Handle, result: view.Result}, nil
		}
		if !errors.Is(err, patch.ErrNotFound) {
			return begun{}, startFault(a.request.PatchID, err)
		}
	}
	if ctx.Err() != nil {
		return begun{}, notKnown(a.request.PatchID, ctx.Err())
	}
	handle, err := server.start(ctx, a)
	switch {
	case err != nil && !mayHaveBegun(err):
		server.release(ctx, a, caller, held.name)
		return begun{}, err
	case err != nil:
		return begun{}, err
	case handle.PatchID != a.request.PatchID:
		if err := server.settleJoined(ctx, a, caller, held, handle); err != nil {
			return begun{}, notKnown(handle.PatchID, err)
		}
	default:
		server.settle(ctx, a, caller, handle)
	}
	return begun{handle: handle}, nil
}

// start starts the patch within bounded time; a rollback is first told its
// version. Every error is a [*problem].
func (server *Server) start(ctx context.Context, a asked) (patch.Handle, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	request, err := server.target(ctx, a)
	if err != nil {
		return patch.Handle{}, err
	}
	handle, err := server.patcher.Start(ctx, request)
	if err != nil {
		return patch.Handle{}, startFault(request.PatchID, err)
	}
	return handle, nil
}

// mayHaveBegun reports whether a start that failed may have come to a run all
// the same: then the claim stays until its lease is over, and who comes next
// looks for the run. Otherwise the key may be used again at once.
func mayHaveBegun(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return !ok || (p.Code == contract.ProblemCode(patch.CodeServiceUnavailable) && p.PatchID != "") ||
		p.Code == contract.ProblemCode(patch.CodeInternalError)
}

// settleJoined notes that the key stands for a patch that was open already. By
// the key's own patch id nobody would find it, and once it has ended a repeat
// would start a second one: so the request is answered only when this is noted.
func (server *Server) settleJoined(ctx context.Context, a asked, caller string, held claim, handle patch.Handle) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), held.until)
	defer cancel()
	settle := func() error {
		ctx, cancel := context.WithTimeout(ctx, noteTimeout)
		defer cancel()
		return server.keys.Settle(ctx, ports.SettleInput{
			Caller: caller, Key: a.key, Claim: held.name, PatchID: handle.PatchID, RunID: handle.RunID,
		})
	}
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		err := settle()
		if err == nil || errors.Is(err, ports.ErrClaimLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("settle an idempotency key: %w", err)
		case <-time.After(pause):
		}
	}
}

// settle notes the run of the key's own patch. Should that fail, the next
// request with the key finds the run by the patch id.
func (server *Server) settle(ctx context.Context, a asked, caller string, handle patch.Handle) {
	server.note(ctx, "settle an idempotency key", func(ctx context.Context) error {
		return server.keys.Settle(ctx, ports.SettleInput{
			Caller: caller, Key: a.key, PatchID: handle.PatchID, RunID: handle.RunID,
		})
	})
}

func (server *Server) release(ctx context.Context, a asked, caller, claim string) {
	server.note(ctx, "release an idempotency key", func(ctx context.Context) error {
		return server.keys.Release(ctx, caller, a.key, claim)
	})
}

// keep notes how the patch of a key ended, for when Temporal has forgotten it.
func (server *Server) keep(ctx context.Context, a asked, caller string, result patch.Result) {
	if a.key == "" {
		return
	}
	server.note(ctx, "keep the result of an idempotency key", func(ctx context.Context) error {
		encoded, err := json.Marshal(result)
		if err != nil {
			return err
		}
		return server.keys.KeepResult(ctx, caller, a.key, encoded)
	})
}

// note writes something down that the answer does not depend on, also when the
// caller has gone.
func (server *Server) note(ctx context.Context, doing string, write func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if err := write(ctx); err != nil {
		server.logger.LogAttrs(ctx, slog.LevelWarn, "dependency failed", slog.String("err", fmt.Sprintf("%s: %s", doing, err)))
	}
}

// look returns what is known of a patch, within bounded time.
func (server *Server) look(ctx context.Context, patchID string) (patch.View, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return server.patcher.Look(ctx, patchID)
}

// notKnown is the problem of a start without an answer, which may have had its
// effect: hence the id.
func notKnown(patchID string, cause error) *problem {
	p := refusal(patch.CodeServiceUnavailable,
		"whether the patch was started is not known; look at patch_id, or send the request again")
	p.PatchID, p.cause = patchID, cause
	return p
}

// startFault is the problem of the patch of that id, which could not be started. Why a service
// is unavailable is logged, not told: its words name hosts and ports.
func startFault(patchID string, err error) *problem {
	reason, refused := errors.AsType[*patch.Refusal](err)
	switch {
	case refused && reason.Code == patch.CodeServiceUnavailable && reason.PatchID == "":
		return unavailable("start the patch", err)
	case refused && reason.Code != patch.CodeServiceUnavailable:
		p := told(reason)
		if reason.PatchID != "" {
			gameID, _ := patch.GameOf(patchID)
			p.WorkflowID = patch.WorkflowID(gameID)
		}
		return p
	case refused, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return notKnown(patchID, fmt.Errorf("start the patch: %w", err))
	default:
		return internal("start the patch", err)
	}
}
