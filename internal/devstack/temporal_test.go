package devstack_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/devstack"
)

// temporalPatience bounds every wait for something that takes well under a
// second on an idle machine.
const temporalPatience = 30 * time.Second

const temporalQueue = "devstack"

var (
	keyGame  = temporal.NewSearchAttributeKeyKeyword("GameID")
	keyStage = temporal.NewSearchAttributeKeyKeyword("Stage")
)

// A server with all its trimmings comes up, runs a workflow, finds it by a search
// attribute, shows its UI, and is gone after Close.
func TestTemporalRunsWorkflows(t *testing.T) {
	server := startTemporal(t, devstack.TemporalOptions{
		Namespace:        "game",
		SearchAttributes: map[string]string{"GameID": "Keyword"},
	})
	c := temporalClient(t, server, "game")
	runTemporalWorker(t, c)

	run, err := c.ExecuteWorkflow(t.Context(), temporalStart("hello", keyGame.ValueSet("chess")), greet, "world")
	require.NoError(t, err, "a search attribute given at start is usable at once")
	var greeting string
	require.NoError(t, run.Get(t.Context(), &greeting))
	require.Equal(t, "hello world", greeting)
	requireFound(t, c, `GameID = "chess"`, "hello")

	require.Contains(t, httpBody(t, server.UIURL()), "<html", "the UI serves its page")
	require.Contains(t, httpBody(t, server.UIURL()+"/api/v1/namespaces/game"), `"game"`, "the UI reaches the frontend")
	require.Contains(t, httpBody(t, server.UIURL()+"/api/v1/namespaces/game"), `"workflowPause": true`)

	require.NoError(t, server.Err(), "it runs")
	require.NoError(t, server.Close())
	require.NoError(t, server.Close(), "a second Close changes nothing")
	requireTemporalGone(t, server)
}

// Settings that are given win over those of the dev stack, and metrics are served
// when they are asked for.
func TestTemporalSettingsAndMetrics(t *testing.T) {
	server := startTemporal(t, devstack.TemporalOptions{
		Metrics: true, DynamicConfig: map[string]any{"frontend.WorkflowPauseEnabled": false},
	})
	require.NotContains(t, httpBody(t, server.UIURL()+"/api/v1/namespaces/default"), "workflowPause")
	require.Contains(t, httpBody(t, server.MetricsURL()), "service_requests")
	require.Empty(t, startTemporal(t, devstack.TemporalOptions{Headless: true}).MetricsURL())
}

// A file keeps finished and waiting workflows through a crash, and a restart adds
// a search attribute that came later.
func TestTemporalFileSurvivesKill(t *testing.T) {
	// Blanks and per cents have a meaning in the database's name.
	requireSurvivesKill(t, devstack.TemporalOptions{Dir: t.TempDir() + "/a b%20c", Headless: true})
}

func requireSurvivesKill(t *testing.T, options devstack.TemporalOptions) {
	t.Helper()
	options.SearchAttributes = map[string]string{"GameID": "Keyword"}
	server := startTemporal(t, options)
	require.Empty(t, server.UIURL(), "headless")
	c := temporalClient(t, server, "default")
	stop := runTemporalWorker(t, c)
	done, err := c.ExecuteWorkflow(t.Context(), temporalStart("done", keyGame.ValueSet("go")), greet, "file")
	require.NoError(t, err)
	require.NoError(t, done.Get(t.Context(), nil))
	_, err = c.ExecuteWorkflow(t.Context(), temporalStart("waiting", keyGame.ValueSet("go")), awaitSignal)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // a first task cut off in the middle would be taken up again only after ten seconds
		description, err := c.DescribeWorkflowExecution(t.Context(), "waiting", "")
		return err == nil && description.WorkflowExecutionInfo.HistoryLength >= 4
	}, temporalPatience, 10*time.Millisecond)
	stop()
	require.NoError(t, server.Kill())
	require.Error(t, server.Err(), "it was killed")
	requireTemporalGone(t, server)

	options.SearchAttributes["Stage"] = "Keyword"
	again := startTemporal(t, options)
	c = temporalClient(t, again, "default")
	runTemporalWorker(t, c)
	description, err := c.DescribeWorkflowExecution(t.Context(), "done", "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, description.WorkflowExecutionInfo.Status)
	require.NoError(t, c.SignalWorkflow(t.Context(), "waiting", "", "go on", nil))
	require.NoError(t, c.GetWorkflow(t.Context(), "waiting", "").Get(t.Context(), nil))
	requireFound(t, c, `GameID = "go" and ExecutionStatus = "Completed"`, "done", "waiting")

	_, err = c.ExecuteWorkflow(t.Context(), temporalStart("later", keyStage.ValueSet("canary")), greet, "later")
	require.NoError(t, err)
	requireFound(t, c, `Stage = "canary"`, "later")
	require.NoError(t, again.Close(), "a graceful stop of a server that keeps its data")
}

