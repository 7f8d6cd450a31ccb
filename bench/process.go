package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	goruntime "runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// readyTimeout bounds the start of one process: it takes a quarter of a
	// second, and the rest is for a machine that is busy otherwise.
	readyTimeout = 30 * time.Second
	// readyEvery is the pause between two looks at what a starting process wrote.
	readyEvery = 10 * time.Millisecond
	// stopGrace is what a process gets to end by itself; a worker of the product
	// takes up to ten seconds to hand back its steps.
	stopGrace = 15 * time.Second
	// logTail is how much of a log an error shows.
	logTail = 2 << 10
)

// command is a process to be started.
type command struct {
	// role is what tables and errors call it: api, worker, both.
	role string
	path string
	args []string
	// environ is added to this process's environment, without what would configure
	// the product.
	environ []string
	// ready is what it writes when it has started; its first group, if it has one,
	// is the address.
	ready *regexp.Regexp
}

// process is a running command. Its output goes to a file, which costs this
// process nothing while it measures.
type process struct {
	command
	address string
	log     string
	cmd     *exec.Cmd
	done    chan struct{}
}

// start starts the command and waits until it is ready.
func start(ctx context.Context, c command, log string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own
	p := &process{command: c, log: log, cmd: exec.Command(c.path, c.args...), done: make(chan struct{})}
	p.cmd.Env = append(environ(), c.environ...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.SysProcAttr = processAttributes()
	started := make(chan error, 1)
	go func() {
		// The death signal comes when the thread ends that started the child, so
		// that the thread has to live as long.
		goruntime.LockOSThread()
		defer goruntime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.role, err)
	}
	if err := p.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	for {
		text, err := os.ReadFile(p.log)
		if err != nil {
			return err
		}
		if match := p.ready.FindSubmatch(text); match != nil {
			if len(match) > 1 {
				p.address = string(match[1])
			}
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready; it wrote:\n%s", p.role, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not get ready: %w; it wrote:\n%s", p.role, ctx.Err(), p.tail())
		case <-ticker.C:
		}
	}
}

// stop tells the process to end, waits, and kills it when that takes too long.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("%s did not end within %s and was killed; it wrote:\n%s", p.role, stopGrace, p.tail())
}

func (p *process) tail() string {
	text, _ := os.ReadFile(p.log)
	return string(bytes.TrimSpace(text[max(0, len(text)-logTail):]))
}

// environ is this process's environment without what would configure the product.
func environ() []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "GAMEMASTER_") || strings.HasPrefix(name, "TEMPORAL_") || strings.HasPrefix(name, "OTEL_") ||
			strings.HasPrefix(name, "PG") || name == "DATABASE_URL" || name == "RTM_URL" {
			continue
		}
		kept = append(kept, variable)
	}
	return kept
}
