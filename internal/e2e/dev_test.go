package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
)

// dev is a `gamemaster dev` with ports of its own.
type dev struct {
	*process
	*rig
	manager string
}

func startDev(t *testing.T, dir string, environ ...string) *dev {
	t.Helper()
	d := &dev{
		process: start(t, environ, "dev", "--data", dir, "--api=", "--temporal=", "--ui=", "--rtm="),
		rig:     &rig{t: t, token: "dev"},
	}
	d.url = d.where("API")
	d.manager = d.where("Runtime Manager")
	family := d.family()
	// The data directory goes with the test, and its servers have to be out of
	// it by then.
	t.Cleanup(func() {
		d.signal(syscall.SIGINT)
		<-d.done
		requireGone(t, family)
	})
	return d
}

// where is the address that dev tells of a part.
func (d *dev) where(part string) string {
	d.process.t.Helper()
	line := d.awaitLine(part, func(line string) bool { return strings.HasPrefix(line, "  "+part+" ") })
	return strings.Fields(strings.TrimPrefix(line, "  "+part))[0]
}

// sim speaks to the simulator's control API.
func (d *dev) sim(method, path, body string) answer {
	d.process.t.Helper()
	control := *d.rig
	control.url = d.manager
	return control.call(method, "/sim"+path, body)
}

// family returns the dev process and its children.
func (d *dev) family() []int {
	d.process.t.Helper()
	parent := d.command.Process.Pid
	pids := []int{parent}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(d.process.t, err)
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it ended meanwhile
		}
		// "pid (name) state ppid …", where the name may hold anything.
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			require.NoError(d.process.t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// requireGone proves that none of pids runs any more.
func requireGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			_, state, _ := strings.Cut(string(text), ") ")
			return err != nil || strings.HasPrefix(state, "Z")
		}, patience, waitTick, "process %d is still there", pid)
	}
}

// TestDevSurvivesKill proves that dev, killed with all its processes while
// patches are open, keeps its data and finishes them when it is started again.
func TestDevSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := stacktest.Dir(t)
	d := startDev(t, dir)
	require.Equal(t, http.StatusOK, d.patch("demo-2", "1.4.4").status)
	require.Equal(t, http.StatusOK, d.sim(http.MethodPut, "/faults", `{"game_id":"*","op":"patch","mode":"status","status":503}`).status)
	var open []string
	for _, game := range []string{"demo-1", "demo-3", "demo-4"} {
		open = append(open, d.async(game, "1.4.3"))
	}
	d.awaitPatch(open[2], "the second attempt", func(body map[string]any) bool {
		attempts, _ := body["attempts"].(float64)
		return attempts > 1
	})
	family := d.family()
	require.Len(t, family, 3, "dev, postgres, temporal")
	for _, pid := range family {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	requireGone(t, family)

	d = startDev(t, dir)
	for _, patchID := range open {
		require.Equal(t, "success", d.awaitEnd(patchID)["outcome"])
	}
	for game, version := range map[string]string{"demo-1": "1.4.3", "demo-2": "1.4.4", "demo-3": "1.4.3", "demo-5": "1.4.2"} {
		record := d.call(http.MethodGet, base+"/runtimes/"+game, "")
		require.Equal(t, version, record.body["current_engine_version"], game)
		container := d.sim(http.MethodGet, "/runtimes/"+game, "")
		require.Equal(t, record.body["current_image_ref"], container.body["image_ref"], game)
	}
	operations := d.call(http.MethodGet, base+"/runtimes/demo-1/operations", "")
	require.Len(t, operations.body["operations"], 1)
}

// TestDevCleansUp proves that Ctrl-C, and a kill of dev alone, leave no process
// behind, and that the data directory can be used again.
func TestDevCleansUp(t *testing.T) {
	t.Parallel()
	dir := stacktest.Dir(t)
	d := startDev(t, dir)
	family := d.family()
	d.signal(syscall.SIGINT)
	require.Zero(t, d.exitCode(), d.printed())
	requireGone(t, family)

	d = startDev(t, dir)
	family = d.family()
	d.kill()
	requireGone(t, family)

	d = startDev(t, dir)
	require.Equal(t, http.StatusOK, d.patch("demo-1", "1.4.3").status)
}

// TestBesideDev proves that a second stack neither disturbs a running one nor
// takes its place: the demo goes by, and another dev is refused by name.
func TestBesideDev(t *testing.T) {
	t.Parallel()
	dir := stacktest.Dir(t)
	d := startDev(t, dir)
	address := strings.TrimPrefix(d.url, "http://")

	code, printed := runToEnd(t, []string{"DATABASE_URL=postgres://nobody@127.0.0.1:1/none"}, "demo")
	require.Zero(t, code, printed)
	require.Contains(t, printed, "All three ended as they should")

	code, printed = runToEnd(t, nil, "dev", "--data", stacktest.Dir(t), "--api", address, "--temporal=", "--ui=", "--rtm=")
	require.Equal(t, 1, code)
	require.Contains(t, printed, "api: address "+address+" is already in use")

	code, printed = runToEnd(t, nil, "dev", "--data", dir, "--api=", "--temporal=", "--ui=", "--rtm=")
	require.Equal(t, 1, code)
	require.Contains(t, printed, "in use by another gamemaster")

	require.Equal(t, http.StatusOK, d.call(http.MethodGet, "/readyz", "").status)
	patched := d.patch("demo-2", "1.4.3")
	link := patched.body["run_url"].(string)
	require.Contains(t, link, "/namespaces/default/workflows/patch-runtime%2Fdemo-2/"+patched.body["run_id"].(string)+"/history")
	page, err := http.Get(link)
	require.NoError(t, err)
	defer page.Body.Close()
	text, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, string(text), "<html", "it is the UI's, which asks for the run by itself")
	record := d.call(http.MethodGet, base+"/runtimes/demo-1", "")
	require.Equal(t, "1.4.2", record.body["current_engine_version"])
}

// TestDevOnForeignParts proves that DATABASE_URL, TEMPORAL_ADDRESS and RTM_URL
// each replace an embedded part.
func TestDevOnForeignParts(t *testing.T) {
	t.Parallel()
	r := newRigWithoutAPI(t)
	d := startDev(t, stacktest.Dir(t), append(r.environ, "GAMEMASTER_AUTH_FILE=", "GAMEMASTER_TEMPORAL_UI_URL=https://temporal.example")...)
	require.Len(t, d.family(), 1, "no server of its own")
	game := r.game()
	patched := d.patch(game, "1.4.3")
	require.Equal(t, http.StatusOK, patched.status)
	require.Contains(t, patched.body["run_url"], "https://temporal.example/namespaces/default/workflows/")
	r.requireInLine(game, "1.4.3", 1)
}
