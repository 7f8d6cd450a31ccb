package cli_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

const (
	otherID = "demo-2.ie6lo7c3uipa373oksugz6isl4"
	waiting = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"open","actor":"ann",
		"phase":"patching","step":"PatchContainer","doing":"recreate on 1.4.3","attempts":3,"last_error":"HTTP 503\n\u001b[2Jgone",
		"since":"2026-03-01T12:00:00Z","until":"2126-03-01T12:00:00Z","next_attempt_at":"2026-03-01T12:00:01Z","started_at":"2026-03-01T12:00:00Z",
		"run_url":"https://temporal.example/namespaces/default/workflows/patch-runtime%2Fdemo-1/r/history","to":{"version":"1.4.3","image_ref":"b"}}`
	undoing = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"open",
		"phase":"compensating","step":"RestoreContainer","doing":"bring the container in line","attempts":1}`
)

// other makes an answer one about the other game.
func other(body string) string { return strings.ReplaceAll(body, "demo-1", "demo-2") }

// frames splits what was drawn on a screen; each begins where the one before was
// taken away.
func frames(t *testing.T, drawn string) []string {
	t.Helper()
	var all []string
	for i, part := range strings.Split(drawn, "\x1b[") {
		if i == 0 {
			all = append(all, part)
			continue
		}
		// Up so many lines, and then what is below away.
		if _, after, found := strings.Cut(part, "A\r"); found && after == "" {
			continue
		}
		frame, found := strings.CutPrefix(part, "J")
		require.True(t, found, "a sequence of its own: %q", part)
		all = append(all, frame)
	}
	return all
}

// TestWatchedPatch proves that a patch which is watched is drawn in place on a
// terminal, with what it does, how often, for how long and what it waits for, and
// that its end is told as always; nothing that others wrote moves the cursor.
func TestWatchedPatch(t *testing.T) {
	t.Parallel()
	const look = "GET /patches/" + patchID
	for args, asked := range map[string]string{
		"patch demo-1 1.4.3 --watch": "POST /runtimes/demo-1/patch", "rollback demo-1 --watch": "POST /runtimes/demo-1/rollback",
		"reconcile demo-1 --mode enforce --watch": "POST /runtimes/demo-1/reconcile", "patches watch " + patchID: look,
	} {
		s := newServer(t, map[string][]reply{look: {ok(waiting), ok(waiting), ok(undoing), ok(conflicted)}})
		if asked != look {
			s.replies[asked] = []reply{{http.StatusAccepted, opened}}
		}
		code, stdout, stderr := s.run(cli.Shell{Live: true}, strings.Fields(args)...)
		require.Equal(t, cli.ExitRefused, code, stdout+stderr)
		require.Contains(t, stderr, "conflict: the record changed")
		drawn := frames(t, stdout)
		first := drawn[0]
		if asked == look {
			require.Contains(t, first, "\n  page           https://temporal.example/namespaces/default/workflows/patch-runtime%2Fdemo-1/r/history\n")
		}
		for _, part := range []string{
			"patch of demo-1: " + patchID, "  patching       recreate on 1.4.3 (PatchContainer), attempt 3\n",
			" more at most\n", "waits for    next try in 0s: HTTP 503 \uFFFD[2Jgone\n", " ago by ann\n",
		} {
			require.Contains(t, first, part, args)
		}
		last := drawn[len(drawn)-1]
		require.Regexp(t, `(?s)^  patching       \d+s\n  compensating   \d+s\n  undone         container recreated`, last)
		for line := range strings.Lines(stdout) {
			if !strings.HasPrefix(line, "  page           https://temporal.example/") {
				require.LessOrEqual(t, len([]rune(line)), 90, "it would be broken on a narrow screen")
			}
		}
	}
}

