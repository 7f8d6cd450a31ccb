package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/ports"
)

func walkOperations(
	t *testing.T, log *postgres.OperationLog, input ports.OperationPageInput, between func([]operation.OperationEntry),
) []operation.OperationEntry {
	t.Helper()
	return walk(t, input.Limit, func(after *operation.OperationEntry) ([]operation.OperationEntry, error) {
		if after != nil {
			input.After = &ports.OperationPosition{StartedAt: after.StartedAt, ID: after.ID}
		}
		return log.PageOperations(t.Context(), input)
	}, between)
}

func entryIDs(entries []operation.OperationEntry) []int64 {
	found := []int64{}
	for _, entry := range entries {
		found = append(found, entry.ID)
	}
	return found
}

// longCode is longer than what the index of the error codes takes.
var longCode = strings.Repeat("x", 300)

// Proves, against the rows as a whole, that pages of any size give every entry
// once and in order, under every mixture of conditions, also where many share
// their instant.
func TestPagesOfOperations(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	for n := range 72 {
		entry := newEntry([]string{"a_b", "axb", "Never Was %"}[n%3], "", "")
		entry.StartedAt = at(n / 18)
		if n%2 == 0 {
			entry.Outcome, entry.ErrorCode, entry.ErrorMessage = operation.OutcomeSuccess, "", ""
		} else {
			entry.ErrorCode = []string{"conflict", "internal_error", longCode}[n/6%3]
		}
		appendEntry(t, log, entry)
	}
	all := walkOperations(t, log, ports.OperationPageInput{Limit: 100}, nil)
	require.Len(t, all, 72)
	require.True(t, slices.IsSortedFunc(all, func(a, b operation.OperationEntry) int {
		if order := b.StartedAt.Compare(a.StartedAt); order != 0 {
			return order
		}
		return int(b.ID - a.ID)
	}))

	kept := 0
	mixtures(func(input ports.OperationPageInput) {
		want := slices.DeleteFunc(slices.Clone(all), func(entry operation.OperationEntry) bool { return !matches(entry, input) })
		kept += len(want)
		for _, limit := range []int{1, 5, 18, 100} {
			input.Limit = limit
			require.Equal(t, entryIDs(want), entryIDs(walkOperations(t, log, input, nil)), "%+v", input)
		}
	})
	require.Greater(t, kept, 1000, "the mixtures keep something")
}

// mixtures calls with every mixture of conditions.
func mixtures(with func(ports.OperationPageInput)) {
	instants := []*time.Time{nil, ptr(at(1)), ptr(at(3))}
	for _, game := range []string{"", "a_b"} {
		for _, outcome := range []operation.Outcome{"", operation.OutcomeFailure, operation.OutcomeSuccess} {
			for _, code := range []string{"", "conflict", longCode} {
				for _, since := range instants[:2] {
					for _, until := range instants {
						for _, prefixes := range [][]string{nil, {"a_b"}, {"Never Was %", "ax"}} {
							if since == nil || until == nil || since.Before(*until) {
								with(ports.OperationPageInput{
									GameID: game, Outcome: outcome, ErrorCode: code, Since: since, Until: until, GamePrefixes: prefixes,
								})
							}
						}
					}
				}
			}
		}
	}
}

func matches(entry operation.OperationEntry, input ports.OperationPageInput) bool {
	return (input.GameID == "" || entry.GameID == input.GameID) &&
		(input.Outcome == "" || entry.Outcome == input.Outcome) &&
		(input.ErrorCode == "" || entry.ErrorCode == input.ErrorCode) &&
		(input.Since == nil || !entry.StartedAt.Before(*input.Since)) &&
		(input.Until == nil || entry.StartedAt.Before(*input.Until)) &&
		(input.GamePrefixes == nil || slices.ContainsFunc(input.GamePrefixes, func(prefix string) bool {
			return strings.HasPrefix(entry.GameID, prefix)
		}))
}

// Proves that since and until mean what they say to the nanosecond, though the
// log keeps microseconds only.
func TestPageOperationsBounds(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	entry := newEntry("g", "", "")
	entry.StartedAt = stored
	appendEntry(t, log, entry)
	nano, later := stored.Add(time.Nanosecond), stored.Add(time.Second)
	for _, c := range []struct {
		name         string
		since, until *time.Time
		found        int
	}{
		{"since it", &stored, nil, 1},
		{"since just behind it", &nano, nil, 0},
		{"until it", nil, &stored, 0},
		{"until just behind it", nil, &nano, 1},
		{"within", &stored, &nano, 1},
		{"behind", &nano, &later, 0},
	} {
		page, err := log.PageOperations(t.Context(), ports.OperationPageInput{Since: c.since, Until: c.until, Limit: 1})
		require.NoError(t, err)
		require.Len(t, page, c.found, c.name)
	}
	page, err := log.PageOperations(t.Context(), ports.OperationPageInput{
		Until: &stored, After: &ports.OperationPosition{StartedAt: later, ID: 1 << 40}, Limit: 1})
	require.NoError(t, err)
	require.Empty(t, page, "a position behind until does not widen it")
}

// Proves that entries that are appended between two pages double nothing and
// hide nothing: those behind the position are met, those before it are not.
func TestPagesOfOperationsWhileRowsCome(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	for range 12 {
		appendEntry(t, log, newEntry("g", "", ""))
	}
	before := entryIDs(walkOperations(t, log, ports.OperationPageInput{Limit: 100}, nil))
	var older []int64
	seen := walkOperations(t, log, ports.OperationPageInput{Limit: 5}, func(seen []operation.OperationEntry) {
		appendEntry(t, log, newEntry("g", "", "")) // the same instant, a higher id: before the position
		if len(seen) == 5 {
			entry := newEntry("g", "", "")
			entry.StartedAt = at(-1)
			older = append(older, appendEntry(t, log, entry))
		}
	})
	require.Equal(t, append(before, older...), entryIDs(seen))
}

// Proves that entries come back whole from a page.
func TestPageOperationsRoundTrip(t *testing.T) {
	log := postgres.NewOperationLog(newPool(t))
	entry := newEntry("g", "p", "r")
	entry.ID = appendEntry(t, log, entry)
	entry.StartedAt, entry.FinishedAt = stored, ptr(at(1))
	page, err := log.PageOperations(t.Context(), ports.OperationPageInput{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []operation.OperationEntry{entry}, page)
	require.Equal(t, "ann@desk", page[0].Actor)
}
