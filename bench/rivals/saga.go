package rivals

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// sagaQueue is the saga's task queue, and SagaWorkflowID what its runs are called.
const sagaQueue = "patch-saga"

// SagaWorkflowID returns the workflow ID of a game's patches.
func SagaWorkflowID(gameID string) string { return "patch-saga/" + gameID }

// SagaPatch is the patch as the samples of Temporal write a saga: five regular
// activities, one after the other, and compensations on a stack that are run
// when one fails.
func SagaPatch(ctx workflow.Context, m move) (done move, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute, MaximumAttempts: 10,
		},
	})
	var steps *SagaSteps
	var compensations []func(workflow.Context) error
	defer func() {
		if err == nil {
			return
		}
		// A cancelled run is compensated as well.
		undo, _ := workflow.NewDisconnectedContext(ctx)
		for i := len(compensations) - 1; i >= 0; i-- {
			err = errors.Join(err, compensations[i](undo))
		}
		err = errors.Join(err, workflow.ExecuteActivity(undo, steps.Audit, m, err.Error()).Get(undo, nil))
	}()
	if err = workflow.ExecuteActivity(ctx, steps.Load, m).Get(ctx, &m); err != nil {
		return m, err
	}
	if err = workflow.ExecuteActivity(ctx, steps.Validate, m).Get(ctx, &m); err != nil {
		return m, err
	}
	compensations = append(compensations, func(ctx workflow.Context) error {
		return workflow.ExecuteActivity(ctx, steps.Restore, m).Get(ctx, nil)
	})
	if err = workflow.ExecuteActivity(ctx, steps.Patch, m).Get(ctx, nil); err != nil {
		return m, err
	}
	if err = workflow.ExecuteActivity(ctx, steps.Update, m).Get(ctx, nil); err != nil {
		return m, err
	}
	return m, workflow.ExecuteActivity(ctx, steps.Audit, m, "").Get(ctx, nil)
}

// SagaSteps are the activities of [SagaPatch].
type SagaSteps struct{ parts *parts }

// Load reads the record.
func (s *SagaSteps) Load(ctx context.Context, m move) (move, error) {
	m, err := s.parts.load(ctx, m)
	return m, lasting(err)
}

// Validate checks the version.
func (s *SagaSteps) Validate(ctx context.Context, m move) (move, error) {
	m, err := s.parts.validate(ctx, m)
	return m, lasting(err)
}

// Patch recreates the container.
func (s *SagaSteps) Patch(ctx context.Context, m move) error {
	return lasting(s.parts.recreate(ctx, m, m.ToImage, m.Key))
}

// Restore recreates it on the image that it had.
func (s *SagaSteps) Restore(ctx context.Context, m move) error {
	return lasting(s.parts.recreate(ctx, m, m.FromImage, m.Key+"/restore"))
}

// Update rotates the record.
func (s *SagaSteps) Update(ctx context.Context, m move) error { return lasting(s.parts.update(ctx, m)) }

// Audit writes the row of the log.
func (s *SagaSteps) Audit(ctx context.Context, m move, failure string) error {
	return lasting(s.parts.audit(ctx, m, failure))
}

// lasting keeps a refusal from being tried again.
func lasting(err error) error {
	if errors.Is(err, errRefused) {
		return temporal.NewNonRetryableApplicationError(err.Error(), "refused", nil)
	}
	return err
}

// dialSaga connects with the client's defaults, and says no more than the product
// does.
func dialSaga() (client.Client, error) {
	return client.Dial(client.Options{
		HostPort: os.Getenv("TEMPORAL_ADDRESS"),
		Logger:   temporallog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
}

// ServeSagaAPI serves the saga's door: it starts a run and waits for its result.
func ServeSagaAPI(ctx context.Context, out io.Writer) error {
	c, err := dialSaga()
	if err != nil {
		return err
	}
	defer c.Close()
	return serveDoor(ctx, out, sagaDoor{c})
}

type sagaDoor struct{ client client.Client }

func (d sagaDoor) patch(ctx context.Context, gameID, version string) (Answer, error) {
	run, err := d.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: SagaWorkflowID(gameID), TaskQueue: sagaQueue, WorkflowExecutionErrorWhenAlreadyStarted: true,
	}, SagaPatch, newMove(gameID, version))
	if err != nil {
		return Answer{}, err
	}
	var done move
	if err := run.Get(ctx, &done); err != nil {
		return Answer{}, err
	}
	return done.answer(), nil
}

// ServeSagaWorker works on the saga's runs with the worker's defaults.
func ServeSagaWorker(ctx context.Context, out io.Writer) error {
	p, err := openParts(ctx)
	if err != nil {
		return err
	}
	defer p.close()
	c, err := dialSaga()
	if err != nil {
		return err
	}
	defer c.Close()
	w := worker.New(c, sagaQueue, worker.Options{})
	w.RegisterWorkflow(SagaPatch)
	w.RegisterActivity(&SagaSteps{p})
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	fmt.Fprintln(out, "working")
	<-ctx.Done()
	return nil
}
