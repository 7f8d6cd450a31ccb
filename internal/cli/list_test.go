package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/cli"
)

// newLongList is an API with that many games, which it lists in pages.
func newLongList(t *testing.T, games int) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		to := min(from+limit, games)
		var rows []string
		for i := from; i < to; i++ {
			rows = append(rows, fmt.Sprintf(`{"game_id":"game-%d","status":"running"}`, i))
		}
		next := ""
		if to < games {
			next = fmt.Sprintf(`,"next_cursor":"%d"`, to)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"runtimes":[%s]%s}`, strings.Join(rows, ","), next)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestLimit proves that a list has no more rows than were asked for, says when
// there are more, and has one header however long it is.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		games, listed int
		args          []string
		more          bool
	}{
		{99, 99, nil, false},
		{100, 100, nil, false},
		{101, 100, nil, true},
		{5, 2, []string{"--limit", "2"}, true},
		{2500, 2500, []string{"--limit", "0"}, false},
		{2500, 1500, []string{"--limit", "1500"}, true},
	} {
		s := newLongList(t, row.games)
		code, stdout, stderr := cli.Shell{}.Run(append([]string{"runtimes", "list", "--server", s.URL}, row.args...)...)
		require.Zero(t, code, stderr)
		require.Equal(t, row.listed, strings.Count(stdout, "game-"))
		require.Equal(t, 1, strings.Count(stdout, "GAME"))
		require.NotContains(t, stdout, " \n")
		require.Equal(t, row.more, strings.Contains(stderr, "--limit 0 lists all"), stderr)
	}
	code, _, stderr := cli.Shell{}.Run("runtimes", "list", "--limit=-1")
	require.Equal(t, cli.ExitUsage, code)
	require.Contains(t, stderr, "less than none")
}

// TestColumnsStayInLine proves that the rows of later tables are as wide as those
// of the first.
func TestColumnsStayInLine(t *testing.T) {
	t.Parallel()
	s := newLongList(t, 450)
	code, stdout, _ := cli.Shell{}.Run("runtimes", "list", "--server", s.URL, "--limit", "0")
	require.Zero(t, code)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, lines, 451)
	// The widest game id is in the first table.
	at := strings.Index(lines[200], "running")
	for _, line := range lines[1:] {
		require.Equal(t, at, strings.Index(line, "running"), line)
	}
}

// TestScreen proves that a screen gets a bold header and everybody else plain
// text.
func TestScreen(t *testing.T) {
	t.Setenv("FORCE_COLOR", "1")
	t.Setenv("TERM", "xterm")
	s := newLongList(t, 1)
	for _, bold := range []bool{true, false} {
		code, stdout, _ := cli.Shell{Bold: bold}.Run("runtimes", "list", "--server", s.URL)
		require.Zero(t, code)
		require.Equal(t, bold, strings.Contains(stdout, "\x1b[1m"), stdout)
	}
}
