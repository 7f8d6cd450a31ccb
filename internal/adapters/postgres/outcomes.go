package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

const (
	// outcomeChannel is where Append notifies of a row, by its run ID. What is
	// heard there is a hint, since whoever may connect may notify: the row is the
	// truth.
	outcomeChannel = "gamemaster_outcome"

	// outcomeProbe is how often a silent connection is tried, and how long the
	// answer to it may take: a server that is gone without a word costs callers
	// their patience only for so long.
	outcomeProbe = 15 * time.Second

	// outcomeProbes is how many of them may stay unanswered in a row: one may meet a
	// server that is busy for longer.
	outcomeProbes = 2

	// outcomeRetry is the pause before a new connection: long against what a
	// connection costs, short against the restart of a server.
	outcomeRetry = time.Second

	// outcomesKept is how many runs are remembered to have been heard of, for
	// callers who ask a moment later. A thousand patches a second close within
	// much less than the four seconds that this gives them.
	outcomesKept = 4096
)

// Outcomes hears of audit rows as they are committed, over a connection of its
// own that listens. It is safe for concurrent use.
type Outcomes struct {
	pool   *pgxpool.Pool
	logger *slog.Logger
	probe  time.Duration

	mu      sync.Mutex
	hears   bool
	waiting map[string][]chan bool
	// heard is a ring of run IDs and the set of them.
	heard map[string]struct{}
	ring  [outcomesKept]string
	next  int
}

// NewOutcomes returns one that hears nothing until [Outcomes.Listen] runs. It
// connects as pool does, whose connections are not taken.
func NewOutcomes(pool *pgxpool.Pool, logger *slog.Logger) *Outcomes {
	return &Outcomes{pool: pool, logger: logger, probe: outcomeProbe, waiting: map[string][]chan bool{}, heard: map[string]struct{}{}}
}

// Await waits until the audit row of a run is committed, and reports whether it
// was: false when ctx ends first, and as soon as nothing can be heard. A run
// that was heard of lately is known at once.
func (o *Outcomes) Await(ctx context.Context, runID string) bool {
	told := make(chan bool, 1)
	o.mu.Lock()
	if _, known := o.heard[runID]; known || !o.hears {
		o.mu.Unlock()
		return known
	}
	o.waiting[runID] = append(o.waiting[runID], told)
	o.mu.Unlock()
	select {
	case heard := <-told:
		return heard
	case <-ctx.Done():
		o.forsake(runID, told)
		return false
	}
}

// forsake takes one who waited out of those who wait.
func (o *Outcomes) forsake(runID string, told chan bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var others []chan bool
	for _, other := range o.waiting[runID] {
		if other != told {
			others = append(others, other)
		}
	}
	if o.waiting[runID] = others; len(others) == 0 {
		delete(o.waiting, runID)
	}
}

// Heard reports whether the audit row of a run was heard of lately: its run has
// closed, or is about to.
func (o *Outcomes) Heard(runID string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, known := o.heard[runID]
	return known
}

var findSuccess = query[success]{
	"find success",
	`SELECT o.id, ` + of("o", entryColumns) + `, ` + of("r", recordColumns) + `
		FROM operation_log o JOIN runtime_records r USING (game_id)
		WHERE o.patch_id = $1 AND o.patch_id <> '' AND o.run_id = $2 AND o.op_kind = 'patch' AND o.outcome = 'success' AND o.undo = ''
			AND r.current_image_ref = o.to_image_ref AND r.current_engine_version = o.to_version`,
	scanSuccess,
}

type success struct {
	entry  operation.OperationEntry
	record runtime.RuntimeRecord
}

// Success returns the audit row of a run that did its patch, and the record, on
// which nothing has followed since. It returns [patch.ErrNotFound] when there is
// no such row, when something was undone on the way, and when the record is
// elsewhere by now.
func (o *Outcomes) Success(ctx context.Context, patchID, runID string) (operation.OperationEntry, runtime.RuntimeRecord, error) {
	if err := checkText(findSuccess.op, patchID, runID); err != nil {
		return operation.OperationEntry{}, runtime.RuntimeRecord{}, err
	}
	found, err := findSuccess.one(ctx, o.pool, patchID, runID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = patch.ErrNotFound
	}
	return found.entry, found.record, err
}

