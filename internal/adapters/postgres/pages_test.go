package postgres_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

func count(t *testing.T, pool *pgxpool.Pool, table string) (rows int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows))
	return rows
}

// walk reads every page and returns the rows in the order in which they came.
// between runs after each page that was not the last.
func walk[R any](t *testing.T, limit int, read func(after *R) ([]R, error), between func(seen []R)) []R {
	t.Helper()
	var seen []R
	var after *R
	for {
		rows, err := read(after)
		require.NoError(t, err)
		require.NotNil(t, rows)
		require.LessOrEqual(t, len(rows), limit)
		seen = append(seen, rows...)
		require.Less(t, len(seen), 1000, "rows come over and over")
		if len(rows) < limit {
			return seen
		}
		after = &seen[len(seen)-1]
		if between != nil {
			between(seen)
		}
	}
}

func walkRuntimes(
	t *testing.T, store *postgres.RuntimeRecords, input ports.RuntimePageInput, between func([]runtime.RuntimeRecord),
) []runtime.RuntimeRecord {
	t.Helper()
	return walk(t, input.Limit, func(after *runtime.RuntimeRecord) ([]runtime.RuntimeRecord, error) {
		if after != nil {
			input.After = &ports.RuntimePosition{CreatedAt: after.CreatedAt, GameID: after.GameID}
		}
		return store.PageRuntimes(t.Context(), input)
	}, between)
}

func walkDue(
	t *testing.T, store *postgres.RuntimeRecords, input ports.DuePageInput, between func([]runtime.RuntimeRecord),
) []runtime.RuntimeRecord {
	t.Helper()
	return walk(t, input.Limit, func(after *runtime.RuntimeRecord) ([]runtime.RuntimeRecord, error) {
		if after != nil {
			input.After = &ports.DuePosition{NextGenerationAt: *after.NextGenerationAt, GameID: after.GameID}
		}
		return store.PageDueRunning(t.Context(), input)
	}, between)
}

// crowd is a set in which many records share their instants: thirty on each of
// three, two of those a microsecond apart, so that positions lie inside one, at
// its ends and between two.
func crowd(t *testing.T, store *postgres.RuntimeRecords) {
	t.Helper()
	instants := []time.Time{stored, stored.Add(time.Microsecond), at(60)}
	for n := range 90 {
		record := newRecord(fmt.Sprintf("%s-%02d", []string{"a_b", "axb", "c"}[n%3], n))
		record.CreatedAt = instants[n/30]
		record.Status = runtime.Statuses()[n%len(runtime.Statuses())]
		record.NextGenerationAt = &instants[n/7%3]
		insert(t, store, record)
	}
}

// Proves, against the unpaged lists, that pages of any size give every record
// once and in order, under every status and with prefixes, also where many
// share their instant.
func TestPagesAreTheList(t *testing.T) {
	store, _ := newStore(t)
	crowd(t, store)
	all, err := store.List(t.Context())
	require.NoError(t, err)
	due, err := store.ListDueRunning(t.Context(), at(59))
	require.NoError(t, err)
	require.Greater(t, len(due), 5)
	for _, prefixes := range [][]string{nil, {"a_b"}, {"a_b", "c"}, {"nobody"}} {
		foreign := func(record runtime.RuntimeRecord) bool {
			return prefixes != nil && !slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(record.GameID, prefix) })
		}
		for _, limit := range []int{1, 2, 7, 30, 45, 89, 90, 91, ports.MaxPage} {
			for _, status := range append(runtime.Statuses(), "") {
				want := slices.DeleteFunc(slices.Clone(all), func(record runtime.RuntimeRecord) bool {
					return foreign(record) || status != "" && record.Status != status
				})
				got := walkRuntimes(t, store, ports.RuntimePageInput{Status: status, GamePrefixes: prefixes, Limit: limit}, nil)
				require.Equal(t, ids(want), ids(got), "limit %d, status %q, prefixes %q", limit, status, prefixes)
			}
			want := slices.DeleteFunc(slices.Clone(due), foreign)
			got := walkDue(t, store, ports.DuePageInput{At: at(59), GamePrefixes: prefixes, Limit: limit}, nil)
			require.Equal(t, ids(want), ids(got), "due: limit %d, prefixes %q", limit, prefixes)
		}
	}
	require.Equal(t, all, walkRuntimes(t, store, ports.RuntimePageInput{Limit: 7}, nil), "records are whole")
}

