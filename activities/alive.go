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
// when the operator has the heartbeat details reset too.
func alive(ctx context.Context) (_ context.Context, done func()) {
	tried := attempt(ctx)
	var before int
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &before) == nil {
		tried = max(tried, before+1)
	}
	ctx = context.WithValue(ctx, attemptKey{}, tried)
	// At once, so that it is there before the step calls anybody.
	activity.RecordHeartbeat(ctx, tried)
	return aliveWith(ctx, func() []any { return []any{tried} })
}

// attemptKey is where alive keeps the attempt for [attempt].
type attemptKey struct{}

// aliveWith is alive for a step that has something to tell with each heartbeat;
// details is called beside the step.
func aliveWith(ctx context.Context, details func() []any) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(BeatInterval)
		defer ticker.Stop()
		workerStop := activity.GetWorkerStopChannel(ctx)
		var handBack <-chan time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
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
