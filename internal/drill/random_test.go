package drill_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/drill"
)

// TestRandomPlan proves that a seed always chooses the same, that another one chooses
// otherwise, and that two thousand patches meet everything that can go wrong,
// with a fault for about a fifth of them at least.
func TestRandomPlan(t *testing.T) {
	t.Parallel()
	const patches = 2000
	plan := drill.NewPlan(7, patches)
	require.Equal(t, plan, drill.NewPlan(7, patches))
	require.NotEqual(t, plan, drill.NewPlan(8, patches))
	require.Len(t, plan.Patches, patches)
	for kind, n := range drill.Kinds(plan) {
		require.Positive(t, n, kind)
	}
	require.Greater(t, drill.Struck(plan), patches/5)
	require.Less(t, drill.Struck(plan), patches/2)
}

// TestRandomPlanOfFew proves that a drill of five hundred patches has every kind of
// fault and of hazard, and that a small one is still broken by something.
func TestRandomPlanOfFew(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		plan := drill.NewPlan(seed, 500)
		kinds := map[string]int{}
		for kind, n := range drill.Kinds(plan) {
			what, name, _ := strings.Cut(kind, " ")
			switch what {
			case "spoils":
				// What happens to a link is more than there are links.
				continue
			case "strike":
				// The layer and what happens; every place of it takes more patches.
				name = strings.Join(strings.SplitN(name, "_", 3)[:2], "_")
			}
			kinds[what+" "+name] += n
		}
		for kind, n := range kinds {
			require.Positive(t, n, "seed %d: %s", seed, kind)
		}
	}
	small := drill.NewPlan(1, 1)
	require.Len(t, small.Patches, 1)
	require.NotEmpty(t, small.Hazards)
	require.NotEmpty(t, small.Games)
}

// TestRandomPlanHasKeys proves that no two patches of a plan share a key, which would
// make them one, and that each changes the version of its game unless another
// one goes wrong.
func TestRandomPlanHasKeys(t *testing.T) {
	t.Parallel()
	plan := drill.NewPlan(3, 1000)
	keys := map[string]bool{}
	at := slices.Clone(plan.Games)
	for _, patch := range plan.Patches {
		require.False(t, keys[patch.Key], patch.Key)
		keys[patch.Key] = true
		require.NotEqual(t, at[patch.Game], patch.Version)
		if patch.Version != "1.5.0" {
			at[patch.Game] = patch.Version
		}
	}
}

// TestDealer proves that no game is handed out twice at a time, and that nothing
// behind a hazard is before the hazard is.
func TestDealer(t *testing.T) {
	t.Parallel()
	plan := drill.NewPlan(1, 400)
	_, games := drill.Dealt(plan, 400, 15)
	require.Len(t, games, 15)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(games))), 15)
	numbers, _ := drill.Dealt(plan, 5, 3)
	require.Len(t, numbers, 3)
	require.Less(t, slices.Max(numbers), 5)
}

// drillPatches and drillSeed are a drill that two cores are done with in well
// under a minute.
const (
	drillPatches = 60
	// drillTime is only ever reached by a failure: a busy machine takes a minute.
	drillTime = 5 * time.Minute
	drillSeed = 12
)

// TestDrill proves that a drill at random runs to its end on a real stack, breaks
// what it says, and that the product keeps its promises meanwhile.
func TestDrill(t *testing.T) {
	t.Logf("seed %d; again: gamemaster drill --patches %d --seed %d", drillSeed, drillPatches, drillSeed)
	var last drill.Progress
	report, err := drill.Random(t.Context(), drill.RandomOptions{
		Binary: binary, Patches: drillPatches, Seed: drillSeed, For: drillTime,
		Progress: func(progress drill.Progress) { last = progress }, Notes: t.Output(),
	})
	require.NoError(t, err)
	var told strings.Builder
	report.WriteTable(&told, false)
	report.WriteSummary(&told)
	t.Log(told.String())
	require.Equal(t, drill.Pass, report.Verdict, report.Reasons)
	require.Equal(t, "done", last.Stage)
	require.Equal(t, drillPatches, last.Ended)
	p := report.Patches
	require.GreaterOrEqual(t, p.Asked, drillPatches)
	require.Zero(t, p.Open+p.Unanswered)
	require.Greater(t, p.Succeeded, drillPatches/2)
	require.GreaterOrEqual(t, p.Runs, drillPatches/2)
	require.GreaterOrEqual(t, report.FaultsFired, drillPatches/6)
	require.Len(t, report.Recovery.Each, 2)
	_, err = json.Marshal(report)
	require.NoError(t, err)
}
