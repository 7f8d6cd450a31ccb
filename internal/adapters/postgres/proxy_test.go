package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// lossyProxy stands between a pool and its server and understands just enough
// of the protocol to lose a reply: once armed, it lets the next execution of a
// prepared statement through (or, with spared ones, the one after those), reads the server's whole answer, which comes
// after the commit, and cuts the connection instead of passing it on.
type lossyProxy struct {
	listener net.Listener
	server   string
	armed    atomic.Bool
	spared   atomic.Int32
	lost     atomic.Int32 // replies swallowed so far
	deaf     atomic.Bool  // passes on no notification
	wg       sync.WaitGroup
}

// newLossyProxy returns a proxy for the database, and the URL that leads
// through it.
func newLossyProxy(t *testing.T, databaseURL string) (*lossyProxy, string) {
	t.Helper()
	location, err := url.Parse(databaseURL)
	require.NoError(t, err)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	proxy := &lossyProxy{listener: listener, server: location.Host}
	proxy.wg.Go(proxy.serve)
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		proxy.wg.Wait()
	})
	location.Host = listener.Addr().String()
	return proxy, location.String()
}

func (p *lossyProxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed by the test
		}
		server, err := net.Dial("tcp4", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		var swallow atomic.Bool
		p.wg.Go(func() { p.clientToServer(client, server, &swallow) })
		p.wg.Go(func() { p.serverToClient(client, server, &swallow) })
	}
}

func (p *lossyProxy) clientToServer(client, server net.Conn, swallow *atomic.Bool) {
	defer server.Close()
	// The first message has no type: it is the start-up message, as TLS is off.
	message, err := readMessage(client, false)
	for err == nil {
		if message[0] == 'E' && p.armed.Load() && p.spared.Add(-1) < 0 && p.armed.CompareAndSwap(true, false) {
			swallow.Store(true) // before the server can answer
		}
		if _, err = server.Write(message); err == nil {
			message, err = readMessage(client, true)
		}
	}
}

func (p *lossyProxy) serverToClient(client, server net.Conn, swallow *atomic.Bool) {
	defer client.Close()
	for {
		message, err := readMessage(server, true)
		if err != nil {
			return
		}
		if swallow.Load() {
			if message[0] == 'Z' { // ready for query: the statement is committed
				p.lost.Add(1)
				return
			}
			continue
		}
		if message[0] == 'A' && p.deaf.Load() {
			continue
		}
		if _, err := client.Write(message); err != nil {
			return
		}
	}
}

// readMessage reads one message: an optional type byte, a length that counts
// itself, and the rest.
func readMessage(from io.Reader, typed bool) ([]byte, error) {
	head := 4
	if typed {
		head = 5
	}
	message := make([]byte, head)
	if _, err := io.ReadFull(from, message); err != nil {
		return nil, err
	}
	rest := make([]byte, binary.BigEndian.Uint32(message[head-4:])-4)
	if _, err := io.ReadFull(from, rest); err != nil {
		return nil, err
	}
	return append(message, rest...), nil
}
