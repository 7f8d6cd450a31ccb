package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

func newDrift(t *testing.T) (*postgres.Drift, *pgxpool.Pool) {
	t.Helper()
	pool := newPool(t)
	return postgres.NewDrift(pool), pool
}

func newFinding(gameID string, kind drift.Kind) drift.Finding {
	return drift.Finding{
		GameID: gameID, Kind: kind, RecordStatus: runtime.StatusRunning, RecordVersion: "1.4.2", RecordImageRef: "engine:1.4.2",
		Container: drift.Container{ImageRef: "engine:1.4.1", Status: "running", Running: true},
	}
}

// found and inSync are pages of a pass, noted at the n-th second.
func found(n int, findings ...drift.Finding) ports.NoteDriftInput {
	return ports.NoteDriftInput{Found: findings, Now: moment.Add(time.Duration(n) * time.Second)}
}

func inSync(n int, games ...string) ports.NoteDriftInput {
	return ports.NoteDriftInput{InSync: games, Now: moment.Add(time.Duration(n) * time.Second)}
}

// newPass is the end of a pass at the n-th second that keeps a minute.
func newPass(id string, n int) ports.FinishPassInput {
	finished := moment.Add(time.Duration(n) * time.Second)
	return ports.FinishPassInput{
		Pass: drift.Pass{ID: id, StartedAt: finished.Add(-time.Second), FinishedAt: &finished, Counts: drift.Counts{
			Checked: 15, InSync: 9, ImageDrift: 3, Missing: 2, Extra: 1, Skipped: 4, Unknown: 1 << 40,
		}},
		KeepSince: finished.Add(-time.Minute),
	}
}

func note(t *testing.T, store *postgres.Drift, pages ...ports.NoteDriftInput) {
	t.Helper()
	for _, page := range pages {
		require.NoError(t, store.Note(t.Context(), page))
	}
}

func finish(t *testing.T, store *postgres.Drift, input ports.FinishPassInput) {
	t.Helper()
	require.NoError(t, store.Finish(t.Context(), input))
}

// findings returns every finding, newest first, without the ids, which nobody
// can foretell.
func findings(t *testing.T, store *postgres.Drift) []drift.Finding {
	t.Helper()
	all, err := store.PageDrift(t.Context(), ports.DriftPageInput{Resolved: true, Limit: ports.MaxPage})
	require.NoError(t, err)
	for i := range all {
		require.Positive(t, all[i].ID)
		all[i].ID = 0
	}
	return all
}

// seen is a finding with its times, in seconds; resolved is none when negative.
func seen(finding drift.Finding, first, last, resolved int) drift.Finding {
	finding.FirstSeenAt, finding.LastSeenAt = at(first), at(last)
	if resolved >= 0 {
		finding.ResolvedAt = ptr(at(resolved))
	}
	return finding
}

// Proves a finding's life: opened, seen again with what is now to be seen,
// replaced by one of another kind, resolved, and opened anew.
func TestNote(t *testing.T) {
	store, _ := newDrift(t)
	first := newFinding("g", drift.ImageDrift)
	note(t, store, found(0, first))
	require.Equal(t, []drift.Finding{seen(first, 0, 0, -1)}, findings(t, store))

	again := first
	again.RecordStatus, again.RecordVersion, again.RecordImageRef = runtime.StatusGenerationFailed, "1.4.3", "engine:1.4.3"
	again.Container = drift.Container{ImageRef: "engine@sha256:ü", Status: "restarting"}
	note(t, store, found(1, again))
	require.Equal(t, []drift.Finding{seen(again, 0, 1, -1)}, findings(t, store))

	gone := newFinding("g", drift.Missing)
	gone.Container = drift.Container{}
	note(t, store, found(2, gone))
	require.Equal(t, []drift.Finding{seen(gone, 2, 2, -1), seen(again, 0, 1, 2)}, findings(t, store))

	note(t, store, inSync(3, "g"), inSync(4, "g"))
	require.Equal(t, []drift.Finding{seen(gone, 2, 2, 3), seen(again, 0, 1, 2)}, findings(t, store), "resolved once")

	note(t, store, found(5, gone))
	require.Equal(t, []drift.Finding{seen(gone, 5, 5, -1), seen(gone, 2, 2, 3), seen(again, 0, 1, 2)}, findings(t, store))
}