// TestWatchedElsewhere proves that without a terminal there is one line for each
// phase, and the end.
func TestWatchedElsewhere(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]reply{
		"POST /runtimes/demo-1/patch": {{http.StatusAccepted, opened}},
		"GET /patches/" + patchID:     {ok(opened), ok(waiting), ok(strings.Replace(waiting, `"attempts":3`, `"attempts":4`, 1)), ok(done)},
	})
	code, stdout, stderr := s.run(cli.Shell{}, "patch", "demo-1", "1.4.3", "--watch")
	require.Zero(t, code, stderr)
	require.Equal(t, "patch of demo-1: "+patchID+"\n  patching       recreate on 1.4.3\n  done           1.4.2 -> 1.4.3 (b)\n", stdout)
}

// TestWatchedDoubt proves that a patch which waits for an operator is not waited
// for, and that both ways out stay on the screen.
func TestWatchedDoubt(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]reply{"GET /patches/" + patchID: {ok(doubted)}})
	code, stdout, stderr := s.run(cli.Shell{Live: true}, "patches", "watch", patchID)
	require.Equal(t, cli.ExitUnavailable, code)
	require.Contains(t, stderr, "waits for an operator")
	require.Contains(t, stdout, "try again    gamemaster patches retry "+patchID)
	require.Contains(t, stdout, "give up      gamemaster patches abandon "+patchID)
}

// TestWatchedJSON proves that programs get the one document that they always do.
func TestWatchedJSON(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string][]reply{"GET /patches/" + patchID: {ok(waiting), ok(done)}})
	code, stdout, stderr := s.run(cli.Shell{Live: true}, "patches", "watch", patchID, "--json")
	require.Zero(t, code, stderr)
	require.JSONEq(t, done, stdout)
}

// TestWatchSeveral proves that several patches are watched until each has ended
// or waits for an operator, and that the worst of them is the exit code.
func TestWatchSeveral(t *testing.T) {
	t.Parallel()
	for second, want := range map[string]int{done: cli.ExitDone, conflicted: cli.ExitRefused, failed: cli.ExitFailed, doubted: cli.ExitUnavailable} {
		s := newServer(t, map[string][]reply{
			"GET /patches/" + patchID: {ok(waiting), ok(done)},
			"GET /patches/" + otherID: {ok(other(second))},
		})
		code, stdout, stderr := s.run(cli.Shell{}, "patches", "watch", patchID, otherID, patchID)
		require.Equal(t, want, code, stdout+stderr)
		require.Regexp(t, `Z demo-1 `+patchID+`: patching recreate on 1.4.3\n`, stdout)
		require.Regexp(t, `Z demo-1 `+patchID+`: done 1.4.2 -> 1.4.3 \(b\)\n`, stdout)
		require.Equal(t, 3, strings.Count(stdout, "\n"), stdout)
		require.NotContains(t, stdout, "\x1b")
	}
}

// TestWatchOpen proves that the open patches are drawn with what each waits for,
// that one which ends is told for good, that runs without an id and those beyond
// the screen are counted, and that an interrupt is no failure.
func TestWatchOpen(t *testing.T) {
	t.Parallel()
	const list = "GET /patches?limit=1000&state=open"
	byHand := `{"patch_id":"","workflow_id":"patch-runtime/demo-3","run_id":"r","game_id":"demo-3","state":"open","phase":"patching"}`
	s := newServer(t, map[string][]reply{
		list:                      {ok(`{"patches":[` + waiting + `,` + other(waiting) + `,` + byHand + `]}`), ok(`{"patches":[` + waiting + `]}`)},
		"GET /patches/" + patchID: {ok(waiting)},
		"GET /patches/" + otherID: {ok(other(waiting)), ok(other(conflicted))},
	})
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		if strings.Contains(r.URL.RawQuery, "state=open") {
			if looks++; looks == 3 {
				cancel()
			}
		}
	})
	code, stdout, stderr := s.run(cli.Shell{Context: ctx, Live: true}, "patches", "watch")
	require.Zero(t, code, stderr)
	drawn := frames(t, stdout)
	require.Contains(t, drawn[0], "GAME    TO")
	require.Regexp(t, `(?m)^demo-1  1\.4\.3  patching  recreate on 1\.4\.3`, drawn[0])
	require.Contains(t, drawn[0], "demo-3")
	require.Contains(t, drawn[0], "open: 3\n")
	require.Contains(t, stdout, "demo-2 "+otherID+": ended conflict: the record changed\n")
	require.Contains(t, drawn[len(drawn)-1], "open: 1\n")
	for line := range strings.Lines(drawn[0]) {
		require.LessOrEqual(t, len([]rune(line)), 80)
	}
}