// Proves that what comes and goes between two pages shifts nothing: whoever
// stays is met once, whoever comes behind the position as well, whoever comes
// before it not at all, and the record of the position itself may go.
func TestPagesWhileRowsComeAndGo(t *testing.T) {
	for name, walkAll := range map[string]func(*testing.T, *postgres.RuntimeRecords, func([]runtime.RuntimeRecord)) []runtime.RuntimeRecord{
		"list": func(t *testing.T, store *postgres.RuntimeRecords, between func([]runtime.RuntimeRecord)) []runtime.RuntimeRecord {
			return walkRuntimes(t, store, ports.RuntimePageInput{Limit: 4}, between)
		},
		"list of a status": func(t *testing.T, store *postgres.RuntimeRecords, between func([]runtime.RuntimeRecord)) []runtime.RuntimeRecord {
			return walkRuntimes(t, store, ports.RuntimePageInput{Status: runtime.StatusRunning, Limit: 4}, between)
		},
		"due": func(t *testing.T, store *postgres.RuntimeRecords, between func([]runtime.RuntimeRecord)) []runtime.RuntimeRecord {
			return walkDue(t, store, ports.DuePageInput{At: at(99), Limit: 4}, between)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := newStore(t)
			sameInstant := func(id string) runtime.RuntimeRecord {
				record := newRecord(id)
				record.NextGenerationAt = &moment
				return record
			}
			for n := range 20 {
				insert(t, store, sameInstant(fmt.Sprintf("m%02d", n)))
			}
			pages := 0
			seen := walkAll(t, store, func(seen []runtime.RuntimeRecord) {
				pages++
				last := seen[len(seen)-1].GameID
				require.NoError(t, store.Delete(t.Context(), seen[0].GameID))
				require.NoError(t, store.Delete(t.Context(), last))
				insert(t, store, sameInstant(fmt.Sprintf("a%02d", pages)))
				if pages <= 3 {
					insert(t, store, sameInstant(fmt.Sprintf("z%02d", pages)))
				}
				if pages == 1 {
					require.NoError(t, store.Delete(t.Context(), "m10"), "not read yet")
				}
			})
			var want []string
			for n := range 20 {
				if n != 10 {
					want = append(want, fmt.Sprintf("m%02d", n))
				}
			}
			require.Equal(t, append(want, "z01", "z02", "z03"), ids(seen))
		})
	}
}

