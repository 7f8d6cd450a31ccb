package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds every wait of a test; it is only ever reached by a failure.
const patience = 60 * time.Second

// waitTick is how often a condition is looked at while it is waited for.
const waitTick = 20 * time.Millisecond

// process is a gamemaster that runs by itself.
type process struct {
	t       *testing.T
	command *exec.Cmd
	// lines gets what it prints, to standard output and error, line by line.
	lines chan string
	done  chan struct{}

	mu     sync.Mutex
	output strings.Builder
	err    error
}

// start runs the binary with args in environ. The test's end kills it.
func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, command: exec.Command(binary, args...), lines: make(chan string, 1000), done: make(chan struct{})}
	p.command.Env = append(os.Environ(), environ...)
	output, into, err := os.Pipe()
	require.NoError(t, err)
	p.command.Stdout, p.command.Stderr = into, into
	require.NoError(t, p.command.Start())
	require.NoError(t, into.Close())
	go p.read(output)
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("gamemaster %s:\n%s", strings.Join(args, " "), p.printed())
		}
	})
	return p
}

func (p *process) read(output *os.File) {
	defer close(p.done)
	defer output.Close()
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		p.mu.Lock()
		p.output.WriteString(scanner.Text() + "\n")
		p.mu.Unlock()
		select {
		case p.lines <- scanner.Text():
		default:
			// Nobody reads any more; the text is kept all the same.
		}
	}
	err := p.command.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

func (p *process) signal(signal syscall.Signal) { _ = p.command.Process.Signal(signal) }

// kill ends the process as a crash would, and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// exitCode waits for the end of the process.
func (p *process) exitCode() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("gamemaster did not end:\n%s", p.printed())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	require.NoError(p.t, p.err)
	return 0
}

// awaitLine waits for a line that matched says yes to, and returns it.
func (p *process) awaitLine(what string, matched func(string) bool) string {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line := <-p.lines:
			if matched(line) {
				return line
			}
		case <-p.done:
			p.t.Fatalf("gamemaster ended before it printed %s:\n%s", what, p.printed())
		case <-deadline:
			p.t.Fatalf("gamemaster never printed %s:\n%s", what, p.printed())
		}
	}
}

// awaitLog waits for the log line with that message, and returns it.
func (p *process) awaitLog(message string) map[string]any {
	p.t.Helper()
	var entry map[string]any
	p.awaitLine(message, func(line string) bool {
		entry = nil
		return json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message
	})
	return entry
}

// awaitLogUntil does something again and again until a log line has that value
// under that key.
func (p *process) awaitLogUntil(t *testing.T, key, value string, again func()) {
	t.Helper()
	require.Eventually(t, func() bool {
		again()
		for line := range strings.Lines(p.printed()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry[key] == value {
				return true
			}
		}
		return false
	}, patience, waitTick)
}

// runToEnd runs the binary and returns its exit code and what it printed.
func runToEnd(t *testing.T, environ []string, args ...string) (code int, printed string) {
	t.Helper()
	p := start(t, environ, args...)
	return p.exitCode(), p.printed()
}