// TestWatchReason proves that a terminal of 80 columns shows the reason of a wait
// to its end, of one patch and of all that are open, whatever stands beside it,
// and that no line is longer than the screen.
func TestWatchReason(t *testing.T) {
	t.Parallel()
	const reason = "service_unavailable: patch container: runtime manager unavailable: HTTP 503: overloaded"
	stuck := strings.NewReplacer("recreate on 1.4.3", "recreate the container on 1.4.3", `HTTP 503\n\u001b[2Jgone`, reason).Replace(waiting)
	s := newServer(t, map[string][]reply{
		"GET /patches/" + patchID: {ok(stuck), ok(done)}, "GET /patches/" + otherID: {ok(other(stuck)), ok(other(done))},
	})
	for _, ids := range [][]string{{patchID}, {patchID, otherID}} {
		s.replies["GET /patches/"+patchID] = []reply{ok(stuck), ok(stuck), ok(done)}
		code, stdout, stderr := s.run(cli.Shell{Live: true}, append([]string{"patches", "watch"}, ids...)...)
		require.Zero(t, code, stderr)
		drawn := frames(t, stdout)[0]
		told := strings.Join(strings.Fields(drawn), " ")
		require.Equal(t, len(ids), strings.Count(told, ": next try in 0s: "+reason)+strings.Count(told, "waits for next try in 0s: "+reason), drawn)
		for line := range strings.Lines(drawn) {
			if !strings.HasPrefix(line, "  page ") {
				require.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), 79, drawn)
			}
		}
	}
}

// TestWatchMany proves that a screen shows as many patches as fit with what they
// wait for, and counts the others.
func TestWatchMany(t *testing.T) {
	t.Parallel()
	replies, ids := map[string][]reply{}, []string{"patches", "watch"}
	for i := range 20 {
		game := strings.NewReplacer("demo-1", fmt.Sprintf("demo-%d", i+10))
		ids = append(ids, game.Replace(patchID))
		replies["GET /patches/"+game.Replace(patchID)] = []reply{ok(game.Replace(waiting)), ok(game.Replace(done))}
	}
	s := newServer(t, replies)
	_, stdout, _ := s.run(cli.Shell{Live: true}, ids...)
	first := frames(t, stdout)[0]
	require.Equal(t, 24, strings.Count(first, "\n"), "the screen is full: %s", first)
	require.Equal(t, 11, strings.Count(first, "  waits for: next try in 0s: HTTP 503"), first)
	require.Contains(t, first, "open: 20, 9 of them not shown\n")
}

// TestWatchWhat proves which command lines are none.
func TestWatchWhat(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"patches watch --json", "patches watch " + patchID + " " + otherID + " --json", "patches watch --game demo-1 " + patchID,
	} {
		s := newServer(t, nil)
		code, _, _ := s.run(cli.Shell{}, strings.Fields(args)...)
		require.Equal(t, cli.ExitUsage, code, args)
		require.Empty(t, s.asked)
	}
	s := newServer(t, map[string][]reply{"GET /patches/" + patchID: {problem(404, "patch_not_found", "no such patch")}})
	code, _, stderr := s.run(cli.Shell{}, "patches", "watch", patchID)
	require.Equal(t, cli.ExitRefused, code, stderr)
	s = newServer(t, map[string][]reply{"GET /patches?game_id=demo-1&limit=1000&state=open": {problem(403, "forbidden", "not yours")}})
	code, _, stderr = s.run(cli.Shell{}, "patches", "watch", "--game", "demo-1")
	require.Equal(t, cli.ExitRefused, code, stderr)
}
