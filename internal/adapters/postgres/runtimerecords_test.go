package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// at is the n-th second after the moment, as it is stored.
func at(n int) time.Time { return stored.Add(time.Duration(n) * time.Second) }

func ptr[T any](value T) *T { return &value }

func insert(t *testing.T, store *postgres.RuntimeRecords, records ...runtime.RuntimeRecord) {
	t.Helper()
	for _, record := range records {
		require.NoError(t, store.Insert(t.Context(), record))
	}
}

func get(t *testing.T, store *postgres.RuntimeRecords, gameID string) runtime.RuntimeRecord {
	t.Helper()
	record, err := store.Get(t.Context(), gameID)
	require.NoError(t, err)
	return record
}

func newStore(t *testing.T) (*postgres.RuntimeRecords, *pgxpool.Pool) {
	t.Helper()
	pool := newPool(t)
	return postgres.NewRuntimeRecords(pool), pool
}

func ids(records []runtime.RuntimeRecord) []string {
	found := []string{}
	for _, record := range records {
		found = append(found, record.GameID)
	}
	return found
}

// Proves that every field comes back as it was stored: times in UTC and in
// microseconds, NULL as nil and zero as zero.
func TestRecordRoundTrip(t *testing.T) {
	store, _ := newStore(t)
	bare := newRecord("bare")
	full := runtime.RuntimeRecord{
		GameID: "full", Status: runtime.StatusFinished, CurrentImageRef: "registry/engine@sha256:ü", CurrentEngineVersion: "not a version",
		EngineHealth: "ok", NextGenerationAt: &moment, SkipNextTick: true, CurrentTurn: 1 << 40,
		CreatedAt: moment, UpdatedAt: moment, StartedAt: &moment, StoppedAt: &moment, FinishedAt: &moment,
	}
	insert(t, store, bare, full)

	bare.CreatedAt, bare.UpdatedAt = stored, stored
	require.Equal(t, bare, get(t, store, "bare"))
	full.CreatedAt, full.UpdatedAt, full.NextGenerationAt = stored, stored, &stored
	full.StartedAt, full.StoppedAt, full.FinishedAt = &stored, &stored, &stored
	require.Equal(t, full, get(t, store, "full"))
}

// Proves the sentinels of Get, Insert and Delete, and that an insert over an
// existing record leaves it as it was.
func TestRecordSentinels(t *testing.T) {
	store, _ := newStore(t)
	_, err := store.Get(t.Context(), "nobody")
	require.ErrorIs(t, err, runtime.ErrNotFound)

	insert(t, store, newRecord("g"))
	second := newRecord("g")
	second.CurrentImageRef = "engine:other"
	require.ErrorIs(t, store.Insert(t.Context(), second), runtime.ErrConflict)
	require.Equal(t, "engine:1.4.2", get(t, store, "g").CurrentImageRef)

	for range 2 {
		require.NoError(t, store.Delete(t.Context(), "g"), "Delete is idempotent")
	}
	_, err = store.Get(t.Context(), "g")
	require.ErrorIs(t, err, runtime.ErrNotFound)
}

// Proves that updates of a game without a row say so and make none.
func TestUpdatesOfNobody(t *testing.T) {
	store, _ := newStore(t)
	for name, err := range map[string]error{
		"status":     store.UpdateStatus(t.Context(), ports.UpdateStatusInput{GameID: "nobody", ExpectedFrom: runtime.StatusRunning, To: runtime.StatusStopped, Now: moment}),
		"image":      store.UpdateImage(t.Context(), ports.UpdateImageInput{GameID: "nobody", ExpectedStatus: runtime.StatusRunning, CurrentImageRef: "i", CurrentEngineVersion: "v", Now: moment}),
		"scheduling": store.UpdateScheduling(t.Context(), ports.UpdateSchedulingInput{GameID: "nobody", Now: moment}),
		"health":     store.UpdateEngineHealth(t.Context(), ports.UpdateEngineHealthInput{GameID: "nobody", Now: moment}),
	} {
		require.ErrorIs(t, err, runtime.ErrNotFound, name)
		require.NotErrorIs(t, err, runtime.ErrConflict, name)
	}
	all, err := store.List(t.Context())
	require.NoError(t, err)
	require.NotNil(t, all)
	require.Empty(t, all)
}

