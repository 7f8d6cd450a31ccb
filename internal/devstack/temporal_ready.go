package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"
)

const (
	// temporalStartTimeout bounds one start. An idle machine needs a second;
	// one that builds and tests on every core has been seen to need ten.
	temporalStartTimeout = 60 * time.Second

	// temporalProbeEvery is the pause between two looks at a starting server:
	// short beside its start, long beside the cost of a look.
	temporalProbeEvery = 20 * time.Millisecond

	// temporalProbeTimeout bounds one look, so that a call stuck in a
	// half-started server does not use up the whole start.
	temporalProbeTimeout = 2 * time.Second
)

// temporalAddress returns the wanted address, or a free one, after a look whether
// it can be had. Naming the part here beats a server that dies of it.
func temporalAddress(part, wanted string) (string, error) {
	if wanted == "" {
		address, err := temporalFreeAddress()
		if err != nil {
			return "", fmt.Errorf("%s: find a free port: %w", part, err)
		}
		return address, nil
	}
	ip, port, err := temporalSplit(wanted)
	if err != nil {
		return "", fmt.Errorf("%s: %w", part, err)
	}
	address := net.JoinHostPort(ip, port)
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", fmt.Errorf("%s: address %s is already in use", part, address)
	}
	if err != nil {
		return "", fmt.Errorf("%s: listen on %s: %w", part, address, err)
	}
	return address, listener.Close()
}

// temporalSplit takes an address apart. A server binds to IP addresses, so a name
// other than localhost is refused here rather than by the server.
func temporalSplit(address string) (ip, port string, err error) {
	ip, port, err = net.SplitHostPort(address)
	if err != nil {
		return "", "", err
	}
	if ip == "localhost" {
		ip = temporalLoopback
	}
	if net.ParseIP(ip) == nil {
		return "", "", fmt.Errorf("address %s: the host must be an IP address or localhost", address)
	}
	return ip, port, nil
}

// temporalFreeAddress asks the kernel for a free loopback port and makes it rest:
// a connection closed first by the listening side leaves the port in TIME_WAIT,
// where the kernel gives it to nobody who asks for any free port, while a server
// that names it may listen on it.
func temporalFreeAddress() (string, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(temporalLoopback, "0"))
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	address := listener.Addr().String()
	out, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = out.Close() }()
	in, err := listener.Accept()
	if err != nil {
		return "", err
	}
	return address, in.Close()
}

// awaitReady returns once the server can be worked with: the frontend is healthy
// and knows the namespace, the UI answers, and both listeners are our child's.
func (t *Temporal) awaitReady(ctx context.Context, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, temporalStartTimeout)
	defer cancel()
	probes := []func(context.Context) error{t.probeOwner, t.probeFrontend(namespace)}
	if t.uiAddress != "" {
		probes = append(probes, t.probeUI)
	}
	for _, probe := range probes {
		if err := t.await(ctx, probe); err != nil {
			return err
		}
	}
	return nil
}

// await repeats a probe until it succeeds, the child ends or the time is over.
func (t *Temporal) await(ctx context.Context, probe func(context.Context) error) error {
	ticker := time.NewTicker(temporalProbeEvery)
	defer ticker.Stop()
	for {
		probeCtx, cancel := context.WithTimeout(ctx, temporalProbeTimeout)
		err := probe(probeCtx)
		cancel()
		if err == nil || errors.Is(err, errTemporalPortLost) {
			return err
		}
		select {
		case <-t.process.Done():
			return t.temporalEnded()
		case <-ctx.Done():
			return fmt.Errorf("temporal at %s did not become ready: %w; last: %w%s", t.address, ctx.Err(), err,
				t.process.tail.quoted())
		case <-ticker.C:
		}
	}
}

// probeOwner waits for listeners at the addresses and refuses those of another
// process: between the look for a free port and the server's start someone else,
// perhaps another Temporal, may have come first, and every later probe would be
// happy with it.
func (t *Temporal) probeOwner(ctx context.Context) error {
	for _, address := range []string{t.address, t.uiAddress} {
		if address == "" {
			continue
		}
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		_ = conn.Close()
		if !listensAt(t.PID(), address) {
			return fmt.Errorf("%w: %s answers for another process", errTemporalPortLost, address)
		}
	}
	return nil
}

// probeFrontend asks for the frontend's health, then for the namespace.
func (t *Temporal) probeFrontend(namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := client.DialContext(ctx, client.Options{
			HostPort:  t.address,
			Namespace: namespace,
			Logger:    temporallog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		})
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.CheckHealth(ctx, &client.CheckHealthRequest{}); err != nil {
			return err
		}
		_, err = c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
		if err != nil {
			return err
		}
		// The server's own cache of namespaces, which starting a workflow goes
		// through, is read later than the table behind it.
		_, err = c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: namespace})
		return err
	}
}

// probeUI asks for the UI's own health.
func (t *Temporal) probeUI(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.UIURL()+"/healthz", nil)
	if err != nil {
		return err
	}
	// Not the default transport: its proxies and idle connections are the
	// program's, not ours.
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("temporal ui answers %s", response.Status)
	}
	return nil
}
