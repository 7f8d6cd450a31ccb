package rivals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// lookAgain is how often the saga's row is read while its end was not told: a
// notification is lost when the listening connection breaks.
const lookAgain = time.Second

// ServeQueueAPI returns a server of the queue's door: it inserts a saga with its
// job, and waits until its end is told.
func ServeQueueAPI(cooldown time.Duration) func(context.Context, io.Writer) error {
	return func(ctx context.Context, out io.Writer) error {
		pool, err := openRiver(ctx)
		if err != nil {
			return err
		}
		defer pool.Close()
		// Of an inserting client the cooldown bounds how often it tells of new jobs.
		client, err := river.NewClient(riverpgxv5.New(pool), riverConfig(cooldown))
		if err != nil {
			return err
		}
		door := &queueDoor{pool: pool, client: client, waiting: map[string]chan ended{}}
		connection, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
		if err != nil {
			return err
		}
		defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }() // nothing is under way on it
		if _, err := connection.Exec(ctx, "LISTEN "+doneChannel); err != nil {
			return err
		}
		var listening sync.WaitGroup
		defer listening.Wait()
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		listening.Go(func() { cancel(door.listen(ctx, connection)) })
		err = serveDoor(ctx, out, door)
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			err = errors.Join(err, cause)
		}
		return err
	}
}

// queueDoor answers when the saga that it began has ended.
type queueDoor struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]

	mu      sync.Mutex
	waiting map[string]chan ended
}

// listen hands what is told to whoever waits for it, until ctx ends.
func (d *queueDoor) listen(ctx context.Context, connection *pgx.Conn) error {
	for {
		notification, err := connection.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		var end ended
		if err := json.Unmarshal([]byte(notification.Payload), &end); err != nil {
			return err
		}
		d.mu.Lock()
		waiter, ours := d.waiting[end.Key]
		d.mu.Unlock()
		if ours {
			waiter <- end // it has room for the one
		}
	}
}

func (d *queueDoor) patch(ctx context.Context, gameID, version string) (Answer, error) {
	m := newMove(gameID, version)
	told := make(chan ended, 1)
	d.mu.Lock()
	d.waiting[m.Key] = told
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.waiting, m.Key)
		d.mu.Unlock()
	}()
	if err := insertSaga(ctx, d.pool, d.client, m); err != nil {
		return Answer{}, err
	}
	end, err := d.await(ctx, m.Key, told)
	if err != nil {
		return Answer{}, err
	}
	if end.Failure != "" {
		return Answer{}, fmt.Errorf("patch failed: %s", end.Failure)
	}
	return end.Move.answer(), nil
}

func (d *queueDoor) await(ctx context.Context, key string, told <-chan ended) (ended, error) {
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case end := <-told:
			return end, nil
		case <-ctx.Done():
			return ended{}, ctx.Err()
		case <-ticker.C:
		}
		end, state := ended{Key: key}, ""
		err := d.pool.QueryRow(ctx, "SELECT state, move, failure FROM patch_sagas WHERE id = $1", key).Scan(&state, &end.Move, &end.Failure)
		if err != nil || state == stateDone || state == stateFailed {
			return end, err
		}
	}
}
