package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/telemetry"
)

// aside is a listener beside the one that a process is there for.
type aside struct {
	part, addr string
	logger     *slog.Logger
	handler    http.Handler
}

const (
	// asideHeaders bounds the wait for the headers of a request.
	asideHeaders = 5 * time.Second
	// asideAnswer bounds an answer: a CPU profile takes 30 s unless another time
	// is asked for.
	asideAnswer = 2 * time.Minute
)

// serveAside serves in the background until ctx ends; an empty address serves
// nothing. It needs no draining: who asks is not waiting for a result.
func serveAside(ctx context.Context, a aside) error {
	if a.addr == "" {
		return nil
	}
	listener, err := listen(a.part, a.addr)
	if err != nil {
		return err
	}
	a.logger.Info(a.part+" are listening", "addr", listener.Addr().String())
	server := &http.Server{Handler: a.handler, ReadHeaderTimeout: asideHeaders, ReadTimeout: asideHeaders, WriteTimeout: asideAnswer}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.logger.Error(a.part+" ended", "err", err.Error())
		}
	}()
	return nil
}

func (p *process) logger(settings config.Config) *slog.Logger {
	return telemetry.NewLogger(p.stderr, settings.LogFormat, settings.LogLevel)
}

// listen listens on addr, and names the part when somebody else does already.
func listen(part, addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: address %s is already in use", part, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", part, err)
	}
	return listener, nil
}
