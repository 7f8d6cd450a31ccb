// Package pgcount counts what a client sends to Postgres.
package pgcount

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
)

// Proxy stands between a client and Postgres and counts what is sent. It
// reads the client's messages only as far as their types and lengths. What is
// measured through it is no time.
//
// It sees what pg_stat_statements does not: how often the client waits for an
// answer, which is what a database at a distance costs.
type Proxy struct {
	listener net.Listener
	server   string
	// statements counts executions, and roundTrips how often the client asked for
	// the answers to what it had sent.
	statements, roundTrips atomic.Int64

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	group sync.WaitGroup
}

// Open listens on loopback for the server of databaseURL, and returns
// the URL that leads through it.
func Open(databaseURL string) (*Proxy, string, error) {
	target, err := url.Parse(databaseURL)
	if err != nil {
		return nil, "", errors.New("the URL of the database cannot be read")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	p := &Proxy{listener: listener, server: target.Host, open: map[net.Conn]struct{}{}}
	target.Host = listener.Addr().String()
	p.group.Go(p.accept)
	return p, target.String(), nil
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.keep(client, server)
		p.group.Go(func() { p.forward(client, server) })
		p.group.Go(func() {
			_, _ = io.Copy(client, server) // its end is the connection's
			p.drop(client, server)
		})
	}
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.open[conn] = struct{}{}
	}
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close() // the other direction may have been first
		delete(p.open, conn)
	}
}

// forward sends the client's messages on, and counts them.
func (p *Proxy) forward(client, server net.Conn) {
	defer p.drop(client, server)
	in, out := bufio.NewReader(client), bufio.NewWriter(server)
	// The first message has no type.
	for first := true; ; first = false {
		kind, err := forwardMessage(in, out, first)
		if err != nil {
			return
		}
		switch kind {
		case 'Q': // a simple query is both
			p.statements.Add(1)
			p.roundTrips.Add(1)
		case 'E':
			p.statements.Add(1)
		case 'S':
			p.roundTrips.Add(1)
		}
		// What the client has sent in one go is sent on in one go.
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return
			}
		}
	}
}

// forwardMessage copies one message of the frontend protocol and returns its type,
// zero for the first of a connection.
func forwardMessage(in *bufio.Reader, out *bufio.Writer, first bool) (kind byte, err error) {
	if !first {
		if kind, err = in.ReadByte(); err != nil {
			return 0, err
		}
		if err := out.WriteByte(kind); err != nil {
			return 0, err
		}
	}
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, err
	}
	if _, err := out.Write(head[:]); err != nil {
		return 0, err
	}
	// The length counts itself.
	_, err = io.CopyN(out, in, int64(binary.BigEndian.Uint32(head[:]))-int64(len(head)))
	return kind, err
}

// Count returns what was sent so far: statements, and how often the client asked
// for the answers to what it had sent.
func (p *Proxy) Count() (statements, roundTrips int64) {
	return p.statements.Load(), p.roundTrips.Load()
}

// Close cuts all connections.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	for conn := range p.open {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
	return err
}
