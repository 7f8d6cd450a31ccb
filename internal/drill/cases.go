package drill

import (
	"fmt"
	"slices"
	"strings"

	"galaxy/gamemaster/internal/domain/patch"
)

// Cases is the matrix: every fault that is known by name, each with the one way
// in which it has to end. What strikes one game only shares a cell with the
// others of its kind.
func Cases() []Case {
	return slices.Concat(
		managerCases(), inspectCases(), fenceCases(), restoreCases(),
		storeCases(), workerCases(), writerCases(), requestCases(), operatorCases(), resetCases(),
		networkCases(), serverCases(), processCases(), lateCases(), forcedCases(), watchCases(), resetAgainCases(), lostTaskCases(),
	)
}

// CaseNamed returns the case of that name.
func CaseNamed(name string) (Case, bool) {
	cases := Cases()
	if i := slices.IndexFunc(cases, func(c Case) bool { return c.Name == name }); i >= 0 {
		return cases[i], true
	}
	return Case{}, false
}

// target is where most cases patch their game to.
const target = "1.4.3"

// patched is a success with one recreate, which most faults must not keep from
// happening.
func patched() Expect { return Success(target).After(1) }

// refused is a patch that could not be carried out, with its recreates, the undo
// included.
func refused(recreates int) Expect {
	return Failure(FirstVersion, patch.CodeServiceUnavailable).After(recreates)
}

// either is for a call that outlasts its budget. A worker that is too busy to
// report is taken for dead before that, and the next attempt succeeds.
func either() Expect { return Expect{Codes: []patch.Code{"", patch.CodeServiceUnavailable}} }

// put returns the run of a case that puts something in the way and patches.
func put(obstacle func(g *Game)) func(*Cell, *Game) {
	return func(_ *Cell, g *Game) {
		obstacle(g)
		g.Patch(target)
	}
}

// named joins the parts of a case's name.
func named(parts ...any) string {
	words := make([]string, 0, len(parts))
	for _, part := range parts {
		if word := fmt.Sprint(part); word != "" {
			words = append(words, strings.ToLower(word))
		}
	}
	return strings.Join(words, "_")
}
