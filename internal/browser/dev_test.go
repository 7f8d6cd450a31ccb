//go:build browser

package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// dev is a `gamemaster dev` with ports of its own.
type dev struct {
	command *exec.Cmd
	done    chan error
	// log is what it says of itself, to be read when it has ended.
	log       bytes.Buffer
	api, ui   string
	simulator *rtmsim.Control
}

// startDev starts a stack with its data in dir and returns when it serves.
func startDev(ctx context.Context, binary, dir string) (*dev, error) {
	d := &dev{
		command: exec.Command(binary, "dev", "--data", dir, "--api=", "--temporal=", "--ui=", "--rtm="),
		done:    make(chan error, 1),
	}
	d.command.Env = append(os.Environ(),
		// Longer than any test takes, so that what waits still waits when it is
		// looked at.
		"GAMEMASTER_MANAGER_BUDGET=30m", "GAMEMASTER_WATCH_INTERVAL=0")
	d.command.Stderr = &d.log
	printed, err := d.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.command.Start(); err != nil {
		return nil, err
	}
	where := make(chan map[string]string, 1)
	go func() {
		where <- addresses(printed)
		_, _ = io.Copy(io.Discard, printed)
		d.done <- d.command.Wait()
	}()
	select {
	case parts := <-where:
		d.api, d.ui = parts["API"], parts["Temporal UI"]
		d.simulator = rtmsim.NewControl(parts["Runtime Manager"])
	case <-ctx.Done():
	}
	if d.api == "" || d.ui == "" {
		return nil, errors.Join(errors.New("gamemaster dev did not say where its parts are"), d.Close())
	}
	return d, nil
}

// addresses reads what dev prints about its parts, until it says that it is
// ready.
func addresses(printed io.Reader) map[string]string {
	parts := map[string]string{}
	for scanner := bufio.NewScanner(printed); scanner.Scan(); {
		line := scanner.Text()
		if strings.HasPrefix(line, "Stop:") {
			break
		}
		for _, part := range []string{"API", "Temporal UI", "Runtime Manager"} {
			if rest, ok := strings.CutPrefix(line, "  "+part+" "); ok {
				parts[part] = strings.Fields(rest)[0]
			}
		}
	}
	return parts
}

// Close stops the stack and waits for its end.
func (d *dev) Close() error {
	if d.simulator != nil {
		d.simulator.Close()
	}
	if err := d.command.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return <-d.done
}

const base = "/api/v1/internal"

// call asks the API and returns the status and the body of its answer.
func (d *dev) call(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, d.api+base+path, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer dev")
	request.Header.Set("Prefer", "respond-async")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var decoded map[string]any
	require.NoError(t, json.NewDecoder(response.Body).Decode(&decoded))
	return response.StatusCode, decoded
}

// patch begins a patch of the game to 1.4.3 and returns its id.
func (d *dev) patch(t *testing.T, game string) string {
	t.Helper()
	return d.patchTo(t, game, "1.4.3")
}

// patchTo is patch to another version.
func (d *dev) patchTo(t *testing.T, game, version string) string {
	t.Helper()
	status, body := d.call(t, http.MethodPost, "/runtimes/"+game+"/patch", `{"version":"`+version+`","reason":"security fix"}`)
	require.Equal(t, http.StatusAccepted, status, body)
	return body["patch_id"].(string)
}

// newGame lays a game of its own for a test, with its container, on 1.4.2.
func (d *dev) newGame(t *testing.T, game string) {
	t.Helper()
	require.NoError(t, d.simulator.PutRuntime(t.Context(), game, "registry.example/galaxy/engine:1.4.2", "running"))
	status, body := d.call(t, http.MethodPost, "/runtimes", `{"game_id":"`+game+`","engine_version":"1.4.2","status":"running"}`)
	require.Equal(t, http.StatusCreated, status, body)
}

// doubt begins a patch of the game that comes to wait for an operator: its
// recreate takes place and is told to be refused, and so is the one that puts it
// back, without taking place. It returns its id.
func (d *dev) doubt(t *testing.T, game string) string {
	t.Helper()
	d.fault(t, rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenStatus, Status: 409, Times: 1})
	d.fault(t, rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeStatus, Status: 409})
	patchID := d.patch(t, game)
	d.awaitPatch(t, patchID, "phase", "needs_operator")
	return patchID
}

// awaitPatch waits until the API says that of the patch, and returns it.
func (d *dev) awaitPatch(t *testing.T, patchID, field, value string) map[string]any {
	t.Helper()
	var body map[string]any
	require.Eventually(t, func() bool {
		_, body = d.call(t, http.MethodGet, "/patches/"+patchID, "")
		return body[field] == value
	}, patience, waitTick, "%s %s of %s", field, value, patchID)
	return body
}

// audit returns the audit rows of the game, the latest first.
func (d *dev) audit(t *testing.T, game string) []map[string]any {
	t.Helper()
	_, body := d.call(t, http.MethodGet, "/runtimes/"+game+"/operations", "")
	var rows []map[string]any
	for _, row := range body["operations"].([]any) {
		rows = append(rows, row.(map[string]any))
	}
	return rows
}

// fault has the simulator misbehave towards the game.
func (d *dev) fault(t *testing.T, fault rtmsim.Fault) {
	t.Helper()
	require.NoError(t, d.simulator.PutFault(t.Context(), fault))
	t.Cleanup(func() { d.heal(t, fault.GameID) })
}

// heal ends the faults of the game.
func (d *dev) heal(t *testing.T, game string) {
	t.Helper()
	// The cleanup runs when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	require.NoError(t, d.simulator.DeleteFaultsOf(ctx, game))
}

// requireOn proves that record and container of the game are on version, and that
// it took so many recreates.
func (d *dev) requireOn(t *testing.T, game, version string, recreates int) {
	t.Helper()
	_, record := d.call(t, http.MethodGet, "/runtimes/"+game, "")
	require.Equal(t, version, record["current_engine_version"])
	container, there, err := d.simulator.Runtime(t.Context(), game)
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t, record["current_image_ref"], container.ImageRef)
	require.Equal(t, recreates, container.Recreates)
}

// requireApart proves that the record of the game is on 1.4.2 still, and its
// container on 1.4.3 by the one recreate that there was.
func (d *dev) requireApart(t *testing.T, game string) {
	t.Helper()
	_, record := d.call(t, http.MethodGet, "/runtimes/"+game, "")
	require.Equal(t, "1.4.2", record["current_engine_version"])
	container, there, err := d.simulator.Runtime(t.Context(), game)
	require.NoError(t, err)
	require.True(t, there)
	require.Contains(t, container.ImageRef, "1.4.3")
	require.Equal(t, 1, container.Recreates)
}

// page is the address of the page of the game's latest run.
func (d *dev) page(game string) string {
	return d.ui + "/namespaces/default/workflows/" + url.PathEscape("patch-runtime/"+game)
}
