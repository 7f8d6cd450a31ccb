package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

const token = "e2e-token-of-the-tests"

func image(version string) string { return "registry.example/engine:" + version }

// rig is everything that one test has to itself.
type rig struct {
	t         *testing.T
	environ   []string
	pool      *pgxpool.Pool
	simulator *rtmsim.Simulator
	temporal  client.Client
	url       string
	// probes is where a worker tells of itself, if one was asked to.
	probes string
	// lastPass is the pass of the watch that was waited for last.
	lastPass client.ScheduleWorkflowExecution
	// hasty does not wait for runs to close after their success.
	hasty bool
	// token is what the API is asked with.
	token    string
	authFile string
}

// holder is who may pass with a token.
type holder struct {
	name, token string
	scopes      []auth.Scope
	games       []string
}

// everything is the holder whom the tests are, unless they say otherwise.
func everything() holder { return holder{name: "e2e", token: token, scopes: auth.Scopes()} }

// admit writes the auth file anew: the holders may pass from now on, and nobody
// else.
func (r *rig) admit(holders ...holder) {
	r.t.Helper()
	text := "tokens:\n"
	for _, holder := range holders {
		entry, err := auth.Entry(holder.name, holder.scopes, holder.games, holder.token)
		require.NoError(r.t, err)
		text += entry
	}
	require.NoError(r.t, os.WriteFile(r.authFile, []byte(text), 0o600))
}

// newRig makes a database with the sample versions, a simulator, an API and no
// worker. environ is given to every process besides.
func newRig(t *testing.T, environ ...string) *rig {
	t.Helper()
	r := newRigWithoutAPI(t, environ...)
	r.startAPI()
	return r
}

