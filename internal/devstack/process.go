package devstack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// processTailBytes is how much of a child's output is kept for errors: a
	// page of log, enough to hold the line that says why it ended.
	processTailBytes = 8 << 10

	// processDrain bounds the wait for the output of a child that has ended.
	// Its own children may hold the pipe open a little longer (the back ends
	// of a killed Postgres do); nobody should wait for a stuck one.
	processDrain = 3 * time.Second

	// processReap bounds the wait after SIGKILL. The kernel ends a process at
	// once unless it hangs in a disk or network call, which no wait mends.
	processReap = processDrain + 2*time.Second
)

// processOptions describes one child process.
type processOptions struct {
	// Name is what errors call the child, such as "postgres".
	Name string
	// Path is the program, Args its arguments without the program's name.
	Path string
	Args []string
	// Env is the child's whole environment; nil hands down this process's.
	Env []string
	// Dir is the working directory; empty hands down this process's.
	Dir string
	// Credential is the user to run as; nil means this process's. Only root
	// may set it.
	Credential *syscall.Credential
	// DeathSignal is what the child gets when this process dies without
	// stopping it; zero means SIGKILL. Linux only: elsewhere an orphan lives
	// on and the next start has to deal with it.
	DeathSignal syscall.Signal
	// Output gets a copy of everything the child writes; nil for none. Writes
	// come from one goroutine; their errors are ignored.
	Output io.Writer
}

// process is a running child process, in a process group of its own so that a
// Ctrl-C at the terminal reaches only the parent, which then stops its children
// in order.
type process struct {
	name string
	cmd  *exec.Cmd
	tail *tailBuffer
	done chan struct{}
	err  error // written before done is closed
}

// startProcess starts a child. The error names it and wraps the reason.
func startProcess(o processOptions) (*process, error) {
	p := &process{
		name: o.Name,
		cmd:  exec.Command(o.Path, o.Args...),
		tail: &tailBuffer{copyTo: o.Output},
		done: make(chan struct{}),
	}
	if o.DeathSignal == 0 {
		o.DeathSignal = syscall.SIGKILL
	}
	p.cmd.Env, p.cmd.Dir = o.Env, o.Dir
	p.cmd.Stdout, p.cmd.Stderr = p.tail, p.tail
	p.cmd.WaitDelay = processDrain
	p.cmd.SysProcAttr = processAttributes(o)

	started := make(chan error, 1)
	go func() {
		// The death signal fires when the *thread* that forked the child ends,
		// and Go ends idle threads as it likes: so this thread belongs to the
		// child for as long as it lives.
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.reap()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Name, err)
	}
	return p, nil
}

func (p *process) reap() {
	err := p.cmd.Wait()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		p.err = fmt.Errorf("%s ended: %w%s", p.name, err, p.tail.quoted())
	}
	close(p.done)
}

// PID returns the child's process id, also after it has ended.
func (p *process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and its output is read.
func (p *process) Done() <-chan struct{} { return p.done }

// Err returns nil while the child runs and after it ended with status 0;
// otherwise how it ended, with the last of its output.
func (p *process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Tail returns the last of what the child wrote.
func (p *process) Tail() string { return p.tail.String() }

// Signal sends sig to the child alone; nil when it has ended already.
func (p *process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", sig, p.name, err)
	}
	return nil
}

// Stop sends sig, waits up to grace for the child to end and then kills it. It
// returns nil when the child has ended by itself, now or earlier, whatever its
// exit status; an error says that it had to be killed. Safe to call again.
func (p *process) Stop(sig syscall.Signal, grace time.Duration) error {
	if err := p.Signal(sig); err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	if err := p.Kill(); err != nil {
		return err
	}
	return fmt.Errorf("%s did not stop within %s of %s and was killed", p.name, grace, sig)
}

// Kill sends SIGKILL to the child and its process group and waits for the end.
// Safe to call again.
func (p *process) Kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	// The group as well: a child's helper must not outlive it. No such group
	// means that all of it has ended.
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	timer := time.NewTimer(processReap)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("%s (pid %d) is still there %s after SIGKILL", p.name, p.PID(), processReap)
	}
}

// tailBuffer keeps the last processTailBytes written to it.
type tailBuffer struct {
	mu     sync.Mutex
	last   []byte
	copyTo io.Writer
}

func (b *tailBuffer) Write(chunk []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = append(b.last, chunk...)
	if over := len(b.last) - processTailBytes; over > 0 {
		b.last = append(b.last[:0], b.last[over:]...)
	}
	if b.copyTo != nil {
		_, _ = b.copyTo.Write(chunk)
	}
	return len(chunk), nil
}

// String returns the kept output without a first line that was cut in two.
func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.last
	if len(last) == processTailBytes {
		if _, rest, cut := bytes.Cut(last, []byte("\n")); cut {
			last = rest
		}
	}
	return strings.TrimSpace(string(last))
}

// quoted returns the kept output as the end of an error message.
func (b *tailBuffer) quoted() string {
	if text := b.String(); text != "" {
		return "; it wrote:\n" + text
	}
	return ""
}
