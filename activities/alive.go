package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
)

// errHandedBack is the cause of a context that ended because its worker stops.
var errHandedBack = errors.New("the worker is stopping, the step is handed back")

// BeatInterval is how often a step that calls Runtime Manager reports that it
// is alive. The workflow allows three times as much between two reports, so
// that a lost one is not taken for a dead worker. A worker has to let them
// through that often: the SDK holds them back for longer unless it is told.
const BeatInterval = 3 * time.Second

// HandBackAfter is how long a call to Runtime Manager may go on after its
// worker was told to stop; then it is cut and retried elsewhere. It has to be
// shorter than the worker's own stop timeout, or the answer that hands the step
// back is never sent.
const HandBackAfter = 5 * time.Second

// alive reports heartbeats until done is called: they carry a cancellation to
// the step and tell a dead worker from a slow Runtime Manager. The returned
// context also ends when the worker stops.
//
// They carry the count of attempts as well. Temporal counts them anew when an
// operator resets the step in its UI: one that took itself for the first would
// not look before it calls, and would call with a fencing number that Runtime
// Manager has seen the successors of, which ends the patch. The count is lost
// when the operator has the heartbeat details reset too. So a later attempt
// reports at once, before it calls anybody; the first one, which is all that
// most steps need, after [firstBeat] or with its failure.
func alive(ctx context.Context) (_ context.Context, done func()) {
	tried := attempt(ctx)
	var before int
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &before) == nil {
		tried = max(tried, before+1)
	}
	ctx = context.WithValue(ctx, attemptKey{}, tried)
	first := firstBeat
	if tried > 1 {
		activity.RecordHeartbeat(ctx, tried)
		first = BeatInterval
	}
	return beating(ctx, first, func() []any { return []any{tried} })
}

// firstBeat is when the first attempt of a step reports for the first time.
// Nobody finds the button that resets it sooner, and a call to a Runtime Manager
// that is well is over by then, without a request to Temporal for the report.
const firstBeat = time.Second

// keepCount has Temporal keep the count of a step that fails before its first
// report: an operator may reset it while it waits for its next attempt.
func keepCount(ctx context.Context) {
	if tried, counted := ctx.Value(attemptKey{}).(int); counted {
		activity.RecordHeartbeat(ctx, tried)
	}
}

// attemptKey is where alive keeps the attempt for [attempt].
type attemptKey struct{}

// aliveWith is alive for a step that has something to tell with each heartbeat;
// details is called beside the step.
func aliveWith(ctx context.Context, details func() []any) (_ context.Context, done func()) {
	return beating(ctx, BeatInterval, details)
}

// beating is aliveWith that reports for the first time after first.
func beating(ctx context.Context, first time.Duration, details func() []any) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(first)
		defer ticker.Stop()
		workerStop := activity.GetWorkerStopChannel(ctx)
		var handBack <-chan time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				ticker.Reset(BeatInterval)
				activity.RecordHeartbeat(ctx, details()...)
			case <-workerStop:
				workerStop = nil
				timer := time.NewTimer(HandBackAfter)
				defer timer.Stop()
				handBack = timer.C
			case <-handBack:
				cancel(errHandedBack)
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-stopped
	}
}