// Proves that a prefix is taken letter by letter, whatever it would mean in a
// pattern, and that one that is longer than any id finds nobody.
func TestGamePrefixes(t *testing.T) {
	store, pool := newStore(t)
	for _, id := range []string{"a_b", "a_b1", "axb", "a-b", "a", "b_a_b"} {
		record := newRecord(id)
		record.NextGenerationAt = &moment
		insert(t, store, record)
	}
	versions := postgres.NewEngineVersions(pool)
	for _, c := range []struct{ prefixes, want []string }{
		{nil, []string{"a", "a-b", "a_b", "a_b1", "axb", "b_a_b"}},
		{[]string{}, []string{"a", "a-b", "a_b", "a_b1", "axb", "b_a_b"}},
		{[]string{""}, []string{"a", "a-b", "a_b", "a_b1", "axb", "b_a_b"}},
		{[]string{"a_b"}, []string{"a_b", "a_b1"}},
		{[]string{"_"}, []string{}},
		{[]string{"%"}, []string{}},
		{[]string{"a%"}, []string{}},
		{[]string{`a\_b`, `a\`}, []string{}},
		{[]string{".*", "[ab]"}, []string{}},
		{[]string{"A_B"}, []string{}},
		{[]string{"a_b1", "a_b", "b_"}, []string{"a_b", "a_b1", "b_a_b"}},
		{[]string{strings.Repeat("a", 10_000)}, []string{}},
	} {
		t.Run(strings.Join(c.prefixes, " "), func(t *testing.T) {
			page, err := store.PageRuntimes(t.Context(), ports.RuntimePageInput{GamePrefixes: c.prefixes, Limit: 100})
			require.NoError(t, err)
			require.ElementsMatch(t, c.want, ids(page))
			page, err = store.PageDueRunning(t.Context(), ports.DuePageInput{At: moment, GamePrefixes: c.prefixes, Limit: 100})
			require.NoError(t, err)
			require.ElementsMatch(t, c.want, ids(page))
			users, err := versions.Users(t.Context(), ports.VersionUsersInput{Version: "1.4.2", GamePrefixes: c.prefixes, Limit: 100})
			require.NoError(t, err)
			require.Equal(t, len(c.want), users.Count)
			require.ElementsMatch(t, c.want, users.GameIDs)
		})
	}
}

// Proves that what is due is due at the very instant, and only running games.
func TestPageDueRunning(t *testing.T) {
	store, _ := newStore(t)
	for id, status := range map[string]runtime.Status{"now": runtime.StatusRunning, "later": runtime.StatusRunning, "halted": runtime.StatusStopped} {
		record := newRecord(id)
		record.Status, record.NextGenerationAt = status, &stored
		if id == "later" {
			record.NextGenerationAt = ptr(stored.Add(time.Microsecond))
		}
		insert(t, store, record)
	}
	insert(t, store, newRecord("never"))
	due, err := store.PageDueRunning(t.Context(), ports.DuePageInput{At: stored.Add(999 * time.Nanosecond), Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []string{"now"}, ids(due))
}

// Proves that a page that cannot be is called invalid, with its reason.
func TestPageInvalidInput(t *testing.T) {
	store, pool := newStore(t)
	log, versions := postgres.NewOperationLog(pool), postgres.NewEngineVersions(pool)
	const nul, mangled = "a\x00b", "a\xffb"
	runtimes := func(input ports.RuntimePageInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := store.PageRuntimes(ctx, input); return err }
	}
	due := func(input ports.DuePageInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := store.PageDueRunning(ctx, input); return err }
	}
	operations := func(input ports.OperationPageInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := log.PageOperations(ctx, input); return err }
	}
	users := func(input ports.VersionUsersInput) func(context.Context) error {
		return func(ctx context.Context) error { _, err := versions.Users(ctx, input); return err }
	}
	for name, call := range map[string]func(context.Context) error{
		"no limit":          runtimes(ports.RuntimePageInput{}),
		"limit":             runtimes(ports.RuntimePageInput{Limit: ports.MaxPage + 1}),
		"status":            runtimes(ports.RuntimePageInput{Status: "paused", Limit: 1}),
		"prefix":            runtimes(ports.RuntimePageInput{GamePrefixes: []string{"a", nul}, Limit: 1}),
		"position":          runtimes(ports.RuntimePageInput{After: &ports.RuntimePosition{CreatedAt: moment, GameID: mangled}, Limit: 1}),
		"due limit":         due(ports.DuePageInput{At: moment, Limit: -1}),
		"due at":            due(ports.DuePageInput{Limit: 1}),
		"due prefix":        due(ports.DuePageInput{At: moment, GamePrefixes: []string{mangled}, Limit: 1}),
		"due position":      due(ports.DuePageInput{At: moment, After: &ports.DuePosition{NextGenerationAt: moment, GameID: nul}, Limit: 1}),
		"operations limit":  operations(ports.OperationPageInput{}),
		"operations game":   operations(ports.OperationPageInput{GameID: nul, Limit: 1}),
		"operations code":   operations(ports.OperationPageInput{ErrorCode: mangled, Limit: 1}),
		"operations prefix": operations(ports.OperationPageInput{GamePrefixes: []string{nul}, Limit: 1}),
		"outcome":           operations(ports.OperationPageInput{Outcome: "perhaps", Limit: 1}),
		"since and until":   operations(ports.OperationPageInput{Since: &moment, Until: &moment, Limit: 1}),
		"users limit":       users(ports.VersionUsersInput{Version: "1.0.0"}),
		"users version":     users(ports.VersionUsersInput{Version: nul, Limit: 1}),
		"users prefix":      users(ports.VersionUsersInput{Version: "1.0.0", GamePrefixes: []string{mangled}, Limit: 1}),
	} {
		require.ErrorIs(t, call(t.Context()), ports.ErrInvalidInput, name)
	}
}
