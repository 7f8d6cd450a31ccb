package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// Fences implements [ports.FenceStore] on runtime_fences.
type Fences struct {
	pool *pgxpool.Pool
}

var _ ports.FenceStore = (*Fences)(nil)

// NewFences returns a store on pool, which the caller keeps and closes.
func NewFences(pool *pgxpool.Pool) *Fences { return &Fences{pool: pool} }

// The row is locked before its number is raised, so of callers that come at once
// each counts on from the one before. The clock, in microseconds, is the least
// that a number can be: a table that was put back from a backup has forgotten
// the numbers that were given out since, but the clock is beyond them. A step is
// about a second's worth, and a game that is patched over and over takes a few
// numbers in seconds, so its row is seconds ahead of the clock at most, and no
// backup is put back as quickly. Where the clock itself was put back, the row
// goes on by the step.
var takeFence = query[int64]{
	"take fencing number",
	`INSERT INTO runtime_fences AS held (game_id, fence, taken_at)
		SELECT $1, (extract(epoch FROM instant) * 1000000)::bigint, instant FROM clock_timestamp() AS instant
		ON CONFLICT (game_id) DO UPDATE
			SET fence = greatest(held.fence + $2::bigint, excluded.fence), taken_at = excluded.taken_at
		RETURNING fence`,
	pgx.RowTo[int64],
}

// Next returns a fencing number of gameID that is at least [patch.FenceStep]
// above every one before, whether or not the game has a record. After a lost
// reply the number is nobody's, and the next one is above it. A game id that no
// game can have is [ports.ErrInvalidInput], and so is a number that would reach
// 2^53, which a right clock is two centuries away from.
func (s *Fences) Next(ctx context.Context, gameID string) (int64, error) {
	if err := checkText(takeFence.op, gameID); err != nil {
		return 0, err
	}
	return takeFence.one(ctx, s.pool, gameID, patch.FenceStep)
}
