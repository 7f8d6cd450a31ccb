package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	bench "galaxy/gamemaster/bench"
	"galaxy/gamemaster/bench/report"
)

// TestWindows proves that all rivals are measured directly after one another
// before the next round begins, that each round begins with another rival, and
// that a cell is done before the next one, what is judged before what is not.
func TestWindows(t *testing.T) {
	some, one, many := report.Cell{Callers: 8}, report.Cell{Callers: 1}, report.Cell{Callers: 32}
	got := bench.Windows([]string{"a", "b", "c"}, []report.PlannedCell{
		{Cell: some, Rounds: 1}, {Cell: one, Rounds: 4}, {Cell: many, Rounds: 1},
	})
	require.Equal(t, []bench.Window{
		{one, 0, "a"}, {one, 0, "b"}, {one, 0, "c"},
		{one, 1, "b"}, {one, 1, "c"}, {one, 1, "a"},
		{one, 2, "c"}, {one, 2, "a"}, {one, 2, "b"},
		{one, 3, "a"}, {one, 3, "b"}, {one, 3, "c"},
		{many, 0, "a"}, {many, 0, "b"}, {many, 0, "c"},
		{some, 0, "a"}, {some, 0, "b"}, {some, 0, "c"},
	}, got)
}

// TestUsualPlan proves that what is judged is measured more often than what is not,
// that the ratios' rivals are in each of its rounds, and that all windows together
// leave room in half an hour for what is around them.
func TestUsualPlan(t *testing.T) {
	blocks, each, err := bench.Planned()
	require.NoError(t, err)
	total := 0
	for _, windows := range blocks {
		total += len(windows)
	}
	require.Less(t, time.Duration(total)*each, 25*time.Minute)

	rounds := map[bool]map[int]bool{true: {}, false: {}}
	rivals := map[report.Cell]map[int][]string{}
	for _, w := range blocks[0] {
		if rivals[w.Cell] == nil {
			rivals[w.Cell] = map[int][]string{}
		}
		rivals[w.Cell][w.Round] = append(rivals[w.Cell][w.Round], w.Rival)
	}
	for cell, measured := range rivals {
		rounds[report.Judged(cell)][len(measured)] = true
		for _, names := range measured {
			require.ElementsMatch(t, []string{"floor", "saga", "queue", "ours", "ours-one-process"}, names)
		}
	}
	require.Equal(t, map[bool]map[int]bool{true: {7: true}, false: {2: true}}, rounds)
}

// TestRoundsFlag proves that -rounds is of every cell, and that only what is chosen
// is measured.
func TestRoundsFlag(t *testing.T) {
	blocks, each, err := bench.Planned("-only", "^(saga|floor)$", "-temporal", "^sqlite$", "-rounds", "3", "-window", "8500ms")
	require.NoError(t, err)
	require.Equal(t, 10*time.Second, each)
	require.Len(t, blocks, 1)
	count := map[report.Cell]int{}
	for _, w := range blocks[0] {
		count[w.Cell]++
	}
	require.Len(t, count, 6)
	for cell, windows := range count {
		require.Equal(t, 2*3, windows, "%+v", cell)
	}
}
