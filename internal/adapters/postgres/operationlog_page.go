package postgres

import (
	"context"
	"slices"
	"time"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/ports"
)

var _ ports.OperationPager = (*OperationLog)(nil)

var pagesOfOperations = pages[operation.OperationEntry]{
	"page operations", "id, " + entryColumns, "operation_log", "started_at DESC, id DESC", scanEntry,
}

// indexedErrorCode is how many bytes of error code the index takes; one that is
// longer, which no code of ours is, is looked for in the whole log.
const indexedErrorCode = 256

// PageOperations returns at most input.Limit entries by started_at, newest
// first, and then by id, highest first; empty, not nil, when there is none. An
// entry is on exactly one page; one that is appended meanwhile is on a later
// page if it started before the position, and else on none.
func (s *OperationLog) PageOperations(ctx context.Context, input ports.OperationPageInput) ([]operation.OperationEntry, error) {
	if err := input.Validate(); err != nil {
		return nil, invalid(err)
	}
	texts := append(slices.Clone(input.GamePrefixes), input.GameID, input.ErrorCode)
	if err := checkText(pagesOfOperations.op, texts...); err != nil {
		return nil, err
	}
	return pagesOfOperations.read(ctx, s.pool, operationPage(input))
}

func operationPage(input ports.OperationPageInput) page {
	c := &conditions{}
	if input.GameID != "" {
		c.add("game_id = " + c.bind(input.GameID))
	}
	if input.Outcome != "" {
		c.add("outcome = " + c.bind(input.Outcome))
	}
	if input.ErrorCode != "" {
		c.add("error_code = " + c.bind(input.ErrorCode))
		if len(input.ErrorCode) <= indexedErrorCode {
			// The index's own conditions.
			c.add("error_code <> '' AND octet_length(error_code) <= 256")
		}
	}
	c.addGamePrefixes(input.GamePrefixes)
	if input.Since != nil {
		c.add("started_at >= " + c.bind(stampUp(*input.Since)))
	}
	addUpperBound(c, input)
	return pagesOfOperations.page(c, input.Limit)
}

// addUpperBound bounds the range by the position or by Until, whichever is
// earlier and so contains the other. With both, Postgres might begin at Until
// and walk to the position through all the pages before.
func addUpperBound(c *conditions, input ports.OperationPageInput) {
	after, until := input.After, input.Until
	switch {
	case after != nil && (until == nil || stamp(after.StartedAt).Before(stampUp(*until))):
		c.add("(started_at, id) < (" + c.bind(stamp(after.StartedAt)) + ", " + c.bind(after.ID) + ")")
	case until != nil:
		c.add("started_at < " + c.bind(stampUp(*until)))
	}
}

// stampUp is the first instant that can be stored at or after t: what was
// stored is at or after t, or before it, exactly when it is so of stampUp.
func stampUp(t time.Time) time.Time {
	cut := stamp(t)
	if cut.Before(t) {
		cut = cut.Add(time.Microsecond)
	}
	return cut
}
