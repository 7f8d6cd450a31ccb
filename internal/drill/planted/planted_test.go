package planted_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/internal/drill"
	"galaxy/gamemaster/internal/drill/drilltest"
)

const (
	// plantedBudget bounds all bugs together; it is only ever reached by a failure.
	plantedBudget = 20 * time.Minute
	// plantedPatience bounds one case with a bug. The slowest that comes to an end
	// takes about 25 seconds on a machine that is busy; some bugs leave a run that
	// never ends, which is waited for as long as this.
	plantedPatience = 60 * time.Second
	// plantedAtOnce is how many bugs are drilled side by side: one of them is
	// being built, and the others wait for retries most of their time.
	plantedAtOnce = 6
)

// planted is a mistake in the product, as somebody might make it, and what has to
// notice.
type planted struct {
	name string
	// file has text in it once, with slashes and from the module's root; the bug
	// is to have with there instead.
	file, text, with string
	// cases are drilled with the bug. The matrix drills them without.
	cases []string
	// check is the promise that at least one of them has to find broken.
	check string
}

// hunted is what became of a bug.
type hunted struct {
	// caughtIn is the case that found it, and violation what it found; empty when
	// none did.
	caughtIn  string
	violation drill.Violation
	reports   []drill.Report
	err       error
	// built and took are how long the build and all of it took.
	built, took time.Duration
}

// line tells of a bug as soon as it is known.
func (result hunted) line(bug planted) string {
	verdict := "MISS"
	if result.caughtIn != "" {
		verdict = "ok  "
	}
	return fmt.Sprintf("%s %s (built in %s, %s in all)", verdict, bug.name,
		result.built.Round(time.Millisecond), result.took.Round(time.Millisecond))
}

const (
	// allBugsVariable asks for all bugs: each is a build of its own, and all of them
	// take longer than the rest of the tests.
	allBugsVariable = "GAMEMASTER_PLANTED_BUGS"
	// everyBug is which of them are planted without it.
	everyBug = 4
)

