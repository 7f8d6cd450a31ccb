package workerfault_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/internal/devstack/workerfault"
	"galaxy/gamemaster/internal/domain/patch"
)

// childVariable makes this binary a worker process instead of the tests.
const childVariable = "WORKERFAULT_TEST_CHILD"

// patience bounds every wait; buildBudget the first build of the server.
const (
	patience    = time.Minute
	buildBudget = 20 * time.Minute
)

var (
	startOnce = sync.OnceValues(func() (*devstack.Temporal, error) {
		ctx, cancel := context.WithTimeout(context.Background(), buildBudget)
		defer cancel()
		return devstack.StartTemporal(ctx, devstack.TemporalOptions{Headless: true})
	})
	startedMu sync.Mutex
	started   *devstack.Temporal
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	status := m.Run()
	startedMu.Lock()
	server := started
	startedMu.Unlock()
	if server != nil {
		if err := server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "workerfault:", err)
			status = max(status, 1)
		}
	}
	os.Exit(status)
}

// temporalServer is the real server that the tests share.
func temporalServer(t *testing.T) *devstack.Temporal {
	t.Helper()
	server, err := startOnce()
	require.NoError(t, err)
	startedMu.Lock()
	defer startedMu.Unlock()
	started = server
	return server
}

func dial(address string) (client.Client, error) {
	return client.Dial(client.Options{HostPort: address, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
}

// work is a worker process: it polls until its parent closes the standard input.
func work() error {
	c, err := dial(os.Getenv("TEMPORAL_ADDRESS"))
	if err != nil {
		return err
	}
	defer c.Close()
	dir := os.Getenv(childVariable)
	faults, err := workerfault.New(filesIn(dir))
	if err != nil {
		return err
	}
	w := worker.New(c, filepath.Base(dir), worker.Options{
		Interceptors: []interceptor.WorkerInterceptor{faults},
		// A run whose worker was killed is not kept for it for longer.
		StickyScheduleToStartTimeout: 100 * time.Millisecond,
	})
	w.RegisterWorkflow(walk)
	w.RegisterActivity(&steps{dir})
	if err := w.Start(); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	w.Stop()
	return err
}

// filesIn returns the plan and the journal of a test.
func filesIn(dir string) workerfault.Files {
	return workerfault.Files{Plan: filepath.Join(dir, "plan"), Journal: filepath.Join(dir, "journal")}
}

// steps leave a line behind when they are run.
type steps struct{ dir string }

func (s *steps) note(name string) error {
	file, err := os.OpenFile(filepath.Join(s.dir, "effects"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, name)
	return errors.Join(err, file.Close())
}

// First is a step that succeeds.
func (s *steps) First(context.Context) (string, error) { return "first", s.note("First") }

// Second is another one.
func (s *steps) Second(context.Context) (string, error) { return "second", s.note("Second") }

// Broken is a step that fails for good.
func (s *steps) Broken(context.Context) (string, error) {
	if err := s.note("Broken"); err != nil {
		return "", err
	}
	return "", temporal.NewNonRetryableApplicationError("no", "refused", nil)
}

// journey is the argument of walk.
type journey struct {
	Local bool
	// Attempt bounds one attempt.
	Attempt time.Duration
	// Steps are run one after the other.
	Steps []string
}

// walk runs the steps and returns what they answered.
func walk(ctx workflow.Context, j journey) ([]string, error) {
	retries := &temporal.RetryPolicy{InitialInterval: 10 * time.Millisecond, BackoffCoefficient: 1, MaximumAttempts: 5}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: j.Attempt, RetryPolicy: retries})
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		// Left out, it would be that of one attempt.
		ScheduleToCloseTimeout: patience,
		StartToCloseTimeout:    j.Attempt, RetryPolicy: retries,
	})
	var s *steps
	functions := map[string]any{"First": s.First, "Second": s.Second, "Broken": s.Broken}
	var answers []string
	for _, name := range j.Steps {
		var answer string
		run := workflow.ExecuteActivity
		if j.Local {
			run = workflow.ExecuteLocalActivity
		}
		if err := run(ctx, functions[name]).Get(ctx, &answer); err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// bench is a directory with a plan, a journal and what the steps leave behind.
type bench struct {
	*testing.T
	dir  string
	game string
}

func newBench(t *testing.T, faults ...workerfault.Fault) *bench {
	t.Helper()
	b := &bench{T: t, dir: t.TempDir(), game: "game-1"}
	require.NoError(t, workerfault.WritePlan(filesIn(b.dir).Plan, faults...))
	return b
}

// effects returns the steps that were run, in order.
func (b *bench) effects() []string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "effects"))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(b, err)
	}
	return strings.Fields(string(text))
}

func (b *bench) journal() []workerfault.Entry {
	b.Helper()
	entries, err := workerfault.ReadJournal(filesIn(b.dir).Journal)
	require.NoError(b, err)
	return entries
}

// start starts the walk of the bench's game on the real server; its tasks are
// polled for by nobody else.
func (b *bench) start(j journey) (client.Client, client.WorkflowRun) {
	b.Helper()
	c, err := dial(temporalServer(b.T).Address())
	require.NoError(b, err)
	b.Cleanup(c.Close)
	queue := filepath.Base(b.dir) + "-" + strings.ReplaceAll(b.Name(), "/", "-")
	require.NoError(b, os.Rename(b.dir, filepath.Join(filepath.Dir(b.dir), queue)))
	b.dir = filepath.Join(filepath.Dir(b.dir), queue)
	b.game = queue
	run, err := c.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{
		ID: patch.WorkflowID(b.game), TaskQueue: queue,
		WorkflowTaskTimeout: time.Second, // after which the task of a killed worker is given to another
	}, walk, j)
	require.NoError(b, err)
	return c, run
}

// child is a worker process.
type child struct {
	*exec.Cmd
	ended chan struct{}
}

// work starts a worker process that ends with the test.
func (b *bench) work() *child {
	b.Helper()
	c := &child{exec.Command(os.Args[0]), make(chan struct{})}
	c.Env = append(os.Environ(), childVariable+"="+b.dir, "TEMPORAL_ADDRESS="+temporalServer(b.T).Address())
	c.Stderr = os.Stderr
	stdin, err := c.StdinPipe()
	require.NoError(b, err)
	stdout, err := c.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, c.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(b, err)
	require.Equal(b, "ready\n", line)
	go func() { _ = c.Wait(); close(c.ended) }()
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = c.Process.Signal(syscall.SIGCONT)
		<-c.ended
	})
	return c
}

// awaitKill waits until the process was ended by SIGKILL.
func (c *child) awaitKill(t *testing.T) {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		require.Fail(t, "the worker was not killed")
	}
	status := c.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, status.Signaled(), c.ProcessState)
	require.Equal(t, syscall.SIGKILL, status.Signal())
}
