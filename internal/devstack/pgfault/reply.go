package pgfault

import (
	"bufio"
	"net"

	"github.com/jackc/pgx/v5/pgproto3"
)

// reply is what the server owes for one request, up to the ReadyForQuery.
type reply struct {
	// hit is the fault that the request has met; nil for none.
	hit *entry
	// rollback says that the server was sent a ROLLBACK instead.
	rollback bool
	// settled is closed when it is decided what becomes of the reply.
	settled chan struct{}
	// decided says that settled is closed, failed that the server reported an
	// error, and held has what is withheld. They belong to passReplies.
	decided, failed bool
	held            []byte
}

func newReply() *reply { return &reply{settled: make(chan struct{})} }

func (r *reply) settle() {
	if !r.decided {
		r.decided = true
		close(r.settled)
	}
}

// passReplies passes the server's messages to the client, except those that a
// fault changes or keeps back, until the server has gone or a fault ends the
// connection.
func (s *session) passReplies(server net.Conn) {
	from := bufio.NewReader(server)
	for {
		f, err := readFrame(from, true)
		if err != nil {
			s.flush()
			return
		}
		next, ok := s.passReply(f)
		s.out = append(s.out, next...)
		if (!ok || from.Buffered() == 0) && !s.flush() || !ok {
			return
		}
	}
}

// passReply returns what the client gets for one message of the server; false
// says that the connection ends with it.
func (s *session) passReply(f frame) (out []byte, ok bool) {
	r, hit := s.owed()
	if hit == nil {
		if f.kind == 'Z' {
			s.answered(f)
			if r != nil {
				r.settle()
			}
		}
		return f.raw, true
	}
	r.failed = r.failed || f.kind == 'E'
	switch {
	case f.kind == 'G' || f.kind == 'W':
		// The client is to send the data to be copied; before that there is
		// nothing to withhold.
		r.settle()
		return f.raw, true
	case hit.Mode == Error && (f.kind == 'E' || r.rollback && f.kind == 'C'):
		message, last := failure(hit.Code, hit.Name)
		return encode(message), !last
	case hit.Mode == Error && r.rollback && f.kind == 'N':
		return nil, true // that there was nothing to roll back
	case hit.Mode.withholds() && f.kind != 'Z':
		r.held = append(r.held, f.raw...)
		return nil, true
	case f.kind != 'Z':
		return f.raw, true
	}
	s.answered(f)
	if isIdle(f) && !r.failed && hit.Mode != Error {
		s.proxy.committed(hit)
	}
	defer r.settle()
	return s.decide(r, hit, f)
}

// decide returns what the client gets for a whole reply that ends with ready.
func (s *session) decide(r *reply, hit *entry, ready frame) (out []byte, ok bool) {
	s.flush() // other replies are not concerned
	switch hit.Mode {
	case CutAfter:
		s.cut()
		return nil, false
	case ErrorAfter:
		message, last := failure(hit.Code, hit.Name)
		if last {
			return encode(message), false
		}
		return append(encode(message), ready.raw...), true
	case HangAfter:
		select {
		case <-hit.cleared:
		case <-s.gone:
		case <-s.done:
			return nil, false
		}
	case Slow:
		s.wait(hit.Delay, s.gone)
	default:
	}
	return append(r.held, ready.raw...), true
}

// owed returns the oldest reply that the server owes and the fault that its
// request has met; nil for what the server says unasked.
func (s *session) owed() (*reply, *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.replies) == 0 {
		return nil, nil
	}
	return s.replies[0], s.replies[0].hit
}

// answered takes note of a ReadyForQuery, before the client can see it and go on.
func (s *session) answered(ready frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = !isIdle(ready)
	if len(s.replies) > 0 {
		s.replies = s.replies[1:]
	}
}

// isIdle reports whether a ReadyForQuery says that no transaction is open.
func isIdle(ready frame) bool {
	var message pgproto3.ReadyForQuery
	return message.Decode(ready.body) == nil && message.TxStatus == 'I'
}
