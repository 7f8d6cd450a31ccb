package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// join returns the handle of the open run, if request may share its result.
func (s *Starter) join(ctx context.Context, request patch.Request, open described) (patch.Handle, error) {
	switch {
	case !open.serves(request):
		if _, err := engineversion.ParseSemver(request.Version); err != nil {
			// It would be refused whatever is open; better told why.
			return patch.Handle{}, request.Validate()
		}
		return patch.Handle{}, inTheWay(open)
	case open.inDoubt() && open.handle.PatchID != request.PatchID:
		return s.tryAgain(ctx, request, open)
	default:
		return joined(open.handle), nil
	}
}

func joined(handle patch.Handle) patch.Handle {
	handle.Joined = true
	return handle
}

// unknownCaller stands in the audit log for a request that nobody signed: a
// decision without an actor is refused.
const unknownCaller = "unknown caller"

// tryAgain has the open run, which waits for an operator, try again because of
// request, and joins it.
//
// When somebody else decided in that moment, the run goes on as they said, and
// its result is as good an answer. When the decision cannot be delivered, the
// request is refused: who joins expects that something is being done, and here
// nothing would be.
//
// The update has the request's own id. A request that is sent again, because its
// first sender died before it could note the run, so finds its decision taken
// and does not decide a second time. How often a run tries again is bounded by
// itself; see [patch.MaxRetries].
func (s *Starter) tryAgain(ctx context.Context, request patch.Request, open described) (patch.Handle, error) {
	if err := request.Validate(); err != nil {
		// It becomes no run that would tell so.
		return patch.Handle{}, err
	}
	handle, err := s.decide(ctx, open, decision{
		update: workflows.RetryUpdate, id: request.PatchID, command: askedAgain(request),
	})
	switch {
	case err == nil:
		return joined(handle), nil
	case errors.Is(err, patch.ErrNotInDoubt):
		return joined(open.handle), nil
	case errors.Is(err, patch.ErrClosed):
		return patch.Handle{}, errClosed
	default:
		return patch.Handle{}, err
	}
}

// askedAgain is the decision that a request stands for.
func askedAgain(request patch.Request) patch.Command {
	command := patch.Command{Actor: request.Actor, Reason: "asked for version " + request.Version + " again"}
	if strings.TrimSpace(command.Actor) == "" {
		command.Actor = unknownCaller
	}
	if request.Reason != "" {
		command.Reason = patch.Truncate(command.Reason+": "+request.Reason, patch.MaxReason)
	}
	return command
}

// inTheWay is the refusal of a request that the open run does not serve.
func inTheWay(open described) *patch.Refusal {
	refusal := &patch.Refusal{Code: patch.CodePatchInProgress, PatchID: open.handle.PatchID}
	switch {
	case open.reconciles():
		refusal.Message = fmt.Sprintf("a reconciliation of this game (%s) is under way, wait for its end", orByHand(open.mode))
	case open.inDoubt():
		refusal.Message = fmt.Sprintf("patch %s of this game to version %q is in doubt, since the container could not be brought "+
			"in line with the record; an operator has to retry or abandon it", open.handle.PatchID, open.version)
	default:
		refusal.Message = fmt.Sprintf("patch %s of this game to version %q %s force%s is open, wait for its end",
			open.handle.PatchID, open.version, withOrWithout(open.force), expecting(open.expected))
	}
	return refusal
}

func orByHand(mode patch.Mode) string {
	if mode == "" {
		return "started by hand"
	}
	return string(mode)
}

func withOrWithout(force bool) string {
	if force {
		return "with"
	}
	return "without"
}

func expecting(version string) string {
	if version == "" {
		return ""
	}
	return fmt.Sprintf(", from %q", version)
}
