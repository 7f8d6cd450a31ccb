package rtmsim

import (
	"net/http"
	"time"
)

// call is one call of the contract on its way.
type call struct {
	op       Op
	gameID   string
	imageRef string
	key      string
	fence    int64
	// invalid says why the request is none of the contract; invalidFence says so
	// too, but only while fencing is on.
	invalid      error
	invalidFence error
	// seq is the call's entry in the log; zero for a probe, which has none.
	seq int64
}

// serveCall takes a call from its arrival to its end.
func (s *Simulator) serveCall(w http.ResponseWriter, r *http.Request, c call) {
	fault, refusal := s.arrive(&c)
	switch {
	case refusal != nil:
		s.answer(w, c, *refusal)
	case fault != nil:
		s.misbehave(w, r, c, fault)
	default:
		s.answer(w, c, s.carryOut(c))
	}
}

// arrive writes the call to the log, raises the game's fencing number, and says
// which fault the call meets, if any. A call that is refused meets none. All of
// it happens in one moment, so that the order of arrivals in the log is the one
// in which the numbers were seen.
func (s *Simulator) arrive(c *call) (*placed, *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isProbe(c.gameID) {
		c.seq = s.log.add(*c)
	}
	if refusal, ok := s.admit(*c); !ok {
		return nil, &refusal
	}
	fault, met := s.fire(c.gameID, c.op)
	if !met {
		return nil, nil
	}
	entry := s.log.at(c.seq)
	entry.Fault, entry.FaultName = fault.Mode, fault.Name
	return fault, nil
}

// admit returns the answer to a call that is refused at its arrival, and
// otherwise true. The caller holds mu.
func (s *Simulator) admit(c call) (reply, bool) {
	switch {
	case c.invalid != nil:
		return s.refused(c, refuse(c.invalid)), false
	case c.invalidFence != nil && !s.unfenced:
		return s.refused(c, refuse(c.invalidFence)), false
	case s.unfenced || c.op == OpInspect:
		return reply{}, true
	case s.stale(c):
		return s.refused(c, staleReply()), false
	}
	// A fence's number is its effect and waits for it. An id that no game can
	// have needs no number.
	if c.op == OpPatch && checkGameID(c.gameID) == nil {
		if err := s.raise(c.gameID, c.fence); err != nil {
			return refuse(err), false
		}
	}
	return reply{}, true
}

// carryOut gives the call its effect and returns its true answer.
func (s *Simulator) carryOut(c call) reply {
	switch c.op {
	case OpPatch:
		return s.recreate(c)
	case OpFence:
		return s.fence(c)
	default:
		return s.look(c)
	}
}

// refused notes in the log that the call was refused, and returns answer. The
// caller holds mu.
func (s *Simulator) refused(c call, answer reply) reply {
	s.log.at(c.seq).Effect = EffectRefused
	return answer
}

// landed notes in the log that the call took effect. The caller holds mu, and
// has held it since before the effect.
func (s *Simulator) landed(c call, at time.Time) {
	if c.seq == 0 {
		return
	}
	entry := s.log.at(c.seq)
	entry.Effect, entry.LandedAt, entry.LandedOrder = EffectApplied, &at, s.log.tick()
}

// answer ends the call with a reply.
func (s *Simulator) answer(w http.ResponseWriter, c call, answer reply) {
	s.end(c, answer.status)
	answer.write(w)
}

// end notes in the log what the call is answered, zero for a cut connection.
// It comes before the first byte, so that the log knows what a client knows.
func (s *Simulator) end(c call, status int) {
	if c.seq == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := s.log.at(c.seq)
	entry.Status, entry.EndedOrder = status, s.log.tick()
}