// Proves every allowed move of the state machine, its timestamps, and that all
// other columns stay.
func TestUpdateStatusMoves(t *testing.T) {
	store, _ := newStore(t)
	n := 0
	for _, from := range runtime.Statuses() {
		for _, to := range runtime.Statuses() {
			n++
			record := newRecord(fmt.Sprintf("g%d", n))
			record.Status, record.EngineHealth, record.CurrentTurn, record.NextGenerationAt = from, "ok", 7, ptr(at(99))
			insert(t, store, record)
			want := get(t, store, record.GameID)

			err := store.UpdateStatus(t.Context(), ports.UpdateStatusInput{
				GameID: record.GameID, ExpectedFrom: from, To: to, Now: moment.Add(time.Second),
			})
			if runtime.Transition(from, to) != nil {
				require.ErrorIs(t, err, runtime.ErrInvalidTransition)
				require.ErrorIs(t, err, ports.ErrInvalidInput)
			} else {
				require.NoError(t, err)
				want.Status, want.UpdatedAt = to, at(1)
				switch to {
				case runtime.StatusRunning:
					want.StartedAt = ptr(at(1))
				case runtime.StatusStopped:
					want.StoppedAt = ptr(at(1))
				case runtime.StatusFinished:
					want.FinishedAt = ptr(at(1))
				}
			}
			require.Equal(t, want, get(t, store, record.GameID), "%s to %s", from, to)
		}
	}
}

// Proves that a second start keeps the first one's time, a second stop does
// not, and that the optional fields are written when given, empty included.
func TestUpdateStatusTimesAndFields(t *testing.T) {
	store, _ := newStore(t)
	record := newRecord("g")
	record.Status = runtime.StatusStarting
	insert(t, store, record)
	for n, to := range []runtime.Status{
		runtime.StatusRunning, runtime.StatusStopped, runtime.StatusStarting, runtime.StatusRunning, runtime.StatusStopped,
	} {
		require.NoError(t, store.UpdateStatus(t.Context(), ports.UpdateStatusInput{
			GameID: "g", ExpectedFrom: get(t, store, "g").Status, To: to, Now: at(n),
			EngineHealthSummary: ptr("healthy"), CurrentImageRef: ptr("engine:2"), CurrentEngineVersion: ptr("2.0.0"),
		}))
	}
	got := get(t, store, "g")
	require.Equal(t, ptr(at(0)), got.StartedAt)
	require.Equal(t, ptr(at(4)), got.StoppedAt)
	require.Equal(t, at(4), got.UpdatedAt)
	require.Equal(t, stored, got.CreatedAt)
	require.Equal(t, []string{"healthy", "engine:2", "2.0.0"}, []string{got.EngineHealth, got.CurrentImageRef, got.CurrentEngineVersion})

	require.NoError(t, store.UpdateStatus(t.Context(), ports.UpdateStatusInput{
		GameID: "g", ExpectedFrom: runtime.StatusStopped, To: runtime.StatusFinished, Now: at(5), EngineHealthSummary: ptr(""),
	}))
	require.Empty(t, get(t, store, "g").EngineHealth)
}

