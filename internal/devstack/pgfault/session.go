package pgfault

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// dialTimeout bounds the connection to the server. It is on this machine,
	// which answers or refuses at once; only one whose queue is full does not.
	dialTimeout = 5 * time.Second

	// readAhead is how many messages of a client are taken in while a fault
	// holds the connection, so that it is noticed when the client gives up. A
	// client that waits for an answer has sent a handful.
	readAhead = 1024
)

// session is one connection of a client with its own connection to the server.
//
// Three goroutines work on it: one reads the client, so that its end is noticed
// whatever the others wait for; one judges the client's requests and passes them
// to the server; one passes the server's replies to the client and alone writes
// to it.
type session struct {
	proxy  *Proxy
	client *net.TCPConn

	// frames are the client's messages; closed when it has gone.
	frames chan frame
	// gone is closed as soon as the client has gone, whatever is still in
	// frames.
	gone chan struct{}
	// done is closed when the session is over; ctx ends with it.
	done <-chan struct{}
	ctx  context.Context
	stop context.CancelFunc
	over sync.Once

	// out is what the client is to get next. It belongs to passReplies.
	out []byte

	mu     sync.Mutex
	server *net.TCPConn // nil before it is connected
	// replies are those that the server owes, oldest first.
	replies []*reply
	// open says that the server has a transaction open, as of its last reply.
	open bool
}

func newSession(p *Proxy, client net.Conn) *session {
	ctx, stop := context.WithCancel(context.Background())
	return &session{
		proxy: p, client: client.(*net.TCPConn), ctx: ctx, stop: stop, done: ctx.Done(),
		frames: make(chan frame, readAhead), gone: make(chan struct{}),
		// The first ReadyForQuery ends the authentication.
		replies: []*reply{newReply()},
	}
}

// run serves the connection until both sides are closed.
func (s *session) run() {
	defer s.end()
	from := bufio.NewReader(s.client)
	first, ok := s.greet(from)
	if !ok {
		return
	}
	address, refusing, code := s.proxy.door()
	if refusing {
		s.turnAway(code)
		return
	}
	server, ok := s.connect(address)
	if !ok {
		return
	}
	if _, err := server.Write(first.raw); err != nil {
		return
	}
	var work sync.WaitGroup
	work.Go(func() { s.readClient(from) })
	work.Go(s.passRequests)
	s.passReplies(server)
	s.end()
	work.Wait()
}

// greet reads up to the client's start-up message and declines encryption on the
// way. A request to cancel a statement passes for one: the server closes when it
// has done it.
func (s *session) greet(from io.Reader) (first frame, ok bool) {
	for {
		first, err := readFrame(from, false)
		if err != nil || !s.proxy.flows(s.done) {
			return frame{}, false
		}
		if code := first.code(); code != sslRequest && code != gssRequest {
			return first, true
		}
		if _, err := s.client.Write([]byte{'N'}); err != nil {
			return frame{}, false
		}
	}
}

// turnAway ends a connection that is not let in.
func (s *session) turnAway(code string) {
	if code == "" {
		s.cut()
		return
	}
	message, _ := failure(code, "refusal")
	message.Severity, message.SeverityUnlocalized = fatal, fatal
	_, _ = s.client.Write(encode(message))
}

// connect opens the session's connection to the server.
func (s *session) connect(address string) (*net.TCPConn, bool) {
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		s.cut()
		return nil, false
	}
	server := conn.(*net.TCPConn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = server.Close()
		return nil, false
	}
	s.server = server
	return server, true
}

// readClient takes in the client's messages until it has gone.
func (s *session) readClient(from io.Reader) {
	defer close(s.frames)
	defer close(s.gone)
	for {
		f, err := readFrame(from, true)
		if err != nil {
			return
		}
		select {
		case s.frames <- f:
		case <-s.done:
			return
		}
	}
}

// toServer writes to the server; false when nothing reaches it any more.
func (s *session) toServer(raw []byte) bool {
	if !s.proxy.flows(s.done) {
		return false
	}
	_, err := s.server.Write(raw)
	return err == nil
}

// flush writes to the client what there is for it; false when the session is
// over. An error of the client does not end it: what the client had asked for
// before it went is carried out.
func (s *session) flush() bool {
	if !s.proxy.flows(s.done) {
		return false
	}
	_, _ = s.client.Write(s.out)
	s.out = s.out[:0]
	return true
}

// end closes both connections in good order. Safe to call again.
func (s *session) end() { s.close(false) }

// cut closes both connections, and the client's with a reset. Safe to call
// again.
func (s *session) cut() { s.close(true) }

func (s *session) close(reset bool) {
	s.over.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stop()
		if reset {
			_ = s.client.SetLinger(0)
		}
		_ = s.client.Close()
		if s.server != nil {
			_ = s.server.Close()
		}
	})
}