// Listen listens until ctx ends, and connects again whenever it has to. What is
// notified in between is not heard of.
func (o *Outcomes) Listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := o.listen(ctx)
		if o.deaf() && ctx.Err() == nil {
			// Once for each connection that had worked, not for each try.
			o.logger.LogAttrs(ctx, slog.LevelWarn, "dependency failed", slog.String("err", "listen for outcomes: "+err.Error()))
		}
		select {
		case <-ctx.Done():
		case <-time.After(outcomeRetry):
		}
	}
}

// listen listens on one connection until that breaks.
func (o *Outcomes) listen(ctx context.Context) error {
	connection, err := pgx.ConnectConfig(ctx, o.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		// ctx may have ended, and what breaks needs no farewell.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = connection.Close(ctx)
	}()
	if err := o.execute(ctx, connection, "LISTEN "+outcomeChannel); err != nil {
		return err
	}
	probe, unanswered := rand.Text(), 0
	for {
		if unanswered++; unanswered > outcomeProbes {
			// Something in between swallows them, such as a pooler that gives the
			// connection to somebody else after each statement.
			return errors.New("the connection hears nothing of its own notifications")
		}
		if err := o.execute(ctx, connection, "SELECT pg_notify($1, $2)", outcomeChannel, probe); err != nil {
			return err
		}
		if err := o.hear(ctx, connection, probe, &unanswered); err != nil {
			return err
		}
	}
}

// execute bounds a statement of the connection's own.
func (o *Outcomes) execute(ctx context.Context, connection *pgx.Conn, sql string, arguments ...any) error {
	ctx, cancel := context.WithTimeout(ctx, o.probe)
	defer cancel()
	_, err := connection.Exec(ctx, sql, arguments...)
	return err
}

// hear passes on what is heard until it is time to try the connection again.
func (o *Outcomes) hear(ctx context.Context, connection *pgx.Conn, probe string, unanswered *int) error {
	within, cancel := context.WithTimeout(ctx, o.probe)
	defer cancel()
	for {
		notification, err := connection.WaitForNotification(within)
		switch {
		case err != nil && within.Err() != nil && ctx.Err() == nil && !connection.IsClosed():
			return nil
		case err != nil:
			return fmt.Errorf("wait for a notification: %w", err)
		case notification.Payload == probe:
			*unanswered = 0
			o.hearing()
		default:
			o.tell(notification.Payload)
		}
	}
}

func (o *Outcomes) hearing() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hears = true
}

// deaf lets go of all who wait, and reports whether anything could be heard
// before.
func (o *Outcomes) deaf() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	heard := o.hears
	o.hears = false
	for runID := range o.waiting {
		o.answer(runID, false)
	}
	return heard
}

// tell notes that the row of a run was heard of.
func (o *Outcomes) tell(runID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.heard[runID]; !known {
		delete(o.heard, o.ring[o.next])
		o.heard[runID], o.ring[o.next] = struct{}{}, runID
		o.next = (o.next + 1) % len(o.ring)
	}
	o.answer(runID, true)
}

// answer tells all who wait for a run; it wants the lock.
func (o *Outcomes) answer(runID string, heard bool) {
	for _, told := range o.waiting[runID] {
		told <- heard
	}
	delete(o.waiting, runID)
}

func scanSuccess(row pgx.CollectableRow) (success, error) {
	var s success
	err := row.Scan(append(entryFields(&s.entry), recordFields(&s.record)...)...)
	s.entry.StartedAt, s.entry.FinishedAt = s.entry.StartedAt.UTC(), utc(s.entry.FinishedAt)
	s.record = inUTC(s.record)
	return s, err
}

// of puts the name of a table in front of each column.
func of(table, columns string) string {
	return table + "." + strings.Join(strings.FieldsFunc(columns, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }), ", "+table+".")
}