// Proves that the rotation follows the status alone: it succeeds again with the
// same image, and conflicts on another status even when the image is the new
// one already.
func TestUpdateImage(t *testing.T) {
	store, _ := newStore(t)
	insert(t, store, newRecord("g"))
	input := ports.UpdateImageInput{
		GameID: "g", ExpectedStatus: runtime.StatusRunning, CurrentImageRef: "engine:1.4.3", CurrentEngineVersion: "1.4.3", Now: at(1),
	}
	want := get(t, store, "g")
	want.CurrentImageRef, want.CurrentEngineVersion, want.UpdatedAt = "engine:1.4.3", "1.4.3", at(1)
	for range 2 {
		require.NoError(t, store.UpdateImage(t.Context(), input))
		require.Equal(t, want, get(t, store, "g"))
	}

	input.ExpectedStatus = runtime.StatusStopped
	input.Now = at(2)
	err := store.UpdateImage(t.Context(), input)
	require.ErrorIs(t, err, runtime.ErrConflict)
	require.NotErrorIs(t, err, runtime.ErrNotFound)
	require.ErrorContains(t, err, `status is "running", expected "stopped"`)
	require.Equal(t, want, get(t, store, "g"))
}

// Proves that scheduling and health are overwritten from any status, with nil
// as NULL and zero values as themselves.
func TestUnguardedUpdates(t *testing.T) {
	store, _ := newStore(t)
	for _, status := range runtime.Statuses() {
		id := string(status)
		record := newRecord(id)
		record.Status = status
		insert(t, store, record)
		want := get(t, store, id)

		require.NoError(t, store.UpdateScheduling(t.Context(), ports.UpdateSchedulingInput{
			GameID: id, NextGenerationAt: &moment, SkipNextTick: true, CurrentTurn: 3, Now: at(1)}))
		require.NoError(t, store.UpdateEngineHealth(t.Context(), ports.UpdateEngineHealthInput{GameID: id, EngineHealthSummary: "ill", Now: at(2)}))
		want.NextGenerationAt, want.SkipNextTick, want.CurrentTurn, want.EngineHealth, want.UpdatedAt = &stored, true, 3, "ill", at(2)
		require.Equal(t, want, get(t, store, id))

		require.NoError(t, store.UpdateEngineHealth(t.Context(), ports.UpdateEngineHealthInput{GameID: id, Now: at(3)}))
		require.NoError(t, store.UpdateScheduling(t.Context(), ports.UpdateSchedulingInput{GameID: id, Now: at(4)}))
		want.NextGenerationAt, want.SkipNextTick, want.CurrentTurn, want.EngineHealth, want.UpdatedAt = nil, false, 0, "", at(4)
		require.Equal(t, want, get(t, store, id))
	}
}

// Proves the orders of the lists, equal times included, and what belongs into
// each.
func TestLists(t *testing.T) {
	store, _ := newStore(t)
	for _, r := range []struct {
		id      string
		status  runtime.Status
		created int
		next    *time.Time
	}{
		{"c", runtime.StatusRunning, 1, ptr(at(10))},
		{"b", runtime.StatusRunning, 2, ptr(at(5))},
		{"a", runtime.StatusRunning, 2, ptr(at(10))},
		{"d", runtime.StatusStopped, 3, ptr(at(1))},
		{"e", runtime.StatusRunning, 4, nil},
		{"f", runtime.StatusRunning, 0, ptr(at(11))},
	} {
		record := newRecord(r.id)
		record.Status, record.CreatedAt, record.NextGenerationAt = r.status, at(r.created), r.next
		insert(t, store, record)
	}
	all, err := store.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"e", "d", "a", "b", "c", "f"}, ids(all))

	running, err := store.ListByStatus(t.Context(), runtime.StatusRunning)
	require.NoError(t, err)
	require.Equal(t, []string{"e", "a", "b", "c", "f"}, ids(running))
	none, err := store.ListByStatus(t.Context(), runtime.StatusFinished)
	require.NoError(t, err)
	require.NotNil(t, none)
	require.Empty(t, none)

	due, err := store.ListDueRunning(t.Context(), at(10).Add(999*time.Nanosecond))
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a", "c"}, ids(due), "due at the very instant is due")
	due, err = store.ListDueRunning(t.Context(), at(10).Add(-time.Microsecond))
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, ids(due))
}

