package devstack

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell starts a child that says "ready" when its traps are set.
func shell(t *testing.T, script string) *process {
	t.Helper()
	ready := &lineSignal{want: "ready", seen: make(chan struct{})}
	child, err := startProcess(processOptions{Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, Output: ready})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, child.Kill()) })
	select {
	case <-ready.seen:
	case <-child.Done():
	}
	return child
}

// lineSignal closes seen when it was written the wanted word.
type lineSignal struct {
	want string
	seen chan struct{}
	all  bytes.Buffer
}

func (l *lineSignal) Write(chunk []byte) (int, error) {
	had := strings.Contains(l.all.String(), l.want)
	l.all.Write(chunk)
	if !had && strings.Contains(l.all.String(), l.want) {
		close(l.seen)
	}
	return len(chunk), nil
}

// Proves that a child that ends by itself says how, with its last words.
func TestProcessEnds(t *testing.T) {
	child := shell(t, "echo gone wrong >&2; exit 7")
	<-child.Done()
	require.EqualError(t, child.Err(), "shell ended: exit status 7; it wrote:\ngone wrong")
	require.NoError(t, child.Stop(syscall.SIGTERM, time.Minute), "stopping what has ended is no error")
	require.NoError(t, child.Kill())

	child = shell(t, "exit 0")
	<-child.Done()
	require.NoError(t, child.Err())
}

// Proves that a program that does not exist is named.
func TestProcessCannotStart(t *testing.T) {
	_, err := startProcess(processOptions{Name: "ghost", Path: "/no/such/program"})
	require.ErrorContains(t, err, "start ghost: ")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Proves that an orderly child is let finish, and a deaf one is killed.
func TestProcessStop(t *testing.T) {
	polite := shell(t, "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
	require.NoError(t, polite.Err(), "it runs")
	require.NoError(t, polite.Stop(syscall.SIGTERM, time.Minute))
	require.NoError(t, polite.Err())
	require.Equal(t, "ready\nbye", polite.Tail())

	deaf := shell(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	require.EqualError(t, deaf.Stop(syscall.SIGTERM, 20*time.Millisecond), "shell did not stop within 20ms of terminated and was killed")
	<-deaf.Done()
	require.ErrorContains(t, deaf.Err(), "signal: killed")
	require.NoError(t, deaf.Stop(syscall.SIGTERM, time.Minute))
}

// Proves that a kill takes the child's own children along.
func TestProcessKillTakesTheGroup(t *testing.T) {
	child := shell(t, "sleep 600 & echo pid $!; echo ready; wait")
	var grandchild int
	_, err := fmt.Sscanf(child.Tail(), "pid %d", &grandchild)
	require.NoError(t, err)
	require.NoError(t, child.Kill())
	require.Eventually(t, func() bool { return processCommand(grandchild) == "" }, time.Minute, 5*time.Millisecond)
}

// Proves that only the end of a long output is kept, from the start of a line.
func TestProcessTail(t *testing.T) {
	child := shell(t, "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done")
	<-child.Done()
	tail := child.Tail()
	require.LessOrEqual(t, len(tail), processTailBytes)
	require.True(t, strings.HasSuffix(tail, "\nline 2999"), tail)
	require.Regexp(t, `^line \d+\n`, tail)
}

// TestProcessParent is not a test: it is the parent that the test below kills.
func TestProcessParent(t *testing.T) {
	if os.Getenv("GAMEMASTER_TEST_PROCESS_PARENT") == "" {
		t.Skip("started by another test")
	}
	child, err := startProcess(processOptions{Name: "sleep", Path: "/bin/sleep", Args: []string{"600"}})
	require.NoError(t, err)
	fmt.Println("CHILD", child.PID())
	// Make the runtime end threads: a child tied to any of them would die.
	for range 64 {
		done := make(chan struct{})
		go func() {
			goruntime.LockOSThread() // never unlocked: the thread ends
			close(done)
		}()
		<-done
	}
	select {
	case <-child.Done():
		fmt.Println("CHILD DIED", child.Err())
	case <-time.After(100 * time.Millisecond):
		fmt.Println("CHILD LIVES")
	}
	<-child.Done()
}

// Proves that a child outlives the threads of its parent but not the parent,
// not even one that is killed.
func TestProcessDiesWithItsParent(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("only Linux has a death signal")
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestProcessParent$")
	parent.Env = append(os.Environ(), "GAMEMASTER_TEST_PROCESS_PARENT=1")
	output, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	pid, verdict := 0, ""
	for lines := bufio.NewScanner(output); verdict == "" && lines.Scan(); {
		line := lines.Text()
		if text, found := strings.CutPrefix(line, "CHILD "); found && pid == 0 {
			pid, err = strconv.Atoi(text)
			require.NoError(t, err)
		} else if found {
			verdict = line
		}
	}
	require.Equal(t, "CHILD LIVES", verdict)
	require.Contains(t, processCommand(pid), "sleep")
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Eventually(t, func() bool { return processCommand(pid) == "" }, time.Minute, 5*time.Millisecond)
}
