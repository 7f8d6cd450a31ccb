package postgres_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// take returns the next number of the game "g".
func take(t *testing.T, fences *postgres.Fences) int64 {
	t.Helper()
	fence, err := fences.Next(t.Context(), "g")
	require.NoError(t, err)
	return fence
}

// requireApart asks for numbers that rise by a step at least, and that every
// JSON reader can hold, those of their last attempts included.
func requireApart(t *testing.T, numbers ...int64) {
	t.Helper()
	for n, fence := range numbers {
		require.Positive(t, fence)
		require.Less(t, patch.Fence(fence, math.MaxInt), int64(1)<<53)
		if n > 0 {
			require.GreaterOrEqual(t, fence, numbers[n-1]+patch.FenceStep)
		}
	}
}

// Proves that callers that come at once, through pools of their own, each get
// numbers that rise, and that any two numbers are a step apart.
func TestNextAtOnce(t *testing.T) {
	location := stacktest.Database(t) + "&lock_timeout=60000" // a busy machine is no fault
	const callers, rounds = 12, 5
	stores := []*postgres.Fences{postgres.NewFences(open(t, location)), postgres.NewFences(open(t, location))}
	taken := make([][rounds]int64, callers)
	results := atOnce(callers, func(i int) (err error) {
		for round := range rounds {
			if taken[i][round], err = stores[i%len(stores)].Next(t.Context(), "g"); err != nil {
				return err
			}
		}
		return nil
	})
	var all []int64
	for i, err := range results {
		require.NoError(t, err)
		requireApart(t, taken[i][:]...)
		all = append(all, taken[i][:]...)
	}
	slices.Sort(all)
	requireApart(t, all...)
}

// Proves that the first number of a game is the clock's, and that games count
// for themselves.
func TestNextBeginsWithTheClock(t *testing.T) {
	pool := newPool(t)
	fences := postgres.NewFences(pool)
	requireNow := func(fence int64) {
		require.WithinDuration(t, time.Now(), time.UnixMicro(fence), time.Minute)
	}
	first := take(t, fences)
	requireNow(first)
	requireApart(t, first, take(t, fences), take(t, fences))
	execute(t, pool, "UPDATE runtime_fences SET fence = $1", time.Now().AddDate(1, 0, 0).UnixMicro())
	other, err := fences.Next(t.Context(), "other")
	require.NoError(t, err)
	requireNow(other)
}

// Proves that a game that is deleted and registered anew goes on where it was.
func TestNextOutlivesTheRecord(t *testing.T) {
	records, pool := newStore(t)
	fences := postgres.NewFences(pool)
	insert(t, records, newRecord("g"))
	// So far ahead that the clock alone would not do.
	execute(t, pool, "INSERT INTO runtime_fences VALUES ('g', $1, now())", time.Now().AddDate(1, 0, 0).UnixMicro())
	first := take(t, fences)
	require.NoError(t, records.Delete(t.Context(), "g"))
	second := take(t, fences)
	insert(t, records, newRecord("g"))
	requireApart(t, first, second, take(t, fences))
}

// Proves that numbers rise whatever the row says of the clock: after a restore
// that forgot numbers, after the clock was put back by a century, and exactly by
// the step where the row is ahead.
func TestNextAfterARestoreAndWithAWrongClock(t *testing.T) {
	pool := newPool(t)
	fences := postgres.NewFences(pool)
	// The backup is of yesterday; the last number since was taken ten seconds
	// ago, which is how long it took to put it back.
	yesterday, lost := time.Now().AddDate(0, 0, -1).UnixMicro(), time.Now().Add(-10*time.Second).UnixMicro()
	execute(t, pool, "INSERT INTO runtime_fences VALUES ('g', $1, now())", yesterday)
	requireApart(t, yesterday, lost, take(t, fences))

	far := time.Now().AddDate(100, 0, 0).UnixMicro()
	execute(t, pool, "UPDATE runtime_fences SET fence = $1", far)
	require.Equal(t, far+patch.FenceStep, take(t, fences))
	require.Equal(t, far+2*patch.FenceStep, take(t, fences))
}

// Proves that today's clocks are far from the end of the numbers, and that the
// schema refuses one beyond it, as something that no other try will change.
func TestNextEndsBelowWhatJSONHolds(t *testing.T) {
	pool := newPool(t)
	fences := postgres.NewFences(pool)
	requireApart(t, take(t, fences))
	require.Less(t, time.Now().AddDate(200, 0, 0).UnixMicro(), int64(1)<<53-patch.FenceStep)

	last := int64(1)<<53 - patch.FenceStep
	execute(t, pool, "UPDATE runtime_fences SET fence = $1", last-patch.FenceStep)
	require.Equal(t, last, take(t, fences))
	requireApart(t, last)
	_, err := fences.Next(t.Context(), "g")
	require.ErrorIs(t, err, ports.ErrInvalidInput)
	requireConstraint(t, err, "runtime_fences_fence_bounded")
}

// Proves that what no game can be called gets no number.
func TestNextInvalidInput(t *testing.T) {
	pool := newPool(t)
	fences := postgres.NewFences(pool)
	for _, gameID := range []string{"", " ", "Game", "a\x00b", "a\xffb", incompressible(65)} {
		_, err := fences.Next(t.Context(), gameID)
		require.ErrorIs(t, err, ports.ErrInvalidInput, "%q", gameID)
	}
	require.Zero(t, count(t, pool, "runtime_fences"))
}

// Proves that a number whose reply was lost is not given out again.
func TestNextReplyLost(t *testing.T) {
	location := stacktest.Database(t)
	proxy, through := newLossyProxy(t, location)
	fences := postgres.NewFences(open(t, through))
	proxy.armed.Store(true)
	_, err := fences.Next(t.Context(), "g")
	requireUnknown(t, err)
	require.ErrorContains(t, err, "take fencing number")
	direct := open(t, location)
	var lost int64
	require.NoError(t, direct.QueryRow(t.Context(), "SELECT fence FROM runtime_fences").Scan(&lost))
	requireApart(t, lost, take(t, fences))
}

// Proves that a caller behind one who has not committed waits, and counts on
// from what that one leaves; and that a wait without end is ended, by name.
func TestNextBehindAnotherCaller(t *testing.T) {
	location := stacktest.Database(t)
	pool := open(t, location)
	fences := postgres.NewFences(pool)
	first := take(t, fences)
	other := begin(t, pool, "UPDATE runtime_fences SET fence = fence + 1000000000000")
	_, err := postgres.NewFences(open(t, location+"&lock_timeout=50")).Next(t.Context(), "g")
	requireUnknown(t, err)
	require.ErrorContains(t, err, "take fencing number")

	result := make(chan int64, 1)
	go func() {
		fence, err := fences.Next(context.WithoutCancel(t.Context()), "g")
		if err != nil {
			t.Error(err)
		}
		result <- fence
	}()
	awaitLockWait(t, pool)
	require.NoError(t, other.Commit(t.Context()))
	require.Equal(t, first+1_000_000_000_000+patch.FenceStep, <-result)
}
