package rivals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"galaxy/gamemaster/internal/adapters/postgres"
)

// The queue is River, with the state of each saga in a table of its own: a job
// that is tried again reads there how far the one before came. One open saga per
// game is the index's affair. What it has not: pages for operators, a history of
// attempts, pausing, the undo that follows the record, fencing.
const sagaSchema = `
	CREATE TABLE IF NOT EXISTS patch_sagas (
		id         text PRIMARY KEY,
		game_id    text NOT NULL,
		state      text NOT NULL,
		move       jsonb NOT NULL,
		failure    text NOT NULL DEFAULT '',
		updated_at timestamptz NOT NULL DEFAULT now()
	);
	CREATE UNIQUE INDEX IF NOT EXISTS patch_sagas_open ON patch_sagas (game_id) WHERE state NOT IN ('done', 'failed')`

// The states of a saga; each says which step is next.
const (
	stateNew      = "new"
	stateChecked  = "checked"  // the container may have been recreated
	statePatched  = "patched"  // it was
	stateRecorded = "recorded" // so was the record
	stateUndoing  = "undoing"
	stateDone     = "done"
	stateFailed   = "failed"
)

// doneChannel is where the end of a saga is told.
const doneChannel = "patch_sagas_done"

// ended is what is told of it.
type ended struct {
	Key     string `json:"key"`
	Move    move   `json:"move"`
	Failure string `json:"failure,omitempty"`
}

// sagaJob is the job that works on a saga.
type sagaJob struct {
	ID string `json:"id"`
}

// Kind names the job.
func (sagaJob) Kind() string { return "patch_saga" }

// QueueCooldown is how soon River looks for jobs again. Its own default of 100 ms
// would be most of what a patch takes; it goes down to one.
const QueueCooldown = 2 * time.Millisecond

// maxJobs is how many sagas one worker works on at once, which is River's own
// example.
const maxJobs = 100

// openRiver opens a pool for River alone, which keeps a connection of it for
// itself.
func openRiver(ctx context.Context) (*pgxpool.Pool, error) {
	return postgres.Open(ctx, os.Getenv("DATABASE_URL"))
}

func riverConfig(cooldown time.Duration) *river.Config {
	return &river.Config{
		FetchCooldown: cooldown, // zero is River's default
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// ServeQueueWorker returns a server that works on the sagas. It lays River's schema
// and its own.
func ServeQueueWorker(cooldown time.Duration) func(context.Context, io.Writer) error {
	return func(ctx context.Context, out io.Writer) error {
		p, err := openParts(ctx)
		if err != nil {
			return err
		}
		defer p.close()
		pool, err := openRiver(ctx)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := laySchema(ctx, pool); err != nil {
			return err
		}
		config := riverConfig(cooldown)
		config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxJobs}}
		config.Workers = river.NewWorkers()
		river.AddWorker(config.Workers, &queueWorker{parts: p})
		client, err := river.NewClient(riverpgxv5.New(pool), config)
		if err != nil {
			return err
		}
		if err := client.Start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
		fmt.Fprintln(out, "working")
		<-ctx.Done()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		return client.Stop(limited)
	}
}

func laySchema(ctx context.Context, pool *pgxpool.Pool) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("river's migrations: %w", err)
	}
	_, err = pool.Exec(ctx, sagaSchema)
	return err
}

// queueWorker does the steps of a saga.
type queueWorker struct {
	river.WorkerDefaults[sagaJob]
	parts *parts
}

// Work brings a saga from where it stands to its end. Each step is written down
// before the next one begins; a refusal is undone, any other error has River try
// again.
func (w *queueWorker) Work(ctx context.Context, job *river.Job[sagaJob]) error {
	var state, failure string
	var m move
	err := w.parts.pool.QueryRow(ctx, "SELECT state, move, failure FROM patch_sagas WHERE id = $1", job.Args.ID).Scan(&state, &m, &failure)
	if err != nil {
		return err
	}
	for state != stateDone && state != stateFailed {
		next, err := w.step(ctx, state, &m, failure)
		if errors.Is(err, errRefused) && state != stateUndoing {
			failure = err.Error()
			next = stateUndoing
		} else if err != nil {
			return err
		}
		if err := w.save(ctx, next, m, failure); err != nil {
			return err
		}
		state = next
	}
	return nil
}

// step does what is due in a state and returns the next one.
func (w *queueWorker) step(ctx context.Context, state string, m *move, failure string) (string, error) {
	var err error
	switch state {
	case stateNew:
		if *m, err = w.parts.load(ctx, *m); err == nil {
			*m, err = w.parts.validate(ctx, *m)
		}
		return stateChecked, err
	case stateChecked:
		return statePatched, w.parts.recreate(ctx, *m, m.ToImage, m.Key)
	case statePatched:
		return stateRecorded, w.parts.update(ctx, *m)
	case stateRecorded:
		return stateDone, w.parts.audit(ctx, *m, "")
	case stateUndoing:
		// Without an image nothing had been touched yet.
		if m.ToImage != "" {
			err = w.parts.recreate(ctx, *m, m.FromImage, m.Key+"/restore")
		}
		return stateFailed, errors.Join(err, w.parts.audit(ctx, *m, failure))
	default:
		return "", fmt.Errorf("saga %s is in state %q", m.Key, state)
	}
}

// save writes the state down, and tells of the end in the same statement.
func (w *queueWorker) save(ctx context.Context, state string, m move, failure string) error {
	const update = "UPDATE patch_sagas SET state = $2, move = $3, failure = $4, updated_at = now() WHERE id = $1"
	if state != stateDone && state != stateFailed {
		_, err := w.parts.pool.Exec(ctx, update, m.Key, state, m, failure)
		return err
	}
	told, err := json.Marshal(ended{m.Key, m, failure})
	if err != nil {
		return err
	}
	_, err = w.parts.pool.Exec(ctx, "WITH saga AS ("+update+" RETURNING id) SELECT pg_notify($5, $6) FROM saga",
		m.Key, state, m, failure, doneChannel, string(told))
	return err
}

// insertSaga makes a saga and its job in one transaction.
func insertSaga(ctx context.Context, pool *pgxpool.Pool, client *river.Client[pgx.Tx], m move) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO patch_sagas (id, game_id, state, move) VALUES ($1, $2, $3, $4)",
			m.Key, m.GameID, stateNew, m); err != nil {
			return err
		}
		_, err := client.InsertTx(ctx, tx, sagaJob{m.Key}, nil)
		return err
	})
}
