package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// termGrace is what a process gets to end by itself: a worker hands its
	// steps back, an API lets its callers go.
	termGrace = 20 * time.Second
	// killGrace bounds the wait for a process that was killed. It can do nothing
	// about its end, so that only the kernel and a busy machine take time; and the
	// wait for it may last outputDrain longer, while a child has its output open.
	killGrace = 30 * time.Second
	// respawnPause keeps a process that cannot start from being started as fast
	// as the machine can.
	respawnPause = 100 * time.Millisecond
	// outputDrain bounds the wait for the output of a process that has ended.
	outputDrain = 2 * time.Second
)

// processOptions describe one process of the product.
type processOptions struct {
	// Name is what logs and errors call it.
	Name string
	// Binary is the program. Args are asked for at every start, so that a
	// process comes back at the address that it had.
	Binary string
	Args   func() []string
	// Environ is the whole environment.
	Environ []string
	// Supervised has the process started again whenever it ends without having
	// been told to.
	Supervised bool
	// Log keeps what it writes, over all its lives.
	Log *logBook
}

// Process is one process of the product, over all its lives. All methods are
// safe for concurrent use.
type Process struct {
	options processOptions

	mu   sync.Mutex
	life *life
	// wanted says that the process is meant to run.
	wanted bool
	deaths int
	keeper sync.WaitGroup
}

// life is one run of the program.
type life struct {
	command *exec.Cmd
	done    chan struct{}
}

// newProcess describes a process that does not run yet.
func newProcess(options processOptions) *Process { return &Process{options: options} }

// Name returns what logs call it.
func (p *Process) Name() string { return p.options.Name }

// PID returns the process id of the life that is, or was last; zero before the
// first.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil {
		return 0
	}
	return p.life.command.Process.Pid
}

// Deaths counts the lives that ended without having been told to.
func (p *Process) Deaths() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deaths
}

// Start starts the process, if it does not run.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
	if p.life != nil && !p.life.ended() {
		return nil
	}
	return p.spawn()
}

// spawn begins a life. The caller holds mu.
func (p *Process) spawn() error {
	command := exec.Command(p.options.Binary, p.options.Args()...)
	command.Env = p.options.Environ
	command.Stdout, command.Stderr = p.options.Log, p.options.Log
	command.SysProcAttr = processAttributes()
	command.WaitDelay = outputDrain
	l := &life{command: command, done: make(chan struct{})}
	started := make(chan error, 1)
	p.keeper.Go(func() {
		// The death signal comes when the thread ends that started the child, so
		// that the thread has to live as long.
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err != nil {
			return
		}
		// How it ended is in its log.
		_ = command.Wait()
		close(l.done)
		p.respawn(l)
	})
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.options.Name, err)
	}
	p.life = l
	return nil
}

// respawn starts the process again, when it ended without having been told to.
func (p *Process) respawn(ended *life) {
	p.mu.Lock()
	surprise := p.wanted && p.life == ended
	if surprise {
		p.deaths++
	}
	p.mu.Unlock()
	if !surprise || !p.options.Supervised {
		return
	}
	time.Sleep(respawnPause)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted && p.life == ended {
		if err := p.spawn(); err != nil {
			_, _ = fmt.Fprintln(p.options.Log, err)
		}
	}
}

func (l *life) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// Crash kills the process and lets its supervisor start it again, as if it had
// died by itself.
func (p *Process) Crash() error {
	l := p.current()
	if l == nil {
		return fmt.Errorf("%s does not run", p.options.Name)
	}
	return l.kill()
}

// Kill kills the process and keeps it down until Start.
func (p *Process) Kill() error { return p.stop(syscall.SIGKILL, killGrace) }

// Term tells the process to stop, waits for its end and keeps it down until
// Start. It is an error when it has to be killed.
func (p *Process) Term() error { return p.stop(syscall.SIGTERM, termGrace) }

// Restart is Term and Start.
func (p *Process) Restart() error { return errors.Join(p.Term(), p.Start()) }

// Pause stops the process where it stands; its connections stay open. Resume
// lets it go on, with whatever it believed when it was stopped.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil || p.life.ended() {
		return nil
	}
	return p.life
}

func (p *Process) signal(signal syscall.Signal) error {
	l := p.current()
	if l == nil {
		return fmt.Errorf("send %s to %s: it does not run", signal, p.options.Name)
	}
	return l.command.Process.Signal(signal)
}

func (p *Process) stop(signal syscall.Signal, grace time.Duration) error {
	p.mu.Lock()
	p.wanted = false
	l := p.life
	p.mu.Unlock()
	if l == nil || l.ended() {
		return nil
	}
	if err := l.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", signal, p.options.Name, err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-l.done:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("%s did not end within %s of %s", p.options.Name, grace, signal), l.kill())
	}
}

// kill ends the life at once. A stopped process dies of it as well.
func (l *life) kill() error {
	if err := l.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-l.done
	return nil
}

// close ends the process for good.
func (p *Process) close() error {
	err := p.Kill()
	p.keeper.Wait()
	return err
}

// awaitLog waits for a line of the process's log, from the place after on, that
// matches, and returns it.
func (p *Process) awaitLog(ctx context.Context, after int, matches func(line string) bool) (string, error) {
	for {
		text, changed := p.options.Log.since(after)
		for line := range strings.Lines(text) {
			if strings.HasSuffix(line, "\n") && matches(line) {
				return line, nil
			}
		}
		l := p.current()
		if l == nil && !p.options.Supervised {
			return "", fmt.Errorf("%s ended before it was ready:\n%s", p.options.Name, p.options.Log.tail(maxTail))
		}
		select {
		case <-changed:
		case <-time.After(longestLook):
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not get ready: %w; it wrote:\n%s", p.options.Name, context.Cause(ctx), p.options.Log.tail(maxTail))
		}
	}
}

// environ returns this process's environment without what would configure the
// product, followed by own.
func environ(own ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "GAMEMASTER_") || strings.HasPrefix(name, "TEMPORAL_") ||
			strings.HasPrefix(name, "PG") || name == "DATABASE_URL" || name == "RTM_URL" {
			continue
		}
		kept = append(kept, variable)
	}
	return append(kept, own...)
}
