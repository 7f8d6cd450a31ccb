package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/operation"
)

// verify returns what is wrong with the log, or with that of one game.
func verify(t *testing.T, pool *pgxpool.Pool, gameID string) (faults []operation.ChainFault, summary postgres.ChainSummary) {
	t.Helper()
	summary, err := postgres.NewOperationLog(pool).VerifyChain(t.Context(), gameID, func(fault operation.ChainFault) {
		faults = append(faults, fault)
	})
	require.NoError(t, err)
	require.Len(t, faults, summary.Faults)
	return faults, summary
}

// tamper does what the owner of the tables can: it switches the triggers off and
// on again.
func tamper(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	tables := []string{"operation_log", "operation_chain", "operation_chain_heads"}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		var all []string
		for _, table := range tables {
			all = append(all, "ALTER TABLE "+table+" DISABLE TRIGGER USER")
		}
		all = append(all, statements...)
		for _, table := range tables {
			all = append(all, "ALTER TABLE "+table+" ENABLE TRIGGER USER")
		}
		for _, statement := range all {
			if _, err := tx.Exec(t.Context(), statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// Proves that one changed entry among 100,000 of 300 games is found and named,
// and nothing else is.
func TestOneTamperedAmongManyIsNamed(t *testing.T) {
	pool := newPool(t)
	for batch := range 100 {
		// In transactions of their own, as they come: one of all would drag every
		// version of a head along.
		_, err := pool.Exec(t.Context(), `INSERT INTO operation_log
			(game_id, op_kind, op_source, outcome, started_at, finished_at, patch_id, run_id, reason, actor, from_version, to_version)
			SELECT 'game-' || n % 300, 'patch', 'admin_rest', 'success', now(), now(), 'patch-' || n, 'run-' || n, 'hotfix', 'ann', '1.4.2', '1.4.3'
			FROM generate_series($1::int, $1::int + 999) AS n`, batch*1000+1)
		require.NoError(t, err)
	}
	faults, summary := verify(t, pool, "")
	require.Empty(t, faults)
	require.Equal(t, postgres.ChainSummary{Games: 300, Entries: 100_000}, summary)

	var id int64
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT id FROM operation_log WHERE patch_id = 'patch-54321'").Scan(&id))
	tamper(t, pool, "UPDATE operation_log SET actor = 'bob' WHERE patch_id = 'patch-54321'")
	faults, _ = verify(t, pool, "")
	require.Equal(t, []operation.ChainFault{{
		Kind: operation.EntryChanged, GameID: "game-21", OperationID: id, Seq: 182, Detail: "the entry is not the one that was written",
	}}, faults)
	of, _ := verify(t, pool, "game-21")
	require.Equal(t, faults, of)
	of, summary = verify(t, pool, "game-22")
	require.Empty(t, of, "the game asked for, and no other")
	require.Equal(t, 1, summary.Games)
}

// fillChains appends five entries of each of three games; their ids are 1 to 15,
// a's 1, 4, 7, 10 and 13.
func fillChains(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	log := postgres.NewOperationLog(pool)
	for n := range 15 {
		require.EqualValues(t, n+1, appendEntry(t, log, newEntry("abc"[n%3:n%3+1], "p", fmt.Sprint(n))))
	}
}

// Proves that every way of bending the log, or its chain, is found, in the game
// and at the entry where it was done.
func TestTamperingIsNamed(t *testing.T) {
	const swapSeq = `UPDATE operation_chain SET seq = CASE operation_id WHEN 4 THEN -3 ELSE -2 END WHERE operation_id IN (4, 7)`
	for _, row := range []struct {
		name       string
		statements []string
		want       []string
	}{
		{"nothing", nil, nil},
		{"entry removed in the middle", []string{"DELETE FROM operation_log WHERE id = 7"}, []string{"missing a 7 3"}},
		{"last entry removed", []string{"DELETE FROM operation_log WHERE id = 13"}, []string{"missing a 13 5"}},
		{"entry and link removed in the middle", []string{
			"DELETE FROM operation_log WHERE id = 7", "DELETE FROM operation_chain WHERE operation_id = 7",
		}, []string{"links_missing a 0 3"}},
		{"first entries and links removed", []string{
			"DELETE FROM operation_log WHERE id IN (1, 4)", "DELETE FROM operation_chain WHERE operation_id IN (1, 4)",
		}, []string{"links_missing a 0 1"}},
		{"last entry and link removed", []string{
			"DELETE FROM operation_log WHERE id = 14", "DELETE FROM operation_chain WHERE operation_id = 14",
		}, []string{"links_missing b 0 5"}},
		{"all entries and links of a game removed", []string{
			"DELETE FROM operation_log WHERE game_id = 'b'", "DELETE FROM operation_chain WHERE game_id = 'b'",
		}, []string{"links_missing b 0 1"}},
		{"contents of two entries swapped", []string{
			"UPDATE operation_log SET run_id = run_id || '-' WHERE id IN (4, 7)",
			"UPDATE operation_log SET run_id = CASE id WHEN 4 THEN '6' ELSE '3' END WHERE id IN (4, 7)",
		}, []string{"changed a 4 2", "changed a 7 3"}},
		{"entries reordered", []string{
			"ALTER TABLE operation_chain DROP CONSTRAINT operation_chain_seq_positive", swapSeq,
			"UPDATE operation_chain SET seq = -seq WHERE seq < 0",
		}, []string{"broken a 7 2", "changed a 7 2", "broken a 4 3", "changed a 4 3", "broken a 10 4"}},
		{"entry put in past the chain", []string{
			"INSERT INTO operation_log (game_id, op_kind, op_source, outcome, started_at) VALUES ('b', 'patch', 'system', 'success', now())",
		}, []string{"unchained b 16 0"}},
		{"link removed", []string{"DELETE FROM operation_chain WHERE operation_id = 7"}, []string{"links_missing a 0 3", "unchained a 7 0"}},
		{"hash rewritten", []string{
			"UPDATE operation_chain SET hash = sha256('x') WHERE operation_id = 7",
		}, []string{"changed a 7 3", "broken a 10 4"}},
		{"entry and its hash rewritten", []string{
			"UPDATE operation_log SET reason = 'another' WHERE id = 7",
			"UPDATE operation_chain AS c SET hash = operation_link_hash(l, c.seq, c.prev_hash) FROM operation_log AS l WHERE l.id = c.operation_id AND l.id = 7",
		}, []string{"broken a 10 4"}},
		{"last entry and its hash rewritten", []string{
			"UPDATE operation_log SET reason = 'another' WHERE id = 13",
			"UPDATE operation_chain AS c SET hash = operation_link_hash(l, c.seq, c.prev_hash) FROM operation_log AS l WHERE l.id = c.operation_id AND l.id = 13",
		}, []string{"head a 0 5"}},
		{"head removed", []string{"DELETE FROM operation_chain_heads WHERE game_id = 'c'"}, []string{"head c 0 5"}},
		{"head set back", []string{"UPDATE operation_chain_heads SET seq = 4 WHERE game_id = 'c'"}, []string{"head c 0 5"}},
		{"entry given to another game", []string{"UPDATE operation_log SET game_id = 'b' WHERE id = 7"}, []string{"changed a 7 3"}},
		{"function made to agree", []string{
			"UPDATE operation_log SET reason = 'another' WHERE id = 7",
			"CREATE OR REPLACE FUNCTION operation_link_hash(entry operation_log, seq bigint, prev bytea) RETURNS bytea LANGUAGE sql AS 'SELECT prev'",
		}, []string{"changed a 7 3"}},
		{"everything removed", []string{"TRUNCATE operation_log", "TRUNCATE operation_chain"}, []string{"links_missing a 0 1", "links_missing b 0 1", "links_missing c 0 1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			pool := newPool(t)
			fillChains(t, pool)
			tamper(t, pool, row.statements...)
			faults, _ := verify(t, pool, "")
			var got []string
			for _, fault := range faults {
				got = append(got, fmt.Sprintf("%s %s %d %d", fault.Kind, fault.GameID, fault.OperationID, fault.Seq))
				require.NotEmpty(t, fault.Detail)
			}
			require.Equal(t, row.want, got)
		})
	}
}

// Proves that the hash covers every column there is, so that a column which a
// later file adds cannot be left out unseen, and the difference between nothing
// and an empty text.
func TestEveryColumnIsChained(t *testing.T) {
	pool := newPool(t)
	fillChains(t, pool)
	rows, err := pool.Query(t.Context(), `SELECT column_name::text, data_type::text FROM information_schema.columns
		WHERE table_name = 'operation_log' AND column_name <> 'id'`)
	require.NoError(t, err)
	type column struct{ Name, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(t, err)
	require.Len(t, columns, 19)
	other := map[string]string{
		"text": "%s || 'x'", "boolean": "NOT %s", "timestamp with time zone": "%s + interval '1 microsecond'",
	}
	for _, c := range columns {
		value := other[c.Type]
		require.NotEmpty(t, value, c.Type)
		statement := fmt.Sprintf("UPDATE operation_log SET %s = "+value+" WHERE id = 7", c.Name, c.Name)
		if strings.HasPrefix(c.Name, "op_") || c.Name == "outcome" {
			statement = map[string]string{
				"op_kind":   "UPDATE operation_log SET op_kind = 'reconcile' WHERE id = 7",
				"op_source": "UPDATE operation_log SET op_source = 'system' WHERE id = 7",
				"outcome":   "UPDATE operation_log SET outcome = 'success', error_code = '' WHERE id = 7",
			}[c.Name]
		}
		tamper(t, pool, "CREATE TABLE kept AS SELECT * FROM operation_log WHERE id = 7", statement)
		faults, _ := verify(t, pool, "")
		require.Len(t, faults, 1, c.Name)
		require.Equal(t, operation.EntryChanged, faults[0].Kind)
		tamper(t, pool, "DELETE FROM operation_log WHERE id = 7",
			"INSERT INTO operation_log OVERRIDING SYSTEM VALUE SELECT * FROM kept", "DROP TABLE kept")
		faults, _ = verify(t, pool, "")
		require.Empty(t, faults, "as it was")
	}
	tamper(t, pool, "UPDATE operation_log SET finished_at = NULL WHERE id = 7")
	faults, _ := verify(t, pool, "")
	require.Len(t, faults, 1)
}

// Proves that a trigger that is switched off is told, before anything is done.
func TestSwitchedOffGuardsAreTold(t *testing.T) {
	pool := newPool(t)
	for _, statement := range []string{
		"ALTER TABLE operation_log DISABLE TRIGGER operation_log_refuse", "DROP TRIGGER operation_chain_refuse ON operation_chain",
	} {
		_, err := pool.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	faults, _ := verify(t, pool, "")
	require.Equal(t, []operation.ChainFault{
		{Kind: operation.Unguarded, Detail: "a trigger is gone or switched off: operation_chain: operation_chain_refuse"},
		{Kind: operation.Unguarded, Detail: "a trigger is gone or switched off: operation_log: operation_log_refuse"},
	}, faults)
}

// Proves that appends of one game and of many at once leave whole chains, also
// where some find their row there, and that the log can be verified meanwhile.
func TestAppendsAtOnceKeepTheChains(t *testing.T) {
	pool := newPool(t)
	log := postgres.NewOperationLog(pool)
	const writers, each = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				for _, game := range []string{"shared", fmt.Sprint("own-", w)} {
					// Half of the runs of the shared game are another writer's as well.
					if _, err := log.Append(t.Context(), newEntry(game, "p", fmt.Sprint(game, w/2*(n%2)+w*(1-n%2), "-", n))); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	faults, _ := verify(t, pool, "")
	require.Empty(t, faults)
	wg.Wait()
	faults, summary := verify(t, pool, "")
	require.Empty(t, faults)
	require.Equal(t, writers+1, summary.Games)
	require.Equal(t, count(t, pool, "operation_log"), summary.Entries)
	require.Equal(t, writers*each+writers*each*3/4, summary.Entries)
}

// Proves that an append waits for the game's other writer and for no other game's.
func TestNoGameWaitsForAnothers(t *testing.T) {
	pool := newPool(t)
	log := postgres.NewOperationLog(pool)
	other := begin(t, pool, `INSERT INTO operation_log (game_id, op_kind, op_source, outcome, started_at) VALUES ('held', 'patch', 'system', 'success', now())`)
	appendEntry(t, log, newEntry("free", "p", "r"))
	done := make(chan error, 1)
	go func() {
		_, err := log.Append(t.Context(), newEntry("held", "p", "r2"))
		done <- err
	}()
	awaitLockWait(t, pool)
	require.NoError(t, other.Commit(t.Context()))
	require.NoError(t, <-done)
	faults, summary := verify(t, pool, "")
	require.Empty(t, faults)
	require.Equal(t, 3, summary.Entries)
}

// rewriteChain computes the chain of game a anew, as its owner can.
const rewriteChain = `DO $$
	DECLARE link record; last bytea := decode(repeat('00', 32), 'hex'); next bytea;
	BEGIN
		FOR link IN SELECT c.seq, l FROM operation_chain AS c JOIN operation_log AS l ON l.id = c.operation_id WHERE c.game_id = 'a' ORDER BY c.seq LOOP
			next := operation_link_hash(link.l, link.seq, last);
			UPDATE operation_chain SET prev_hash = last, hash = next WHERE game_id = 'a' AND seq = link.seq;
			last := next;
		END LOOP;
		UPDATE operation_chain_heads SET hash = last WHERE game_id = 'a';
	END $$`

// Proves what the documentation says of the limit: a chain that its owner has
// computed anew from the changed entry on looks whole, and heads that were copied
// before tell it, also after more entries have come.
func TestCopiedHeadsTellARewrittenChain(t *testing.T) {
	pool := newPool(t)
	fillChains(t, pool)
	_, err := pool.Exec(t.Context(), "CREATE TABLE noted AS SELECT game_id, seq, encode(hash, 'hex') AS hash FROM operation_chain_heads")
	require.NoError(t, err)
	appendEntry(t, postgres.NewOperationLog(pool), newEntry("a", "p", "later"))
	require.Empty(t, notedAndGone(t, pool))
	tamper(t, pool, "UPDATE operation_log SET reason = 'another' WHERE id = 4", rewriteChain)
	faults, _ := verify(t, pool, "")
	require.Empty(t, faults)
	require.Equal(t, []string{"a"}, notedAndGone(t, pool))
}

// Proves the same of a chain that was cut off, for which nothing has to be
// computed: at an earlier link, or with all that there was of a game.
func TestCopiedHeadsTellACutChain(t *testing.T) {
	pool := newPool(t)
	fillChains(t, pool)
	_, err := pool.Exec(t.Context(), "CREATE TABLE noted AS SELECT game_id, seq, encode(hash, 'hex') AS hash FROM operation_chain_heads")
	require.NoError(t, err)
	tamper(t, pool,
		"DELETE FROM operation_log WHERE id = 13", "DELETE FROM operation_chain WHERE operation_id = 13",
		"UPDATE operation_chain_heads AS h SET seq = c.seq, hash = c.hash FROM operation_chain AS c WHERE h.game_id = 'a' AND c.operation_id = 10",
		"DELETE FROM operation_log WHERE game_id = 'b'", "DELETE FROM operation_chain WHERE game_id = 'b'",
		"DELETE FROM operation_chain_heads WHERE game_id = 'b'")
	faults, _ := verify(t, pool, "")
	require.Empty(t, faults)
	require.Equal(t, []string{"a", "b"}, notedAndGone(t, pool))
}

// notedAndGone are the games whose head was noted and is no link any more, as
// docs/history.md asks for them.
func notedAndGone(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT n.game_id FROM noted AS n LEFT JOIN operation_chain AS c USING (game_id, seq)
		WHERE encode(c.hash, 'hex') IS DISTINCT FROM n.hash ORDER BY 1`)
	require.NoError(t, err)
	games, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return games
}

// Proves that a log that cannot be read to its end is told with the one reason.
func TestUnreadableChainIsToldOnce(t *testing.T) {
	pool := newPool(t)
	fillChains(t, pool)
	tamper(t, pool, "ALTER TABLE operation_chain_heads RENAME COLUMN hash TO another")
	_, err := postgres.NewOperationLog(pool).VerifyChain(t.Context(), "", func(operation.ChainFault) {})
	require.ErrorContains(t, err, "h.hash")
	require.NotContains(t, err.Error(), "current transaction is aborted")
}
