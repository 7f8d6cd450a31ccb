package postgres

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/ports"
)

// Histories implements [ports.HistoryStore] on run_histories and its three
// companions.
type Histories struct {
	pool *pgxpool.Pool
	// tried hears of every try that left a row; may be nil.
	tried func(history.Outcome)
}

var _ ports.HistoryStore = (*Histories)(nil)

// NewHistories returns a store on pool, which the caller keeps and closes.
func NewHistories(pool *pgxpool.Pool) *Histories { return &Histories{pool: pool} }

// OnTried has hear told what came of every export whose row this store wrote: of
// a history that is kept now, once, not of one that was kept already; of a miss
// with every try. It returns the store, and is to be called before the store is
// used.
func (s *Histories) OnTried(hear func(history.Outcome)) *Histories {
	s.tried = hear
	return s
}

func (s *Histories) tell(outcome history.Outcome) {
	if s.tried != nil {
		s.tried(outcome)
	}
}

var (
	// In one statement, so that a run is kept or missed and never both, and what
	// people did to it is kept with its history or not at all.
	keepHistory = command{
		"keep history",
		`WITH found AS (DELETE FROM run_history_misses WHERE run_id = $1),
			told AS (INSERT INTO run_interventions (run_id, event_id, patch_id, game_id, at, action, identity, reason)
				SELECT $1, * FROM unnest($12::bigint[], $13::text[], $14::text[], $15::timestamptz[], $16::text[], $17::text[], $18::text[])
				ON CONFLICT (run_id, event_id) DO NOTHING)
			INSERT INTO run_histories (run_id, patch_id, workflow_id, workflow_type, status, started_at, closed_at,
				events, size, history, exported_at, replay_error)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp(), $11)
			ON CONFLICT (run_id) DO NOTHING`,
	}

	unkept = query[string]{
		"find unkept histories",
		`SELECT asked.run_id FROM unnest($1::text[]) WITH ORDINALITY AS asked (run_id, place)
			WHERE NOT EXISTS (SELECT FROM run_histories AS h WHERE h.run_id = asked.run_id)
				AND NOT EXISTS (SELECT FROM run_history_misses AS m WHERE m.run_id = asked.run_id)
			ORDER BY place`,
		pgx.RowTo[string],
	}

	missHistory = command{
		"note a missed history",
		`INSERT INTO run_history_misses AS m (run_id, workflow_id, error, first_at, last_at)
			VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp())
			ON CONFLICT (run_id) DO UPDATE SET error = excluded.error, last_at = excluded.last_at, attempts = m.attempts + 1`,
	}

	missedHistories = query[history.Ref]{
		"list missed histories",
		// Less and less often, down to once an hour: most will never come.
		`SELECT workflow_id, run_id FROM run_history_misses
			WHERE last_at <= clock_timestamp() - least(attempts, 60) * interval '1 minute' ORDER BY last_at, run_id LIMIT $1`,
		pgx.RowToStructByPos[history.Ref],
	}

	historyBacklog = query[history.Backlog]{
		"read the backlog of histories",
		// The reason ends with the sentinel's own text, which says that no try will
		// ever bring it. There are few misses, as a rule none.
		`SELECT coalesce((SELECT mark FROM run_history_marks WHERE name = $1), '0001-01-01Z'),
				count(*) FILTER (WHERE NOT lost), count(*) FILTER (WHERE lost),
				coalesce(min(first_at) FILTER (WHERE NOT lost), '0001-01-01Z')
			FROM (SELECT first_at, right(error, length($2)) = $2 AS lost FROM run_history_misses) AS misses`,
		scanBacklog,
	}

	historyMark = query[time.Time]{"read the mark of histories", `SELECT mark FROM run_history_marks WHERE name = $1`, pgx.RowTo[time.Time]}

	setHistoryMark = command{
		"set the mark of histories",
		`INSERT INTO run_history_marks AS m (name, mark) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET mark = greatest(m.mark, excluded.mark)`,
	}

	listHistories = query[history.Run]{
		"list histories",
		`SELECT run_id, patch_id, workflow_id, workflow_type, status, started_at, closed_at, events, size, exported_at, replay_error
			FROM run_histories WHERE patch_id = $1 AND patch_id <> '' ORDER BY closed_at DESC, run_id LIMIT $2`,
		scanHistory,
	}

	listInterventions = query[history.Intervention]{
		"list interventions",
		`SELECT patch_id, game_id, run_id, event_id, at, action, identity, reason FROM run_interventions
			WHERE patch_id = $1 AND patch_id <> '' ORDER BY at DESC, run_id DESC, event_id DESC LIMIT $2`,
		scanIntervention,
	}

	readHistory = query[storedHistory]{
		"read history",
		`SELECT size, CASE WHEN size <= $3 THEN history END FROM run_histories WHERE run_id = $2 AND patch_id = $1 AND patch_id <> ''`,
		pgx.RowToStructByPos[storedHistory],
	}

	pruneHistories = command{
		"prune histories",
		`DELETE FROM run_histories WHERE run_id IN (
			SELECT run_id FROM run_histories WHERE closed_at < $1 ORDER BY closed_at LIMIT $2)`,
	}
)

