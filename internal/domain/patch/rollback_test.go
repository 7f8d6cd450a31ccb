package patch_test

import (
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

var born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// moved is the audit row of a patch that was done, minutes after the game was
// made.
func moved(minutes int, from, to string) operation.OperationEntry {
	return operation.OperationEntry{
		GameID: "g", OpKind: operation.OpKindPatch, Outcome: operation.OutcomeSuccess,
		StartedAt: born.Add(time.Duration(minutes) * time.Minute), FromVersion: from, ToVersion: to,
	}
}

func changed(entry operation.OperationEntry, change func(*operation.OperationEntry)) operation.OperationEntry {
	change(&entry)
	return entry
}

// rows yields the entries and counts how many were asked for.
func rows(read *int, entries ...operation.OperationEntry) iter.Seq2[operation.OperationEntry, error] {
	return func(yield func(operation.OperationEntry, error) bool) {
		for _, entry := range entries {
			*read++
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// TestPrevious proves what really ran before, that nothing else counts, and that
// no more of the log is read than it takes.
func TestPrevious(t *testing.T) {
	failure := func(e *operation.OperationEntry) { e.Outcome, e.ErrorCode = operation.OutcomeFailure, "conflict" }
	noop := func(e *operation.OperationEntry) { e.Noop = true }
	for _, row := range []struct {
		name    string
		current string
		log     []operation.OperationEntry
		want    string
		read    int
	}{
		{name: "nothing happened", current: "1.4.2"},
		{name: "A to B", current: "1.4.3", log: []operation.OperationEntry{moved(1, "1.4.2", "1.4.3")}, want: "1.4.2", read: 1},
		{name: "A to B to A", current: "1.4.2", log: []operation.OperationEntry{
			moved(2, "1.4.3", "1.4.2"), moved(1, "1.4.2", "1.4.3"),
		}, want: "1.4.3", read: 1},
		{name: "A to B to C", current: "1.4.4", log: []operation.OperationEntry{
			moved(2, "1.4.3", "1.4.4"), moved(1, "1.4.2", "1.4.3"),
		}, want: "1.4.3", read: 1},
		{name: "a failure moved nothing", current: "1.4.3", log: []operation.OperationEntry{
			changed(moved(2, "1.4.3", "1.4.9"), failure), moved(1, "1.4.2", "1.4.3"),
		}, want: "1.4.2", read: 2},
		{name: "nor did a noop", current: "1.4.3", log: []operation.OperationEntry{
			changed(moved(2, "1.4.9", "1.4.9"), noop), moved(1, "1.4.2", "1.4.3"),
		}, want: "1.4.2", read: 2},
		{name: "nor a forced recreate", current: "1.4.3", log: []operation.OperationEntry{
			moved(3, "1.4.3", "1.4.3"), moved(2, "1.4.3", "1.4.3"), moved(1, "1.4.2", "1.4.3"),
		}, want: "1.4.2", read: 3},
		{name: "only a forced recreate", current: "1.4.3", log: []operation.OperationEntry{moved(1, "1.4.3", "1.4.3")}, read: 1},
		{name: "somebody else moved the record since", current: "1.4.9", log: []operation.OperationEntry{
			moved(1, "1.4.2", "1.4.3"),
		}, want: "1.4.3", read: 1},
		{name: "an earlier game under the id", current: "1.4.2", log: []operation.OperationEntry{
			moved(-1, "1.4.5", "1.4.6"), moved(-2, "1.4.4", "1.4.5"),
		}, read: 1},
		{name: "as old as the record", current: "1.4.3", log: []operation.OperationEntry{moved(0, "1.4.2", "1.4.3")}, want: "1.4.2", read: 1},
		{name: "versions that were not kept", current: "1.4.3", log: []operation.OperationEntry{
			moved(2, "", ""), moved(1, "", "1.4.3"),
		}, read: 2},
		{name: "another game's rows", current: "1.4.3", log: []operation.OperationEntry{
			changed(moved(2, "1.4.8", "1.4.9"), func(e *operation.OperationEntry) { e.GameID = "h" }), moved(1, "1.4.2", "1.4.3"),
		}, want: "1.4.2", read: 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := record(row.current)
			r.CreatedAt = born
			read := 0
			version, ok, err := patch.Previous(r, rows(&read, row.log...))
			require.NoError(t, err)
			require.Equal(t, row.want, version)
			require.Equal(t, row.want != "", ok)
			require.Equal(t, row.read, read)
		})
	}
}

// TestPreviousNeedsTheLog proves that a log which cannot be read is not taken
// for an empty one.
func TestPreviousNeedsTheLog(t *testing.T) {
	down := errors.New("connection refused")
	_, ok, err := patch.Previous(record("1.4.3"), func(yield func(operation.OperationEntry, error) bool) {
		yield(operation.OperationEntry{}, down)
	})
	require.ErrorIs(t, err, down)
	require.False(t, ok)
}

// TestCheckRollback proves that a rollback goes down by semver precedence, and
// nowhere else.
func TestCheckRollback(t *testing.T) {
	for _, row := range []struct {
		current, to string
		field       string
		refused     bool
	}{
		{current: "1.4.10", to: "1.4.9"},
		{current: "1.4.2", to: "1.4.2-rc.1"},
		{current: "1.5.0", to: "1.4.2"}, // Decide refuses it, with its own code.
		{current: "1.4.2", to: "1.4.2", refused: true, field: "to"},
		{current: "1.4.2", to: "1.4.2+b1", refused: true, field: "to"},
		{current: "1.4.9", to: "1.4.10", refused: true, field: "to"},
		{current: "1.4.2-rc.1", to: "1.4.2", refused: true, field: "to"},
		{current: "1.4.2", to: "previous", refused: true, field: "to"},
		{current: "1.4.2", to: "", refused: true, field: "to"},
		{current: "latest", to: "1.4.2", refused: true},
	} {
		err := patch.CheckRollback(record(row.current), row.to)
		if !row.refused {
			require.NoError(t, err, "%s to %s", row.current, row.to)
			continue
		}
		var refusal *patch.Refusal
		require.ErrorAs(t, err, &refusal, "%s to %s", row.current, row.to)
		require.Equal(t, patch.CodeInvalidRequest, refusal.Code)
		require.Equal(t, row.field, refusal.Field)
	}
}
