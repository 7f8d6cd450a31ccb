package rtmsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	// grace is how long requests may take to end after the stop. Those that a
	// fault holds are cut off at once, so nothing is left that takes long.
	grace = 5 * time.Second

	// writeTimeout outlasts the longest fault, or it would end it.
	writeTimeout = maxWait + time.Minute
)

// ErrNotLoopback says that [Simulator.Run] was given an address which others
// could reach.
var ErrNotLoopback = errors.New("the simulator has no authentication and listens on loopback addresses only, unless told otherwise")

// RunOptions says where [Simulator.Run] listens.
type RunOptions struct {
	// Addr is host:port; port 0 asks the kernel for a free one.
	Addr string
	// AllowRemote permits an address that is not loopback. Whoever reaches it
	// can then rewrite every container and fault.
	AllowRemote bool
	// Started, when not nil, is called with the bound address before the first
	// request is served.
	Started func(net.Addr)
}

// Run listens on options.Addr and serves until ctx ends; see Serve. It returns
// an error that wraps [ErrNotLoopback] before it has listened anywhere.
func (s *Simulator) Run(ctx context.Context, options RunOptions) error {
	// The name is resolved once, so that what was checked is what is bound.
	address, err := net.ResolveTCPAddr("tcp", options.Addr)
	if err != nil {
		return fmt.Errorf("run simulator: %w", err)
	}
	if !options.AllowRemote && !address.IP.IsLoopback() {
		return fmt.Errorf("run simulator on %q: %w", options.Addr, ErrNotLoopback)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address.String())
	if err != nil {
		return fmt.Errorf("run simulator: %w", err)
	}
	if options.Started != nil {
		options.Started(listener.Addr())
	}
	return s.Serve(ctx, listener)
}

// Serve answers requests from listener, which it closes, until ctx ends; then
// it cuts off the requests that a fault holds, lets the others finish for up to
// five seconds and returns nil. The simulator itself stays open and may be
// served again, as a Runtime Manager that was restarted. Who reaches listener
// is the caller's decision.
func (s *Simulator) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute, // longer than a client's, which should close first
		MaxHeaderBytes:    64 << 10,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.WithoutCancel(ctx), stopKey{}, ctx.Done())
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve simulator: %w", err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(limited)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop simulator: %w", err), server.Close())
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve simulator: %w", ended))
	}
	return err
}

// stopKey leads to the channel that closes when the server is to stop. The
// request's own ctx will not do for that: it also ends when the client goes,
// which a slow recreate must survive.
type stopKey struct{}

func stopping(r *http.Request) <-chan struct{} {
	stop, _ := r.Context().Value(stopKey{}).(<-chan struct{})
	return stop
}
