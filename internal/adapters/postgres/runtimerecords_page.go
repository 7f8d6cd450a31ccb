package postgres

import (
	"context"
	"slices"

	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

var _ ports.RuntimePager = (*RuntimeRecords)(nil)

var (
	pagesOfRuntimes = pages[runtime.RuntimeRecord]{
		"page runtime records", recordColumns, "runtime_records", "created_at DESC, game_id", scanRecord,
	}
	pagesOfDue = pages[runtime.RuntimeRecord]{
		"page due runtime records", recordColumns, "runtime_records", "next_generation_at, game_id", scanRecord,
	}
)

// PageRuntimes returns at most input.Limit records by created_at, newest first,
// and then by game id; empty, not nil, when there is none. A record that stays
// is on exactly one page, whatever comes and goes between the calls.
func (s *RuntimeRecords) PageRuntimes(ctx context.Context, input ports.RuntimePageInput) ([]runtime.RuntimeRecord, error) {
	if err := input.Validate(); err != nil {
		return nil, invalid(err)
	}
	texts := input.GamePrefixes
	if input.After != nil {
		texts = append(slices.Clone(texts), input.After.GameID)
	}
	if err := checkText(pagesOfRuntimes.op, texts...); err != nil {
		return nil, err
	}
	return pagesOfRuntimes.read(ctx, s.pool, runtimePage(input))
}

func runtimePage(input ports.RuntimePageInput) page {
	c := &conditions{}
	if input.Status != "" {
		c.add("status = " + c.bind(input.Status))
	}
	c.addGamePrefixes(input.GamePrefixes)
	if input.After == nil {
		return pagesOfRuntimes.page(c, input.Limit)
	}
	// The order goes down in one column and up in the other, so what comes
	// behind a position is two ranges of the index: the rest of its instant, and
	// everything older. As one condition, it would pass over the whole instant
	// once per page, and games that were taken over together share theirs.
	instant, game := c.bind(stamp(input.After.CreatedAt)), c.bind(input.After.GameID)
	return pagesOfRuntimes.page(c, input.Limit,
		"created_at = "+instant+" AND game_id > "+game,
		"created_at < "+instant)
}

// PageDueRunning returns at most input.Limit running records with
// next_generation_at <= input.At, by next_generation_at and then game id; empty,
// not nil, when there is none. A record whose turn is put off between two calls
// has another place, and may be met there again.
func (s *RuntimeRecords) PageDueRunning(ctx context.Context, input ports.DuePageInput) ([]runtime.RuntimeRecord, error) {
	if err := input.Validate(); err != nil {
		return nil, invalid(err)
	}
	texts := input.GamePrefixes
	if input.After != nil {
		texts = append(slices.Clone(texts), input.After.GameID)
	}
	if err := checkText(pagesOfDue.op, texts...); err != nil {
		return nil, err
	}
	return pagesOfDue.read(ctx, s.pool, duePage(input))
}

func duePage(input ports.DuePageInput) page {
	c := &conditions{}
	// Written out, because the index has it so.
	c.add("status = 'running'")
	c.add("next_generation_at <= " + c.bind(stamp(input.At)))
	c.addGamePrefixes(input.GamePrefixes)
	if after := input.After; after != nil {
		c.add("(next_generation_at, game_id) > (" + c.bind(stamp(after.NextGenerationAt)) + ", " + c.bind(after.GameID) + ")")
	}
	return pagesOfDue.page(c, input.Limit)
}