// Proves that a page touches the games that it names and no others, and that one
// that is noted again changes nothing but the time of the last sighting.
func TestNotePage(t *testing.T) {
	store, pool := newDrift(t)
	names := []string{"a", "b", "c", "d", "untouched"}
	for n, name := range names {
		note(t, store, found(n, newFinding(name, drift.Missing)))
	}
	page := found(10, newFinding("a", drift.Missing), newFinding("b", drift.Extra), newFinding("new", drift.ImageDrift))
	page.InSync = []string{"c", "was-in-sync"}
	want := func(last int) []drift.Finding {
		return []drift.Finding{
			seen(newFinding("a", drift.Missing), 0, last, -1),
			seen(newFinding("b", drift.Missing), 1, 1, 10),
			seen(newFinding("b", drift.Extra), 10, last, -1),
			seen(newFinding("c", drift.Missing), 2, 2, 10),
			seen(newFinding("d", drift.Missing), 3, 3, -1),
			seen(newFinding("untouched", drift.Missing), 4, 4, -1),
			seen(newFinding("new", drift.ImageDrift), 10, last, -1),
		}
	}
	note(t, store, page)
	require.ElementsMatch(t, want(10), findings(t, store))
	page.Now = at(11)
	note(t, store, page)
	require.ElementsMatch(t, want(11), findings(t, store))

	note(t, store, ports.NoteDriftInput{Now: at(12)})
	require.Equal(t, 7, count(t, pool, "drift_findings"), "an empty page is no page")
}

// Proves that a page of a thousand games is noted, seen again and resolved, each
// time by the same few statements.
func TestNoteLargePage(t *testing.T) {
	tracer := &countingTracer{}
	pool := open(t, stacktest.Database(t), postgres.WithTracer(tracer), postgres.WithMaxConns(1))
	store := postgres.NewDrift(pool)
	page, synced := found(0), inSync(2)
	for n := range ports.MaxPage {
		finding := newFinding(fmt.Sprintf("g%d", n), drift.Kinds()[n%3])
		page.Found, synced.InSync = append(page.Found, finding), append(synced.InSync, finding.GameID)
	}
	before := tracer.statements
	note(t, store, page, page)
	require.LessOrEqual(t, tracer.statements-before, 2*5, "begin, lock, resolve, open, commit")
	counts, err := store.CountDrift(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[drift.Kind]int64{drift.ImageDrift: 334, drift.Missing: 334, drift.Extra: 333}, counts)

	note(t, store, synced)
	counts, err = store.CountDrift(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[drift.Kind]int64{drift.ImageDrift: 0, drift.Missing: 0, drift.Extra: 0}, counts)
	require.Equal(t, ports.MaxPage, count(t, pool, "drift_findings"))
}

// Proves that workers that note the same games at once, in any order and with
// any verdict, all succeed, and leave at most one open finding per game.
func TestNoteAtOnce(t *testing.T) {
	const workers, rounds, games = 8, 25, 40
	pool := open(t, stacktest.Database(t)+"&lock_timeout=60000") // a busy machine is no fault
	store := postgres.NewDrift(pool)
	results := atOnce(workers, func(worker int) error {
		random := rand.New(rand.NewPCG(uint64(worker), 1))
		for round := range rounds {
			page := found(round)
			for _, n := range random.Perm(games)[:games/2] {
				name := fmt.Sprintf("g%d", n)
				if verdict := random.IntN(4); verdict < 3 {
					page.Found = append(page.Found, newFinding(name, drift.Kinds()[verdict]))
				} else {
					page.InSync = append(page.InSync, name)
				}
			}
			if err := store.Note(context.WithoutCancel(t.Context()), page); err != nil {
				return err
			}
			if err := store.Finish(context.WithoutCancel(t.Context()), newPass(fmt.Sprintf("run-%d", worker), round)); err != nil {
				return err
			}
		}
		return nil
	})
	for _, err := range results {
		require.NoError(t, err)
	}
	require.Greater(t, count(t, pool, "drift_findings"), games, "findings came and went")
}

