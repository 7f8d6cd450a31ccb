package rtmsim_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// start runs sim until stop is called and returns where it listens.
func start(t *testing.T, sim *rtmsim.Simulator, addr string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	addresses, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- sim.Run(ctx, rtmsim.RunOptions{Addr: addr, Started: func(bound net.Addr) { addresses <- bound }})
	}()
	select {
	case bound := <-addresses:
		return "http://" + bound.String(), func() error { cancel(); return <-ended }
	case err := <-ended:
		cancel()
		t.Fatalf("Run(%s): %v", addr, err)
		return "", nil
	}
}

// Run serves until its ctx ends, then ends the held requests and returns; the
// same simulator can be served again, as a manager that was restarted.
func TestRunStopsAndStartsAgain(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	for _, mode := range []string{"hang", "slow"} {
		b.put("patch", mode, `,"delay_ms":2500`)
		url, stop := start(t, b.sim, "127.0.0.1:0")
		transport := &http.Transport{}
		served := &bench{T: t, sim: b.sim, url: url, client: &http.Client{Transport: transport}}
		served.wantAnswer(served.ask("GET", contract+game, ""), 200, container(oldImage, "running"))
		call := served.send("k-" + mode)
		<-stopped.waits
		if err := stop(); err != nil {
			t.Errorf("%s: Run = %v, want nil after a stop", mode, err)
		}
		if err := <-call.ended; err == nil {
			t.Errorf("%s: the held request was answered", mode)
		}
		call.leave()
		transport.CloseIdleConnections()
		b.wantRuntime(oldImage, 0)
	}
}

// There is no authentication, so nobody but this machine is let in unless told,
// and nothing has listened when it says no.
func TestRunRefusesRemoteAddresses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, addr := range []string{"", ":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0"} {
		options := rtmsim.RunOptions{Addr: addr, Started: func(bound net.Addr) { t.Errorf("listened on %s", bound) }}
		if err := rtmsim.New().Run(ctx, options); !errors.Is(err, rtmsim.ErrNotLoopback) {
			t.Errorf("Run(%q) = %v, want ErrNotLoopback", addr, err)
		}
	}
	for _, addr := range []string{"nonsense", "127.0.0.1", "127.0.0.1:99999"} {
		if err := rtmsim.New().Run(ctx, rtmsim.RunOptions{Addr: addr}); err == nil || errors.Is(err, rtmsim.ErrNotLoopback) {
			t.Errorf("Run(%q) = %v, want an error of the address", addr, err)
		}
	}
	listened := false
	err := rtmsim.New().Run(ctx, rtmsim.RunOptions{
		Addr: "0.0.0.0:0", AllowRemote: true, Started: func(net.Addr) { listened = true },
	})
	if err != nil || !listened {
		t.Errorf("AllowRemote: Run = %v, listened = %t", err, listened)
	}
}

func TestRunReportsAnAddressInUse(t *testing.T) {
	sim := rtmsim.New()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if err := sim.Run(t.Context(), rtmsim.RunOptions{Addr: listener.Addr().String()}); err == nil {
		t.Error("two listen on one address")
	}
}

// Serve ends with an error when its listener does.
func TestServeReportsABrokenListener(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := rtmsim.New().Serve(t.Context(), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve = %v, want net.ErrClosed", err)
	}
}