func newRigWithoutAPI(t *testing.T, environ ...string) *rig {
	t.Helper()
	databaseURL := stacktest.Database(t)
	r := &rig{t: t, simulator: rtmsim.New(), token: token}
	manager := httptest.NewServer(r.simulator)
	t.Cleanup(func() {
		r.simulator.Close()
		manager.Close()
	})
	var err error
	r.pool, err = postgres.Open(t.Context(), databaseURL)
	require.NoError(t, err)
	t.Cleanup(r.pool.Close)
	r.temporal, err = client.DialContext(t.Context(), client.Options{
		HostPort: temporal.Address(), Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(r.temporal.Close)
	r.authFile = filepath.Join(t.TempDir(), "auth.yaml")
	r.admit(everything())
	r.environ = append([]string{
		"DATABASE_URL=" + databaseURL, "RTM_URL=" + manager.URL, "TEMPORAL_ADDRESS=" + temporal.Address(),
		"GAMEMASTER_TASK_QUEUE=" + rand.Text(),
		"GAMEMASTER_AUTH_FILE=" + r.authFile,
		// A pass at the wrong moment would use up the faults of a test.
		"GAMEMASTER_WATCH_INTERVAL=0", "GAMEMASTER_EXPORT_INTERVAL=0",
	}, environ...)
	r.register(map[string]engineversion.Status{
		"1.4.1": engineversion.StatusDeprecated, "1.4.2": engineversion.StatusActive,
		"1.4.3": engineversion.StatusActive, "1.4.4": engineversion.StatusActive, "1.5.0": engineversion.StatusActive,
	})
	return r
}

func (r *rig) register(versions map[string]engineversion.Status) {
	r.t.Helper()
	for version, status := range versions {
		require.NoError(r.t, postgres.NewEngineVersions(r.pool).Insert(r.t.Context(), engineversion.EngineVersion{
			Version: version, ImageRef: image(version), Status: status,
		}))
	}
}

func (r *rig) startAPI(flags ...string) *process {
	r.t.Helper()
	p := start(r.t, r.environ, append([]string{"api", "--addr", "127.0.0.1:0"}, flags...)...)
	r.url = fmt.Sprintf("http://%s", p.awaitLog("api is listening")["addr"])
	return p
}

// in returns the rig for a subtest.
func (r *rig) in(t *testing.T) *rig {
	own := *r
	own.t = t
	return &own
}

func (r *rig) startWorker() *process { return start(r.t, r.environ, "worker") }

// game makes a game of its own that runs 1.4.2, with its container.
func (r *rig) game() string {
	r.t.Helper()
	id := r.unknownGame()
	now := time.Now()
	require.NoError(r.t, postgres.NewRuntimeRecords(r.pool).Insert(r.t.Context(), runtime.RuntimeRecord{
		GameID: id, Status: runtime.StatusRunning, CurrentEngineVersion: "1.4.2", CurrentImageRef: image("1.4.2"),
		CreatedAt: now, UpdatedAt: now,
	}))
	require.NoError(r.t, r.simulator.PutRuntime(id, image("1.4.2"), rtmsim.StatusRunning))
	return id
}

func (r *rig) unknownGame() string { return "game-" + strings.ToLower(rand.Text()) }

func (r *rig) exec(sql string, arguments ...any) {
	r.t.Helper()
	_, err := r.pool.Exec(r.t.Context(), sql, arguments...)
	require.NoError(r.t, err)
}

func (r *rig) fault(fault rtmsim.Fault) {
	r.t.Helper()
	require.NoError(r.t, r.simulator.PutFault(fault))
}

// slowPatch lets the game's next recreate take milliseconds.
func (r *rig) slowPatch(game string, milliseconds int) {
	r.t.Helper()
	r.fault(rtmsim.Fault{GameID: game, Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: milliseconds, Times: 1})
}

// answer is an answer of the API.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) code() patch.Code {
	code, _ := a.body["code"].(string)
	return patch.Code(code)
}

// call asks the API. Headers come as "Name: value".
func (r *rig) call(method, path, body string, headers ...string) answer {
	r.t.Helper()
	a, err := r.try(r.t.Context(), method, path, body, headers...)
	require.NoError(r.t, err)
	return a
}

// try is call for goroutines, which may not fail the test.
func (r *rig) try(ctx context.Context, method, path, body string, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, r.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+r.token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header}
	if err := json.Unmarshal(text, &a.body); err != nil {
		return answer{}, fmt.Errorf("HTTP %d: %w: %s", a.status, err, text)
	}
	r.awaitClose(ctx, a)
	return a, nil
}

// awaitClose waits until the run of a success has closed, which it is answered
// ahead of: tests look at it past the API as well. However it closed is theirs to
// see.
func (r *rig) awaitClose(ctx context.Context, a answer) {
	workflowID, _ := a.body["workflow_id"].(string)
	runID, _ := a.body["run_id"].(string)
	if r.hasty || r.temporal == nil || a.status != http.StatusOK || a.body["state"] != "closed" || runID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = r.temporal.GetWorkflow(ctx, workflowID, runID).Get(ctx, nil)
}

const base = "/api/v1/internal"

// patch asks for a patch and waits for its end.
func (r *rig) patch(game, version string, headers ...string) answer {
	r.t.Helper()
	return r.call(http.MethodPost, base+"/runtimes/"+game+"/patch", `{"version":"`+version+`"}`,
		append([]string{"Prefer: wait=60"}, headers...)...)
}

// patchBeside is patch while the test goes on; see await.
func (r *rig) patchBeside(game, version string, headers ...string) <-chan result {
	return r.askBeside(game, map[string]any{"version": version}, headers...)
}

// askBeside is patchBeside with any body; empty texts are left out of it.
func (r *rig) askBeside(game string, body map[string]any, headers ...string) <-chan result {
	maps.DeleteFunc(body, func(_ string, value any) bool { return value == "" })
	encoded, err := json.Marshal(body)
	require.NoError(r.t, err)
	results := make(chan result, 1)
	go func() {
		a, err := r.try(r.t.Context(), http.MethodPost, base+"/runtimes/"+game+"/patch", string(encoded),
			append([]string{"Prefer: wait=60"}, headers...)...)
		results <- result{a, err}
	}()
	return results
}