// Proves that the last page noted is the truth, though it was behind another that
// saw something else: no finding of the other stays open beside it.
func TestNoteBehindAnotherPage(t *testing.T) {
	store, pool := newDrift(t)
	note(t, store, found(0, newFinding("g", drift.Missing)))
	// The other worker has the turn, has resolved the finding and opened another.
	other := begin(t, pool, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", postgres.NoteLockID))
	for _, statement := range []string{
		"UPDATE drift_findings SET resolved_at = now()",
		`INSERT INTO drift_findings (game_id, kind, record_status, record_version, record_image_ref, first_seen_at, last_seen_at)
			VALUES ('g', 'extra', 'stopped', '1.4.2', 'engine:1.4.2', now(), now())`,
	} {
		_, err := other.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	result := make(chan error, 1)
	go func() { result <- store.Note(t.Context(), found(1, newFinding("g", drift.ImageDrift))) }()
	awaitLockWait(t, pool)
	require.NoError(t, other.Commit(t.Context()))
	require.NoError(t, <-result)

	all := findings(t, store)
	require.Len(t, all, 3)
	require.Equal(t, seen(newFinding("g", drift.ImageDrift), 1, 1, -1), all[0])
	require.NotNil(t, all[1].ResolvedAt)
	require.NotNil(t, all[2].ResolvedAt)
}

// Proves that a page whose commit lost its reply is noted, and that noting it
// again opens nothing twice. A wait for the turn ends by itself, by name.
func TestNoteReplyLost(t *testing.T) {
	location := stacktest.Database(t)
	proxy, through := newLossyProxy(t, location)
	store := postgres.NewDrift(open(t, through))
	page := found(1, newFinding("g", drift.Extra))
	note(t, store, found(0, newFinding("g", drift.Missing)))
	for spared := range int32(3) { // of lock, resolve and open
		proxy.spared.Store(spared)
		proxy.armed.Store(true)
		err := store.Note(t.Context(), page)
		requireUnknown(t, err)
		require.ErrorContains(t, err, "note drift")
	}
	require.EqualValues(t, 3, proxy.lost.Load())
	note(t, store, page, page)
	require.Equal(t, []drift.Finding{seen(newFinding("g", drift.Extra), 1, 1, -1), seen(newFinding("g", drift.Missing), 0, 0, 1)}, findings(t, store))

	pool := open(t, location)
	begin(t, pool, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", postgres.NoteLockID))
	err := postgres.NewDrift(open(t, location+"&lock_timeout=50")).Note(t.Context(), page)
	requireUnknown(t, err)
	require.ErrorContains(t, err, "note drift")
}

// Proves that a page is noted whole or not at all, and that what can never be
// noted is called invalid, with its reason.
func TestNoteInvalidInput(t *testing.T) {
	store, pool := newDrift(t)
	const nul, mangled = "a\x00b", "a\xffb"
	good := newFinding("good", drift.Missing)
	wrong := func(change func(*drift.Finding)) ports.NoteDriftInput {
		finding := newFinding("g", drift.Missing)
		change(&finding)
		return found(0, good, finding)
	}
	both := found(0, good)
	both.InSync = []string{"good"}
	for name, page := range map[string]ports.NoteDriftInput{
		"no game":          wrong(func(f *drift.Finding) { f.GameID = " " }),
		"no such game":     wrong(func(f *drift.Finding) { f.GameID = "Game" }),
		"game":             wrong(func(f *drift.Finding) { f.GameID = mangled }),
		"kind":             wrong(func(f *drift.Finding) { f.Kind = drift.InSync }),
		"record status":    wrong(func(f *drift.Finding) { f.RecordStatus = nul }),
		"record version":   wrong(func(f *drift.Finding) { f.RecordVersion = nul }),
		"record image":     wrong(func(f *drift.Finding) { f.RecordImageRef = mangled }),
		"container image":  wrong(func(f *drift.Finding) { f.Container.ImageRef = nul }),
		"container status": wrong(func(f *drift.Finding) { f.Container.Status = mangled }),
		"no game in sync":  inSync(0, ""),
		"game in sync":     inSync(0, nul),
		"twice":            found(0, good, good),
		"twice in sync":    inSync(0, "g", "g"),
		"both":             both,
		"now":              {Found: []drift.Finding{good}},
	} {
		require.ErrorIs(t, store.Note(t.Context(), page), ports.ErrInvalidInput, name)
	}
	require.ErrorContains(t, store.Note(t.Context(), both), `game "good" is named twice`)
	require.Zero(t, count(t, pool, "drift_findings"))
}
