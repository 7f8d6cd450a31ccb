package workflows

import (
	"math"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/domain/patch"
)

// One attempt on Postgres: the statements are single rows by primary key, so
// five seconds mean that the server is not answering. The statement itself ends
// on the server after four, and the wait for a locked row after three, so that
// Postgres says what was in the way and nothing is written after the attempt.
const storeAttempt = 5 * time.Second

// One attempt on Runtime Manager: the client gives an inspect 5 s and a
// recreate 30 s, and the undo looks twice and reads Postgres as well; the rest
// is margin, so that the client's own error arrives instead of a timeout.
const managerAttempt = time.Minute

// A step that calls Runtime Manager reports every 3 s that it is alive; after
// three reports have been missed its worker is dead and the step is tried
// elsewhere.
const managerHeartbeat = 10 * time.Second

// unlimited leaves the bound of a step to its time budget alone. Zero would say
// the same to the server, but the SDK's test environment takes it for ten.
const unlimited = math.MaxInt32

// backoff waits first between the first two attempts, twice as long each time
// after, and never longer than most.
func backoff(first, most time.Duration) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval: first, BackoffCoefficient: 2, MaximumInterval: most, MaximumAttempts: unlimited,
	}
}

// told bounds a summary that has a text of the request in it, which nobody has
// checked yet: Temporal does not take a longer one.
func told(summary string) string { return patch.Truncate(summary, patch.MaxSummary) }

// storeOptions are for steps on Postgres: quick retries, since most of its
// faults are gone within a second, for budget in total.
func storeOptions(ctx workflow.Context, budget patch.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    storeAttempt,
		ScheduleToCloseTimeout: time.Duration(budget),
		RetryPolicy:            backoff(200*time.Millisecond, 5*time.Second),
		Summary:                summary,
	})
}

// One attempt on Postgres within a workflow task, which is done in ten seconds
// or given to another worker, three steps of a patch included: a statement takes
// a millisecond, and beyond two seconds the step is better waited for where an
// operator can see it.
const taskAttempt = 2 * time.Second

// taskOptions are for a step within the workflow task: one attempt.
func taskOptions(ctx workflow.Context, summary string, timeout time.Duration) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		ScheduleToCloseTimeout: timeout,
		RetryPolicy:            &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:                summary,
	})
}

// auditOptions are for the audit row, which is tried until it is written: a run
// without its row must not close. Half a minute between attempts is what a
// Postgres that has been down for long can be asked at.
func auditOptions(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: storeAttempt,
		RetryPolicy:         backoff(200*time.Millisecond, 30*time.Second),
		Summary:             summary,
	})
}

// managerOptions are for steps that call Runtime Manager: slower retries, since a recreate is
// heavy and Runtime Manager's Retry-After overrides them anyway, for budget in
// total. The step's end is waited for when the run is cancelled, so that the
// undo does not start while the recreate is still under way.
func managerOptions(ctx workflow.Context, budget patch.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    managerAttempt,
		ScheduleToCloseTimeout: time.Duration(budget),
		HeartbeatTimeout:       managerHeartbeat,
		WaitForCancellation:    true,
		RetryPolicy:            backoff(500*time.Millisecond, 15*time.Second),
		Summary:                summary,
	})
}

// lastTurn is the last turn, from zero, in which a recreate waits for a free slot
// of a worker. With the budget of two minutes all turns are three quarters of an
// hour, in which a Runtime Manager that does four recreates a second has done
// 10,000. Beyond it nobody waits for the patch any more.
const lastTurn = 4

// noSlot is what a recreate that nobody took up in time is told to have failed with.
const noSlot = "no worker had a free slot for it within its time, nothing was asked"

// recreateOptions are managerOptions of a recreate, which may wait for a free slot
// of a worker when more patches are open than Runtime Manager does at once: for
// three quarters of its budget, so that the last one is left for a call that takes
// its whole time. Less would be too short for an attempt whose worker died, and
// whose next one waits for the worker to be started again.
//
// A recreate that found no slot by then is scheduled anew and may wait for twice
// as long in each turn, so that thousands which wait do not keep the workers busy
// with it. In return it may also try for longer: what is left of the wait is not
// taken away again.
func recreateOptions(ctx workflow.Context, budget patch.Duration, turn int, summary string) workflow.Context {
	call := budget / 4
	wait := (budget - call) << turn
	ctx = managerOptions(ctx, wait+call, summary)
	return workflow.WithScheduleToStartTimeout(ctx, time.Duration(wait))
}

// undoOptions are for the compensation: as for the recreate, but patient, for
// its own long budget in total. The wait for a worker ends a little earlier, by
// which an undo that nobody took up is told from one that did not succeed.
func undoOptions(ctx workflow.Context, budget patch.Duration, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    managerAttempt,
		ScheduleToCloseTimeout: time.Duration(budget),
		ScheduleToStartTimeout: time.Duration(budget) * 9 / 10,
		HeartbeatTimeout:       managerHeartbeat,
		RetryPolicy:            backoff(500*time.Millisecond, 30*time.Second),
		Summary:                summary,
	})
}
