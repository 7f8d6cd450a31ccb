package drill_test

import (
	"bytes"
	"context"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/drill"
)

// previousBuild is the commit that stands for the build before: the oldest whose
// runs today's workers still have to carry on. Until a release is tagged it moves
// on when the corpus is recorded anew; from then on it is the tag.
const previousBuild = "3f3f52f2352a2b4e6d8dbf6660b8b44369e210a2"

// rollBudget bounds one roll-out with its games, from their making to their end;
// it is only ever reached by a failure.
const rollBudget = 3 * time.Minute

// longBudgets outlast a roll-out: no patch may be given up on while it waits for
// its turn, however slow the machine is at replacing workers.
func longBudgets() []string {
	return []string{"GAMEMASTER_STORE_BUDGET=5m", "GAMEMASTER_MANAGER_BUDGET=5m", "GAMEMASTER_UNDO_BUDGET=5m"}
}

// TestUpgradeInTheMiddle proves that patches which are open in every phase while
// workers of the previous build are replaced by today's, one by one and with
// both beside each other, and are rolled back again, all end as they should.
func TestUpgradeInTheMiddle(t *testing.T) {
	previous := buildCommit(t, previousBuild)
	cell, err := stack.NewCell(t.Context(), drill.CellOptions{Workers: 2, APIs: 1, Environ: longBudgets()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cell.Close()) })
	for _, worker := range cell.Workers {
		worker.UseBinary(previous)
		require.NoError(t, worker.Restart())
	}
	for _, build := range []string{binary, previous, binary} {
		roll(t, cell, build)
	}
}

// roll replaces the cell's workers by those of a build, with patches open in
// every phase.
func roll(t *testing.T, cell *drill.Cell, build string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rollBudget)
	defer cancel()
	open := openEverywhere(ctx, t, cell)
	games := slices.Collect(maps.Values(open))
	for _, worker := range cell.Workers {
		worker.UseBinary(build)
		require.NoError(t, worker.Restart())
		// Both builds are at work on this one.
		games = append(games, patchedGame(ctx, t, cell))
	}
	goOn(open)
	violations, err := cell.Judge(ctx, games...)
	require.NoError(t, err)
	require.Empty(t, violations, drill.Tell(violations))
}

// openEverywhere returns games with a patch that is open in each phase.
func openEverywhere(ctx context.Context, t *testing.T, cell *drill.Cell) map[patch.Phase]*drill.Game {
	t.Helper()
	games := map[patch.Phase]*drill.Game{}
	for _, phase := range []patch.Phase{
		patch.PhaseValidating, patch.PhasePatching, patch.PhaseRecording, patch.PhaseCompensating,
		patch.PhaseNeedsOperator, patch.PhaseAuditing,
	} {
		g, err := cell.NewGame(ctx, "upgrade-"+string(phase), drill.FirstVersion)
		require.NoError(t, err)
		spoil(g, phase)
		games[phase] = g
		g.AwaitPhase(phase)
		require.NoError(t, g.Err())
	}
	return games
}

// spoil has the game's patch stay in a phase.
func spoil(g *drill.Game, phase patch.Phase) {
	down := func(sql string) {
		g.SQL(pgfault.Fault{SQL: sql, Mode: pgfault.Error, Code: "53100"})
	}
	expect := drill.Success("1.4.3").After(1)
	switch phase {
	case patch.PhaseValidating:
		down("FROM runtime_records WHERE game_id")
	case patch.PhasePatching:
		g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 503})
	case patch.PhaseRecording:
		down("UPDATE runtime_records")
	case patch.PhaseAuditing:
		down("INSERT INTO operation_log")
	case patch.PhaseNeedsOperator:
		g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: 409, Times: 1})
		g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 409})
		expect = drill.Failure(drill.FirstVersion, patch.CodeServiceUnavailable).After(2)
	case patch.PhaseCompensating:
		hold := g.Hold()
		g.PatchAsync("1.4.3")
		g.AwaitFired(hold)
		g.SetStatus(runtime.StatusGenerationInProgress)
		g.Release(hold)
		g.Expect(drill.Failure(drill.FirstVersion, patch.CodeConflict).After(2))
		return
	}
	g.Expect(expect)
	g.PatchAsync("1.4.3")
}

// goOn takes away what held the patches up.
func goOn(games map[patch.Phase]*drill.Game) {
	for _, g := range games {
		g.ClearSQL()
		g.ClearRTM()
	}
	games[patch.PhaseCompensating].SetStatus(runtime.StatusRunning)
	games[patch.PhaseNeedsOperator].Retry("upgraded")
}

// patchedGame returns a game whose patch is on its way.
func patchedGame(ctx context.Context, t *testing.T, cell *drill.Cell) *drill.Game {
	t.Helper()
	g, err := cell.NewGame(ctx, "upgrade-beside", drill.FirstVersion)
	require.NoError(t, err)
	g.Expect(drill.Success("1.4.4").After(1))
	g.PatchAsync("1.4.4")
	return g
}

// buildCommit builds the gamemaster of a commit of this repository.
func buildCommit(t *testing.T, commit string) (path string) {
	t.Helper()
	source := t.TempDir()
	run := func(dir, name string, arguments ...string) []byte {
		command := exec.CommandContext(t.Context(), name, arguments...)
		command.Dir = dir
		var said bytes.Buffer
		command.Stderr = &said
		out, err := command.Output()
		require.NoError(t, err, "%s %v: %s\n(the test needs the history of the repository: git fetch --unshallow)", name, arguments, said.String())
		return out
	}
	archive := filepath.Join(source, "source.tar")
	run(filepath.Join("..", ".."), "git", "archive", "--output", archive, commit)
	run(source, "tar", "-xf", archive)
	path = filepath.Join(source, "gamemaster")
	run(source, "go", "build", "-o", path, ".")
	return path
}
