package pgfault

import (
	"regexp"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// requests follows what a client asks for: which names stand for which
// statements, and what it has asked for since the server last owed it a reply.
type requests struct {
	*session
	statements map[string]string
	portals    map[string]execution
	// earlier are the statements of the transaction so far.
	earlier []execution

	// pending are the messages that have not been passed on yet, and executions
	// the statements in them.
	pending    []byte
	executions []execution
	// met says that the request has met a fault, and deferred is one that
	// concerns its end.
	met      bool
	deferred *entry
	// reply is that to the request; nil as long as no part of it is with the
	// server.
	reply *reply
}

// passRequests passes the client's requests to the server, except those that a
// fault keeps back.
func (s *session) passRequests() {
	q := &requests{session: s, statements: map[string]string{}, portals: map[string]execution{}}
	for f := range s.frames {
		if !q.take(f) {
			return
		}
	}
	// The client has gone; the server ends when it has done everything.
	_ = s.server.CloseWrite()
}

// take deals with one message; false when it was the last.
func (q *requests) take(f frame) bool {
	switch f.kind {
	case 'd', 'c', 'f', 'p', 'X': // copied data, a password, the end
		return q.toServer(f.raw)
	case 'S', 'Q', 'F': // Sync, Query, FunctionCall: the server owes a ReadyForQuery
		q.note(f)
		ok := q.finish(f)
		q.pending, q.executions, q.met, q.deferred, q.reply = nil, nil, false, nil, nil
		return ok
	case 'H':
		q.pending = append(q.pending, f.raw...)
		return q.part(f)
	default:
		q.note(f)
		q.pending = append(q.pending, f.raw...)
		return true
	}
}

// note keeps what the message says about statements. One that cannot be read is
// left to the server to complain of.
func (q *requests) note(f frame) {
	switch f.kind {
	case 'P':
		var parse pgproto3.Parse
		if parse.Decode(f.body) == nil {
			q.statements[parse.Name] = parse.Query
		}
	case 'B':
		var bind pgproto3.Bind
		if bind.Decode(f.body) == nil {
			q.portals[bind.DestinationPortal] = execution{sql: q.statements[bind.PreparedStatement], arguments: bind.Parameters}
		}
	case 'E':
		var execute pgproto3.Execute
		if execute.Decode(f.body) == nil {
			q.executions = append(q.executions, q.portals[execute.Portal])
		}
	case 'Q':
		var query pgproto3.Query
		if query.Decode(f.body) == nil {
			q.executions = append(q.executions, execution{sql: query.String, simple: true})
		}
	case 'C':
		var closing pgproto3.Close
		if closing.Decode(f.body) == nil && closing.ObjectType == 'S' {
			delete(q.statements, closing.Name)
		}
	}
}

// judge returns the fault that the pending statements meet; nil for none, and
// after the first of a request.
func (q *requests) judge() (hit *entry) {
	if q.idle() {
		q.earlier = nil
	}
	judged := make([]execution, len(q.executions))
	for i, x := range q.executions {
		x.earlier = q.earlier
		judged[i] = x
		q.earlier = append(q.earlier, q.executions[i])
	}
	if !q.met && len(judged) > 0 {
		hit = q.proxy.fire(judged)
		q.met = hit != nil
	}
	return hit
}

// idle reports whether the server has answered everything and has no
// transaction open.
func (q *requests) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.replies) == 0 && !q.open
}

// finish passes on a request that is complete with f, or does to it what its
// fault says; false when the connection is done with.
func (q *requests) finish(f frame) bool {
	q.pending = append(q.pending, f.raw...)
	hit := q.judge()
	if hit == nil {
		hit = q.deferred
	}
	if hit == nil {
		return q.forward(nil)
	}
	if !q.holdBack(hit) {
		return false
	}
	if hit.Mode == Error {
		q.replace(encode(&pgproto3.Sync{}))
	}
	if !q.forward(hit) {
		return false
	}
	if !hit.Mode.withholds() {
		return true
	}
	// What the client sent without waiting must not reach the server if the
	// fault cuts it off.
	select {
	case <-q.reply.settled:
		return true
	case <-q.done:
		return false
	}
}

// part passes on a part of a request whose client wants to have the answers
// before it goes on. A fault that withholds the reply waits for the end of the
// request, before which nothing is committed.
func (q *requests) part(f frame) bool {
	hit := q.judge()
	switch {
	case hit == nil:
	case hit.Mode.withholds():
		q.deferred, hit = hit, nil
	case !q.holdBack(hit):
		return false
	case hit.Mode == Error:
		q.replace(f.raw) // after which the server skips the rest
	}
	ok := q.forward(hit)
	q.pending, q.executions = nil, nil
	return ok
}

// forward passes the pending messages on, of a request that meets hit or nil.
func (q *requests) forward(hit *entry) bool {
	q.expect(hit)
	return q.toServer(q.pending)
}

// expect makes the server owe the reply to the request, which meets hit.
func (q *requests) expect(hit *entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.reply == nil {
		q.reply = newReply()
		q.replies = append(q.replies, q.reply)
	}
	if hit != nil {
		q.reply.hit = hit
	}
}

// holdBack does what the fault does before the server sees the request; false
// when the server is not to see it at all.
func (q *requests) holdBack(hit *entry) bool {
	switch hit.Mode {
	case CutBefore:
		q.awaitEarlier()
		q.cut()
		return false
	case Hang:
		select {
		case <-hit.cleared:
		case <-q.gone:
		case <-q.done:
		}
		q.cut()
		return false
	case Late:
		return q.wait(hit.Delay, nil)
	default:
		return true
	}
}

// awaitEarlier waits until the server has answered the requests before this one.
// A client whose connection breaks asks the server to cancel what it does, which
// would hit an earlier request that is still at work.
func (q *requests) awaitEarlier() {
	q.mu.Lock()
	earlier := slices.Clone(q.replies)
	q.mu.Unlock()
	for _, r := range earlier {
		if r == q.reply {
			return
		}
		select {
		case <-r.settled:
		case <-q.gone:
		case <-q.done:
		}
	}
}

var commits = regexp.MustCompile(`(?i)^\s*(commit|end)\b`)

// replace puts something that fails in the place of the pending messages, so
// that what the client is told about its transaction is true: a failed
// statement has failed it, and a failed COMMIT has ended it. It ends with end.
func (q *requests) replace(end []byte) {
	last := q.executions[len(q.executions)-1]
	if q.reply == nil && commits.MatchString(last.sql) {
		q.expect(nil)
		q.reply.rollback = true
		q.pending = encode(&pgproto3.Query{String: "ROLLBACK"})
		return
	}
	q.pending = append(encode(&pgproto3.Parse{Query: "broken by a fault"}), end...)
}

// wait lets d pass; false when the session, or the other channel, ends first.
func (s *session) wait(d time.Duration, other <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-other:
		return false
	case <-s.done:
		return false
	}
}