// What would spoil an existing database is refused, with the reason in the error.
func TestTemporalRefusesMisuseOfFile(t *testing.T) {
	dir := t.TempDir()
	first := startTemporal(t, devstack.TemporalOptions{
		Dir: dir, Headless: true, SearchAttributes: map[string]string{"GameID": "Keyword"},
	})

	_, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Dir: dir, Headless: true})
	require.ErrorContains(t, err, "in use by another server")

	require.NoError(t, first.Close())
	_, err = devstack.StartTemporal(t.Context(), devstack.TemporalOptions{
		Dir: dir, Headless: true, SearchAttributes: map[string]string{"GameID": "Int"},
	})
	require.ErrorContains(t, err, "search attribute GameID is Keyword in the database, not Int")
}

// The settings that the dev stack has for itself can be set otherwise, and put
// back to the server's own defaults.
func TestTemporalSettings(t *testing.T) {
	for name, test := range map[string]struct {
		settings map[string]any
		pause    bool
	}{
		"the dev stack's":   {nil, true},
		"set otherwise":     {map[string]any{"frontend.workflowPauseEnabled": false}, false},
		"the server's own":  {map[string]any{"frontend.WorkflowPauseEnabled": nil}, false},
		"others left alone": {map[string]any{"history.transferProcessorMaxPollRPS": 20}, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := startTemporal(t, devstack.TemporalOptions{Headless: true, DynamicConfig: test.settings})
			c := temporalClient(t, server, "default")
			described, err := c.WorkflowService().DescribeNamespace(t.Context(),
				&workflowservice.DescribeNamespaceRequest{Namespace: "default"})
			require.NoError(t, err)
			require.Equal(t, test.pause, described.NamespaceInfo.Capabilities.WorkflowPause)
		})
	}
}

// A taken port is named, with the part of the server that wanted it.
func TestTemporalNamesTakenAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	taken := listener.Addr().String()
	for part, options := range map[string]devstack.TemporalOptions{
		"temporal":    {Address: taken},
		"temporal ui": {UIAddress: taken},
	} {
		_, err := devstack.StartTemporal(t.Context(), options)
		require.EqualError(t, err, part+": address "+taken+" is already in use")
	}
	_, err = devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Address: "example.test:7233"})
	require.ErrorContains(t, err, "must be an IP address")
}

// A start that is given up leaves nothing behind, not even on the next try at the
// same address.
func TestTemporalGivenUpStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	address := freeAddress(t)
	_, err := devstack.StartTemporal(ctx, devstack.TemporalOptions{Address: address, Headless: true})
	require.ErrorIs(t, err, context.Canceled)
	server := startTemporal(t, devstack.TemporalOptions{Address: address, Headless: true})
	require.Equal(t, address, server.Address())
}

// The variable for a ready binary is believed, and checked first.
func TestTemporalReadyBinary(t *testing.T) {
	t.Setenv("GAMEMASTER_TEMPORALD", t.TempDir()+"/absent")
	_, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{})
	require.ErrorContains(t, err, "$GAMEMASTER_TEMPORALD")

	t.Setenv("GAMEMASTER_TEMPORALD", "/bin/false")
	_, err = devstack.StartTemporal(t.Context(), devstack.TemporalOptions{})
	require.ErrorContains(t, err, "temporal ended")
}

