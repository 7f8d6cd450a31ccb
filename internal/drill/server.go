package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
)

// running is a server as package devstack starts it.
type running interface {
	PID() int
	Kill() error
	Close() error
}

// Server is a server that the product needs, over all its lives. It comes back
// at the same address with its data. All methods are safe for concurrent use.
type Server struct {
	name string
	// durable says that the data survives a life.
	durable bool
	// hasty says that its last life may end as a crash: nothing reads what it
	// would still write.
	hasty bool
	start func(context.Context) (running, error)

	mu   sync.Mutex
	life running
}

// Start starts the server, if it does not run.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life != nil {
		return nil
	}
	started, err := s.start(ctx)
	if err != nil {
		return err
	}
	s.life = started
	return nil
}

// Kill ends the server as a crash would, and keeps it down until Start.
func (s *Server) Kill() error {
	return s.end(func(life running) error { return errors.Join(life.Kill(), life.Close()) })
}

// Stop ends the server in good order, and keeps it down until Start.
func (s *Server) Stop() error { return s.end(running.Close) }

func (s *Server) end(how func(running) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.life == nil:
		return nil
	case !s.durable:
		return fmt.Errorf("%s keeps nothing, so that it cannot be stopped: the stack has to be durable", s.name)
	}
	err := how(s.life)
	s.life = nil
	return err
}

// Pause stops the server with all its children where they stand; connections
// stay open.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		return fmt.Errorf("send %s to %s: it does not run", signal, s.name)
	}
	pid := s.life.PID()
	err := syscall.Kill(pid, signal)
	for _, child := range children(pid) {
		if told := syscall.Kill(child, signal); !errors.Is(told, syscall.ESRCH) {
			err = errors.Join(err, told)
		}
	}
	return err
}

// close ends the server for good.
func (s *Server) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		return nil
	}
	// One that is paused would not hear it. That it may have ended is no fault.
	_ = syscall.Kill(s.life.PID(), syscall.SIGCONT)
	var err error
	if s.hasty {
		err = s.life.Kill()
	}
	err = errors.Join(err, s.life.Close())
	s.life = nil
	return err
}
