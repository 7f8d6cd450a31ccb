package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// listenTimeout is how long the two listeners may take to come up once their services said they started; they are up
// within milliseconds or never.
const listenTimeout = 10 * time.Second

// checkAddressesFree refuses a taken address before anything is started. Without it the server would log a long
// configuration dump and die, and the UI would leave a half-started process.
func checkAddressesFree(o *options) error {
	if err := checkFree("temporal", o.address()); err != nil {
		return err
	}
	for _, port := range []int{o.httpPort, o.metricsPort} {
		if port == 0 {
			continue
		}
		if err := checkFree("temporal", hostPort(o.ip, port)); err != nil {
			return err
		}
	}
	if o.headless {
		return nil
	}
	return checkFree("temporal ui", o.uiAddress())
}

func checkFree(part, address string) error {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: address %s is already in use", part, address)
	}
	if err != nil {
		return fmt.Errorf("%s: cannot listen on %s: %w", part, address, err)
	}
	return l.Close()
}

// freePorts returns n loopback ports that the kernel will not hand to anyone else for a while: each gets one
// connection that the listening side closes first, so that the port rests in TIME_WAIT, out of reach of "any free port"
// requests but open to a listener that names it.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		port, err := freePort()
		if err != nil {
			return nil, fmt.Errorf("asking for a free port: %w", err)
		}
		ports = append(ports, port)
	}
	return ports, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", hostPort(loopback, 0))
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0, err
	}
	defer func() { _ = out.Close() }()
	in, err := l.Accept()
	if err != nil {
		return 0, err
	}
	if err := in.Close(); err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, nil
}

// waitForListeners returns once the frontend and the UI accept connections. The UI's start call never returns and ends
// the process when it cannot listen, so asking from outside is the only way to know.
func waitForListeners(ctx context.Context, o *options) error {
	addresses := []string{o.dialAddress()}
	if !o.headless {
		addresses = append(addresses, o.uiAddress())
	}
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	for _, address := range addresses {
		for !accepts(ctx, address) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("nothing answers on %s: %w", address, ctx.Err())
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}

func accepts(ctx context.Context, address string) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
