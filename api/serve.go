package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve serves on listener, which it closes, until ctx ends or the listener
// fails. At the end of ctx /readyz says "draining", whoever waits for a patch
// gets its 202 at once (the patch goes on; the answer says where to look), and
// the other requests get bounded time to finish. It returns nil when all of
// them did, and an error when some had to be cut off or the listener failed.
//
// A server that is for loopback only refuses a listener that is not there.
func (server *Server) Serve(ctx context.Context, listener net.Listener) error {
	if server.loopbackOnly && !onLoopback(listener.Addr()) {
		_ = listener.Close()
		return fmt.Errorf("serve rest on %s: this server is for development, on loopback addresses only", listener.Addr())
	}
	httpServer := &http.Server{
		Handler:           server,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		TLSConfig:         server.tls,
		// A client that reads nothing at all holds up even the frame that would
		// end its stream: then the connection ends.
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: answerTimeout},
		ErrorLog: slog.NewLogLogger(server.logger.Handler(), slog.LevelWarn),
	}
	// Said once at the start: what is missing shows before the first request
	// meets it.
	go func() { server.readiness.logChange(server.logger, server.readiness.report()) }()
	ended := make(chan error, 1)
	go func() {
		if server.tls != nil {
			// The certificate is in the configuration.
			ended <- httpServer.ServeTLS(listener, "", "")
			return
		}
		ended <- httpServer.Serve(listener)
	}()

	select {
	case err := <-ended:
		ended <- err // for the end, like one that comes later
	case <-ctx.Done():
	}
	server.stop()
	server.limp(httpServer, ended)

	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	var failure error
	if err := httpServer.Shutdown(bounded); err != nil {
		_ = httpServer.Close()
		failure = fmt.Errorf("requests were cut off after %s: %w", drainTimeout, err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		failure = errors.Join(failure, err)
	}
	if failure != nil {
		return fmt.Errorf("serve rest: %w", failure)
	}
	return nil
}

// limp keeps accepting for the lame duck time, or until there is nothing to
// accept from.
func (server *Server) limp(httpServer *http.Server, ended chan error) {
	if server.lameDuck == 0 {
		return
	}
	// Clients with a kept connection have to come back on a new one, which a
	// load balancer will give to another server.
	httpServer.SetKeepAlivesEnabled(false)
	timer := time.NewTimer(server.lameDuck)
	defer timer.Stop()
	select {
	case err := <-ended:
		ended <- err
	case <-timer.C:
	}
}

// onLoopback reports whether only this machine can reach addr. What is not
// TCP (a Unix socket, a pipe) is guarded by the machine itself.
func onLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}