// Proves that input which cannot be stored is called invalid, with its reason,
// and not a fault of the database.
func TestRecordInvalidInput(t *testing.T) {
	store, _ := newStore(t)
	insert(t, store, newRecord("g"))
	const nul, mangled = "a\x00b", "a\xffb"
	wrong := func(change func(*runtime.RuntimeRecord)) error {
		record := newRecord("other")
		change(&record)
		return store.Insert(t.Context(), record)
	}
	status := ports.UpdateStatusInput{GameID: "g", ExpectedFrom: runtime.StatusRunning, To: runtime.StatusStopped, Now: moment}
	image := ports.UpdateImageInput{GameID: "g", ExpectedStatus: runtime.StatusRunning, CurrentImageRef: "i", CurrentEngineVersion: "v", Now: moment}
	statusHealth, statusImage, statusBlank, imageNul, imageNow := status, status, status, image, image
	statusHealth.EngineHealthSummary, statusImage.CurrentImageRef, statusBlank.CurrentEngineVersion = ptr(nul), ptr(mangled), ptr(" ")
	imageNul.CurrentImageRef, imageNow.Now = nul, time.Time{}
	_, getErr := store.Get(t.Context(), nul)
	_, listErr := store.ListByStatus(t.Context(), "paused")

	for name, err := range map[string]error{
		"insert id":        wrong(func(r *runtime.RuntimeRecord) { r.GameID = "Not An ID" }),
		"insert status":    wrong(func(r *runtime.RuntimeRecord) { r.Status = "paused" }),
		"insert times":     wrong(func(r *runtime.RuntimeRecord) { r.CreatedAt = time.Time{} }),
		"insert health":    wrong(func(r *runtime.RuntimeRecord) { r.EngineHealth = nul }),
		"insert image":     wrong(func(r *runtime.RuntimeRecord) { r.CurrentImageRef = mangled }),
		"status health":    store.UpdateStatus(t.Context(), statusHealth),
		"status image":     store.UpdateStatus(t.Context(), statusImage),
		"status version":   store.UpdateStatus(t.Context(), statusBlank),
		"image":            store.UpdateImage(t.Context(), imageNul),
		"image now":        store.UpdateImage(t.Context(), imageNow),
		"scheduling turn":  store.UpdateScheduling(t.Context(), ports.UpdateSchedulingInput{GameID: "g", CurrentTurn: -1, Now: moment}),
		"scheduling id":    store.UpdateScheduling(t.Context(), ports.UpdateSchedulingInput{GameID: nul, Now: moment}),
		"health":           store.UpdateEngineHealth(t.Context(), ports.UpdateEngineHealthInput{GameID: "g", EngineHealthSummary: nul, Now: moment}),
		"health id":        store.UpdateEngineHealth(t.Context(), ports.UpdateEngineHealthInput{GameID: " ", Now: moment}),
		"get":              getErr,
		"delete":           store.Delete(t.Context(), nul),
		"list of a status": listErr,
	} {
		require.ErrorIs(t, err, ports.ErrInvalidInput, name)
	}
	record := newRecord("g")
	record.CreatedAt, record.UpdatedAt = stored, stored
	require.Equal(t, record, get(t, store, "g"), "nothing was touched")
}

// Proves that a row which only the schema refuses is invalid input as well, and
// that the constraint can be told from the error.
func TestRecordRefusedBySchema(t *testing.T) {
	store, pool := newStore(t)
	insert(t, store, newRecord("g"))
	_, err := pool.Exec(t.Context(), "ALTER TABLE runtime_records ADD CONSTRAINT no_moons CHECK (engine_health <> 'moon')")
	require.NoError(t, err)
	err = store.UpdateEngineHealth(t.Context(), ports.UpdateEngineHealthInput{GameID: "g", EngineHealthSummary: "moon", Now: moment})
	require.ErrorIs(t, err, ports.ErrInvalidInput)
	requireConstraint(t, err, "no_moons")
}