type storedHistory struct {
	Size       int
	Compressed []byte
}

func scanHistory(row pgx.CollectableRow) (history.Run, error) {
	var run history.Run
	err := row.Scan(&run.RunID, &run.PatchID, &run.WorkflowID, &run.WorkflowType, &run.Status, &run.StartedAt, &run.ClosedAt,
		&run.Events, &run.Size, &run.ExportedAt, &run.ReplayError)
	run.StartedAt, run.ClosedAt, run.ExportedAt = run.StartedAt.UTC(), run.ClosedAt.UTC(), run.ExportedAt.UTC()
	return run, err
}

func scanBacklog(row pgx.CollectableRow) (history.Backlog, error) {
	backlog, err := pgx.RowToStructByPos[history.Backlog](row)
	backlog.Mark, backlog.WaitingSince = backlog.Mark.UTC(), backlog.WaitingSince.UTC()
	return backlog, err
}

func scanIntervention(row pgx.CollectableRow) (history.Intervention, error) {
	one, err := pgx.RowToStructByPos[history.Intervention](row)
	one.At = one.At.UTC()
	return one, err
}

// Keep stores the history of run by gzip with what people did to it, and takes the
// run off the misses. A run that is kept already keeps what it has. A document
// beyond [history.MaxSize] is [history.ErrTooLarge].
func (s *Histories) Keep(ctx context.Context, run history.Run, document []byte) error {
	if len(document) > history.MaxSize {
		return fmt.Errorf("%s: %d bytes: %w", keepHistory.op, len(document), history.ErrTooLarge)
	}
	if err := checkText(keepHistory.op, run.RunID, run.PatchID, run.WorkflowID, run.WorkflowType, run.Status, run.ReplayError); err != nil {
		return err
	}
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	if _, err := writer.Write(document); err != nil {
		return fmt.Errorf("%s: %w", keepHistory.op, err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("%s: %w", keepHistory.op, err)
	}
	arguments := append([]any{
		run.RunID, run.PatchID, run.WorkflowID, run.WorkflowType, run.Status,
		stamp(run.StartedAt), stamp(run.ClosedAt), run.Events, len(document), compressed.Bytes(), run.ReplayError,
	}, interventionColumns(run.Interventions)...)
	written, err := keepHistory.run(ctx, s.pool, arguments...)
	switch {
	case err != nil || written == 0:
	case run.ReplayError != "":
		s.tell(history.OutcomeUnreplayable)
	default:
		s.tell(history.OutcomeSuccess)
	}
	return err
}

// interventionColumns returns the interventions by column, as keepHistory takes them.
func interventionColumns(interventions []history.Intervention) []any {
	events, at := make([]int64, len(interventions)), make([]time.Time, len(interventions))
	var texts [5][]string
	for i := range texts {
		texts[i] = make([]string, len(interventions))
	}
	for i, one := range interventions {
		one = one.Storable()
		events[i], at[i] = one.EventID, stamp(one.At)
		for column, text := range [...]string{one.PatchID, one.GameID, string(one.Action), one.By, one.Reason} {
			texts[column][i] = text
		}
	}
	return []any{events, texts[0], texts[1], at, texts[2], texts[3], texts[4]}
}

// ListInterventions returns at most limit of what people did to the closed runs of
// a patch, the latest first.
func (s *Histories) ListInterventions(ctx context.Context, patchID string, limit int) ([]history.Intervention, error) {
	if err := checkText(listInterventions.op, patchID); err != nil {
		return nil, err
	}
	return listInterventions.all(ctx, s.pool, patchID, limit)
}

// Unkept returns those of runs that are neither kept nor missed, in order.
func (s *Histories) Unkept(ctx context.Context, runs []history.Ref) ([]history.Ref, error) {
	byID, ids := map[string]history.Ref{}, make([]string, len(runs))
	for i, run := range runs {
		byID[run.RunID], ids[i] = run, run.RunID
	}
	if err := checkText(unkept.op, ids...); err != nil {
		return nil, err
	}
	found, err := unkept.all(ctx, s.pool, ids)
	if err != nil {
		return nil, err
	}
	left := make([]history.Ref, len(found))
	for i, id := range found {
		left[i] = byID[id]
	}
	return left, nil
}

// Miss notes that a run could not be exported, and why, once more if it was noted
// before.
func (s *Histories) Miss(ctx context.Context, run history.Ref, reason string) error {
	if err := checkText(missHistory.op, run.RunID, run.WorkflowID, reason); err != nil {
		return err
	}
	_, err := missHistory.run(ctx, s.pool, run.RunID, run.WorkflowID, reason)
	if err == nil {
		s.tell(history.OutcomeFailure)
	}
	return err
}

// Missed returns at most limit of the runs that are still missed and due to be
// tried again, the one that was tried longest ago first: each waits a minute
// longer after every try, up to an hour.
func (s *Histories) Missed(ctx context.Context, limit int) ([]history.Ref, error) {
	return missedHistories.all(ctx, s.pool, limit)
}

// Mark returns up to when the closed runs have been looked through; zero when
// never.
func (s *Histories) Mark(ctx context.Context, name string) (time.Time, error) {
	mark, err := historyMark.one(ctx, s.pool, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return mark.UTC(), err
}

// Backlog returns how far behind the export with the mark of a name is.
func (s *Histories) Backlog(ctx context.Context, name string) (history.Backlog, error) {
	return historyBacklog.one(ctx, s.pool, name, history.ErrNotFound.Error())
}

// SetMark sets the mark, unless it is later already.
func (s *Histories) SetMark(ctx context.Context, name string, mark time.Time) error {
	_, err := setHistoryMark.run(ctx, s.pool, name, stamp(mark))
	return err
}

// ListHistories returns at most limit of the kept runs of a patch, the one that
// closed last first. Runs without a patch id are nobody's.
func (s *Histories) ListHistories(ctx context.Context, patchID string, limit int) ([]history.Run, error) {
	if err := checkText(listHistories.op, patchID); err != nil {
		return nil, err
	}
	return listHistories.all(ctx, s.pool, patchID, limit)
}

// ReadHistory returns the JSON of a kept run of a patch. It reads no history
// beyond most bytes: that is [history.ErrTooLarge]. Bytes that are not those that
// were stored are [history.ErrDamaged].
func (s *Histories) ReadHistory(ctx context.Context, patchID, runID string, most int) ([]byte, error) {
	if err := checkText(readHistory.op, patchID, runID); err != nil {
		return nil, err
	}
	stored, err := readHistory.one(ctx, s.pool, patchID, runID, most)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, fmt.Errorf("%s: run %q: %w", readHistory.op, runID, history.ErrNotFound)
	case err != nil:
		return nil, err
	case stored.Size > most:
		return nil, fmt.Errorf("%s: %d bytes: %w", readHistory.op, stored.Size, history.ErrTooLarge)
	}
	reader, err := gzip.NewReader(bytes.NewReader(stored.Compressed))
	if err != nil {
		return nil, fmt.Errorf("%s: run %q: %w: %w", readHistory.op, runID, history.ErrDamaged, err)
	}
	// What somebody put there by hand may be larger than it says.
	document, err := io.ReadAll(io.LimitReader(reader, int64(stored.Size)+1))
	if err == nil && len(document) != stored.Size {
		err = fmt.Errorf("is of another length than the %d bytes that were stored", stored.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: run %q: %w: %w", readHistory.op, runID, history.ErrDamaged, err)
	}
	return document, nil
}

// PruneHistories drops at most limit histories of runs that closed before an
// instant, the oldest first, and returns how many it were.
func (s *Histories) PruneHistories(ctx context.Context, before time.Time, limit int) (int, error) {
	removed, err := pruneHistories.run(ctx, s.pool, stamp(before), limit)
	return int(removed), err
}