// A server does not outlive a program that is killed with no chance to stop it.
func TestTemporalEndsWithParent(t *testing.T) {
	parent := exec.Command(os.Args[0], "-test.run=^TestTemporalParentProcess$", "-test.v")
	parent.Env = append(os.Environ(), "DEVSTACK_TEST_PARENT=1")
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if _, text, ok := strings.Cut(lines.Text(), "server="); ok {
			pid, err = strconv.Atoi(text)
			require.NoError(t, err)
		}
	}
	require.NotZero(t, pid, "the parent reports its server")
	require.True(t, alive(pid))
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return !alive(pid) }, temporalPatience, 20*time.Millisecond)
}

// TestTemporalParentProcess is no test but the parent of the test above.
func TestTemporalParentProcess(t *testing.T) {
	if os.Getenv("DEVSTACK_TEST_PARENT") == "" {
		t.Skip("runs as a child of TestTemporalEndsWithParent")
	}
	server := startTemporal(t, devstack.TemporalOptions{Headless: true})
	fmt.Printf("server=%d\n", server.PID())
	<-server.Done()
}

func greet(_ workflow.Context, name string) (string, error) { return "hello " + name, nil }

func awaitSignal(ctx workflow.Context) error {
	workflow.GetSignalChannel(ctx, "go on").Receive(ctx, nil)
	return nil
}

func temporalStart(id string, attribute temporal.SearchAttributeUpdate) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID: id, TaskQueue: temporalQueue, TypedSearchAttributes: temporal.NewSearchAttributes(attribute),
	}
}

func startTemporal(t *testing.T, o devstack.TemporalOptions) *devstack.Temporal {
	t.Helper()
	started := time.Now()
	server, err := devstack.StartTemporal(t.Context(), o)
	require.NoError(t, err)
	t.Logf("ready after %s", time.Since(started).Round(time.Millisecond))
	t.Cleanup(func() { _ = server.Close() })
	return server
}

func temporalClient(t *testing.T, server *devstack.Temporal, namespace string) client.Client {
	t.Helper()
	c, err := client.DialContext(t.Context(), client.Options{
		HostPort: server.Address(), Namespace: namespace,
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// runTemporalWorker works until the end of the test or of the returned stop.
func runTemporalWorker(t *testing.T, c client.Client) (stop func()) {
	t.Helper()
	// A waiting workflow goes to the worker that knows it, first, for this long,
	// also when that worker is gone with the server of before.
	w := worker.New(c, temporalQueue, worker.Options{StickyScheduleToStartTimeout: 100 * time.Millisecond})
	w.RegisterWorkflow(greet)
	w.RegisterWorkflow(awaitSignal)
	require.NoError(t, w.Start())
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			w.Stop()
		}
	}
	t.Cleanup(stop)
	return stop
}

// requireFound waits until exactly these workflows match: lists lag behind.
func requireFound(t *testing.T, c client.Client, query string, ids ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(ct *assert.CollectT) {
		page, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		require.NoError(ct, err)
		var found []string
		for _, execution := range page.Executions {
			found = append(found, execution.Execution.WorkflowId)
		}
		require.ElementsMatch(ct, ids, found)
	}, temporalPatience, 50*time.Millisecond)
}

func requireTemporalGone(t *testing.T, server *devstack.Temporal) {
	t.Helper()
	select {
	case <-server.Done():
	case <-time.After(temporalPatience):
		require.Fail(t, "the server has not ended")
	}
	require.False(t, alive(server.PID()), "no process is left")
}

// alive does not count a process that has ended but waits for its new parent to
// ask how, which the first process of a container may never do.
func alive(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	err := syscall.Kill(pid, 0)
	return !errors.Is(err, syscall.ESRCH) && !strings.Contains(string(status), ") Z ")
}

func httpBody(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