// TestPlantedBugs proves that the cases and the checker catch mistakes: each bug
// is built into a gamemaster of its own, and the promise that it breaks has to be
// found broken. One bug runs by its name:
// go test ./internal/drill/planted -run 'TestPlantedBugs/^NAME$'
func TestPlantedBugs(t *testing.T) {
	bugs := slices.DeleteFunc(plantedBugs(), func(bug planted) bool { return !drilltest.Asked(t).MatchString(bug.name) })
	if all := plantedBugs(); len(bugs) == len(all) && os.Getenv(allBugsVariable) == "" {
		bugs = nil
		for i := 0; i < len(all); i += everyBug {
			bugs = append(bugs, all[i])
		}
	}
	require.NotEmpty(t, bugs, "no bug is called so")
	ctx, cancel := context.WithTimeout(t.Context(), plantedBudget)
	defer cancel()
	forge := newForge(t)
	results := make([]hunted, len(bugs))
	var group errgroup.Group
	group.SetLimit(plantedAtOnce)
	for i, bug := range bugs {
		group.Go(func() error {
			results[i] = hunt(ctx, forge, bug)
			t.Log(results[i].line(bug))
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for i, bug := range bugs {
		t.Run(bug.name, func(t *testing.T) {
			require.NoError(t, results[i].err)
			if results[i].caughtIn == "" {
				t.Fatalf("nothing finds that %s is broken:\n%s", bug.check, tell(results[i].reports))
			}
			t.Log(results[i].violation)
		})
	}
	t.Log(tableOf(bugs, results))
}

// TestPlantedBugsAreNamed proves that every bug can be run by its name, and that
// its text, its cases and its check exist.
func TestPlantedBugsAreNamed(t *testing.T) {
	names := map[string]bool{}
	forge := newForge(t)
	for _, bug := range plantedBugs() {
		require.Regexp(t, `^[a-z0-9_]+$`, bug.name)
		require.False(t, names[bug.name], "%s is there twice", bug.name)
		names[bug.name] = true
		require.Contains(t, drill.Checks(), bug.check, bug.name)
		_, _, err := forge.mutate(bug)
		require.NoError(t, err, bug.name)
		require.NotEmpty(t, bug.cases, bug.name)
		for _, name := range bug.cases {
			_, found := drill.CaseNamed(name)
			require.True(t, found, "%s: there is no case %s", bug.name, name)
		}
	}
}

// hunt drills the bug's cases with it.
func hunt(ctx context.Context, forge *forge, bug planted) (result hunted) {
	began := time.Now()
	defer func() { result.took = time.Since(began) }()
	mutated, err := forge.build(ctx, bug)
	if err != nil {
		return hunted{err: err}
	}
	result.built = time.Since(began)
	defer func() { result.err = errors.Join(result.err, os.Remove(mutated)) }()
	cases, options := casesOf(bug)
	options.Binary = mutated
	cell, err := stack.NewCell(ctx, options)
	if err != nil {
		result.err = err
		return result
	}
	defer func() { result.err = errors.Join(result.err, cell.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, plantedPatience)
	defer cancel()
	result.reports = make([]drill.Report, len(cases))
	var group errgroup.Group
	for i, drilled := range cases {
		group.Go(func() error { result.reports[i] = cell.Drill(ctx, drilled); return nil })
	}
	_ = group.Wait() // what went wrong is in the reports
	for _, report := range result.reports {
		for _, violation := range report.Violations {
			if violation.Check == bug.check && result.caughtIn == "" {
				result.caughtIn, result.violation = report.Case, violation
			}
		}
	}
	return result
}

// casesOf returns the cases of a bug, and a cell that has what they need.
func casesOf(bug planted) (cases []drill.Case, options drill.CellOptions) {
	for _, name := range bug.cases {
		drilled, _ := drill.CaseNamed(name)
		cases = append(cases, drilled)
		if drilled.Room != drill.RoomShared {
			options.Workers = 2
		}
		options.Links = options.Links || drilled.Room == drill.RoomCell
	}
	return cases, options
}

// forge builds gamemasters with a bug in them.
type forge struct {
	root, dir string
	// mu keeps it to one build at a time: each takes all cores.
	mu sync.Mutex
}

func newForge(t *testing.T) *forge {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	require.NoError(t, err)
	return &forge{root: root, dir: t.TempDir()}
}

// mutate returns the path of the bug's source, and what it says with the bug.
func (f *forge) mutate(bug planted) (source, content string, err error) {
	source = filepath.Join(f.root, filepath.FromSlash(bug.file))
	text, err := os.ReadFile(source)
	if err != nil {
		return "", "", err
	}
	if n := strings.Count(string(text), bug.text); n != 1 {
		return "", "", fmt.Errorf("the bug's text is gone: plant it anew: %s has it %d times:\n%s", bug.file, n, bug.text)
	}
	return source, strings.Replace(string(text), bug.text, bug.with, 1), nil
}

// build returns the path of a gamemaster with the bug. The source stays as it is:
// the compiler is told to read another file in its place.
func (f *forge) build(ctx context.Context, bug planted) (mutated string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	source, content, err := f.mutate(bug)
	if err != nil {
		return "", err
	}
	place := func(name string) string { return filepath.Join(f.dir, bug.name+name) }
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: place(".go")}})
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{".go": content, ".json": string(overlay)} {
		if err := os.WriteFile(place(name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	// Without what a debugger needs, which is half of the linker's work.
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w",
		"-overlay", place(".json"), "-o", place(""), "galaxy/gamemaster")
	build.Dir = f.root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build gamemaster with the bug: %w\n%s", err, out)
	}
	return place(""), nil
}

// tell returns the reports as lines.
func tell(reports []drill.Report) string {
	var b strings.Builder
	for _, report := range reports {
		fmt.Fprintf(&b, "%s\n", report)
	}
	return b.String()
}

// tableOf tells in Markdown who caught what.
func tableOf(bugs []planted, results []hunted) string {
	var b strings.Builder
	b.WriteString("\n| bug | caught by | in case |\n|---|---|---|\n")
	for i, bug := range bugs {
		caughtBy, caughtIn := "**nothing**", "-"
		if results[i].caughtIn != "" {
			caughtBy, caughtIn = "`"+bug.check+"`", "`"+results[i].caughtIn+"`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.ReplaceAll(bug.name, "_", " "), caughtBy, caughtIn)
	}
	return b.String()
}