// result is an answer that came while the test went on.
type result struct {
	answer answer
	err    error
}

func await(t *testing.T, results <-chan result) answer {
	t.Helper()
	select {
	case got := <-results:
		require.NoError(t, got.err)
		return got.answer
	case <-time.After(patience):
		t.Fatal("no answer")
		return answer{}
	}
}

// awaitCall waits until the simulator has taken the call that the game's fault
// was put there for: from then on the recreate is under way.
func (r *rig) awaitCall(game string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		for _, fault := range r.simulator.Faults() {
			if fault.GameID == game && fault.Op == rtmsim.OpPatch && fault.Fired > 0 {
				return true
			}
		}
		return false
	}, patience, waitTick, "the call for %s", game)
}

// async asks for a patch, waits for nothing and returns its id.
func (r *rig) async(game, version string) string {
	r.t.Helper()
	a := r.call(http.MethodPost, base+"/runtimes/"+game+"/patch", `{"version":"`+version+`"}`, "Prefer: respond-async")
	require.Equal(r.t, http.StatusAccepted, a.status, a.body)
	id, _ := a.body["patch_id"].(string)
	require.Equal(r.t, base+"/patches/"+id, a.header.Get("Location"))
	return id
}

// awaitPatch looks at a patch until reached says so.
func (r *rig) awaitPatch(patchID, what string, reached func(map[string]any) bool) map[string]any {
	r.t.Helper()
	var last answer
	require.Eventually(r.t, func() bool {
		var err error
		last, err = r.try(r.t.Context(), http.MethodGet, base+"/patches/"+patchID, "")
		return err == nil && last.status == http.StatusOK && reached(last.body)
	}, patience, waitTick, "patch %s: %s", patchID, what)
	return last.body
}

func (r *rig) awaitPhase(patchID string, phase patch.Phase) map[string]any {
	r.t.Helper()
	return r.awaitPatch(patchID, "phase "+string(phase), func(body map[string]any) bool { return body["phase"] == string(phase) })
}

func (r *rig) awaitEnd(patchID string) map[string]any {
	r.t.Helper()
	return r.awaitPatch(patchID, "its end", func(body map[string]any) bool { return body["state"] == "closed" })
}

// audit returns the game's audit rows, newest first.
func (r *rig) audit(game string) []operation.OperationEntry {
	r.t.Helper()
	rows, err := postgres.NewOperationLog(r.pool).ListByGame(r.t.Context(), game, 100)
	require.NoError(r.t, err)
	return rows
}

// record returns the game's row.
func (r *rig) record(game string) runtime.RuntimeRecord {
	r.t.Helper()
	record, err := postgres.NewRuntimeRecords(r.pool).Get(r.t.Context(), game)
	require.NoError(r.t, err)
	return record
}

// closeStatus returns how the game's latest run closed.
func (r *rig) closeStatus(game string) enumspb.WorkflowExecutionStatus {
	r.t.Helper()
	described, err := r.temporal.DescribeWorkflowExecution(r.t.Context(), patch.WorkflowID(game), "")
	require.NoError(r.t, err)
	return described.GetWorkflowExecutionInfo().GetStatus()
}

// requireInLine proves that record and container are on version, after n
// recreates.
func (r *rig) requireInLine(game, version string, n int) {
	r.t.Helper()
	record := r.record(game)
	require.Equal(r.t, version, record.CurrentEngineVersion)
	require.Equal(r.t, image(version), record.CurrentImageRef)
	container, found := r.simulator.Runtime(game)
	require.True(r.t, found)
	require.Equal(r.t, image(version), container.ImageRef)
	require.Equal(r.t, n, container.Recreates, container.History)
}
