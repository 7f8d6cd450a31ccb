// Package pgfault is a proxy in front of a real Postgres that breaks chosen
// statements: it cuts the connection before or after one, answers it with an
// error, never answers it, delays it. What it is not told to break passes
// through unchanged, byte for byte. It is for tests and drills only.
//
// It understands as much of the wire protocol as it takes to know which
// statement is executed with which arguments, also when the client has prepared
// it long before, and at which moment the server has committed it. The unit that
// a fault breaks is what the server itself carries out or rolls back as one: a
// simple query, or the extended messages up to a Sync. A statement inside an
// explicit transaction is one of several such units; to break the commit of the
// transaction, aim at its COMMIT.
//
// TLS is declined, so that connection strings must not require it. There is no
// authentication of its own: the proxy listens on a loopback address and hands
// the client's password to the server as it comes.
package pgfault

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"
)

// Proxy stands between clients and one Postgres. All methods are safe for
// concurrent use.
type Proxy struct {
	server   string
	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	sessions map[*session]struct{}
	faults   []*entry
	// changed is closed and replaced whenever a count of a fault changes.
	changed chan struct{}
	// paused is closed by Resume; nil while bytes flow.
	paused chan struct{}
	// refusing says that new connections are turned away, with refusal as the
	// SQLSTATE or, when that is empty, without a word.
	refusing bool
	refusal  string
	closed   bool
}

// Start listens on a free loopback port for clients of the Postgres at server,
// a host:port. The caller closes the proxy.
func Start(server string) (*Proxy, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fmt.Errorf("pgfault: address of the server: %w", err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("pgfault: %w", err)
	}
	p := &Proxy{
		server: server, listener: listener,
		sessions: map[*session]struct{}{}, changed: make(chan struct{}),
	}
	p.work.Go(p.accept)
	return p, nil
}

// StartFor is [Start] for the server that databaseURL names, and also returns
// the URL that leads through the proxy to the same database.
func StartFor(databaseURL string) (*Proxy, string, error) {
	location, err := url.Parse(databaseURL)
	if err != nil || location.Port() == "" {
		// Parse's own error quotes the URL, password included.
		return nil, "", errors.New("pgfault: want a URL such as postgres://user@host:5432/name, with a port")
	}
	p, err := Start(location.Host)
	if err != nil {
		return nil, "", err
	}
	location.Host = p.Address()
	return p, location.String(), nil
}

// Address returns the host:port that clients connect to. It stays the same
// whatever happens to the server.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Close stops listening, cuts every connection and waits until nothing of the
// proxy runs any more. Safe to call again.
func (p *Proxy) Close() error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	var err error
	if first {
		err = p.listener.Close()
	}
	p.CutAll()
	p.work.Wait()
	return err
}

// SetServer leads new connections to another host:port: a server that was
// started anew need not come back at its old port.
func (p *Proxy) SetServer(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// Refuse cuts every new connection as soon as it is made, until [Proxy.Admit].
// Open ones go on; see [Proxy.CutAll].
func (p *Proxy) Refuse() { p.setRefusal(true, "") }

// RefuseWith answers every new connection with a FATAL error of that SQLSTATE,
// such as 57P03 (the database system is starting up) or 53300 (too many
// clients), until [Proxy.Admit].
func (p *Proxy) RefuseWith(code string) { p.setRefusal(true, code) }

// Admit lets new connections in again.
func (p *Proxy) Admit() { p.setRefusal(false, "") }

func (p *Proxy) setRefusal(refusing bool, code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing, p.refusal = refusing, code
}

// CutAll resets every open connection, on both sides, and returns how many there
// were. What the server is carrying out at that moment may be committed or not.
func (p *Proxy) CutAll() int {
	p.mu.Lock()
	open := make([]*session, 0, len(p.sessions))
	for s := range p.sessions {
		open = append(open, s)
	}
	p.mu.Unlock()
	for _, s := range open {
		s.cut()
	}
	return len(open)
}

// Connections returns how many connections are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sessions)
}

// Pause keeps every byte back, in both directions and of new connections too,
// until [Proxy.Resume]. Connections stay open. What a client had sent before it
// gave up is delivered all the same, late, as by a network that comes back.
func (p *Proxy) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused == nil {
		p.paused = make(chan struct{})
	}
}

// Resume ends a [Proxy.Pause].
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused != nil {
		close(p.paused)
		p.paused = nil
	}
}

// flows waits until bytes may pass; false when done was closed first.
func (p *Proxy) flows(done <-chan struct{}) bool {
	for {
		p.mu.Lock()
		paused := p.paused
		p.mu.Unlock()
		if paused == nil {
			return true
		}
		select {
		case <-paused:
		case <-done:
			return false
		}
	}
}

// accept serves connections until the listener is closed.
func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: not at once again.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		s := newSession(p, client)
		if !p.enter(s) {
			s.cut()
			continue
		}
		p.work.Go(func() {
			defer p.leave(s)
			s.run()
		})
	}
}

func (p *Proxy) enter(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.sessions[s] = struct{}{}
	return true
}

func (p *Proxy) leave(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, s)
}

// door returns where new connections lead to, and whether and how they are
// turned away.
func (p *Proxy) door() (server string, refusing bool, code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server, p.refusing, p.refusal
}
