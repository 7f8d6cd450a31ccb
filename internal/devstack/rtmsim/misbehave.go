package rtmsim

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// misbehave does to the call what fault says, and ends it.
func (s *Simulator) misbehave(w http.ResponseWriter, r *http.Request, c call, fault *placed) {
	var truth reply
	if fault.Mode.appliesFirst() {
		truth = s.carryOut(c)
	}
	switch fault.Mode {
	case ModeStatus, ModeAppliedThenStatus:
		fault.setRetryAfter(w)
		s.answer(w, c, failed(fault.Status, "simulated_fault", "the simulator was told to answer so"))
	case ModeReset, ModeAppliedThenReset:
		s.cut(w, c)
	case ModeHang, ModeAppliedThenHang:
		s.wait(r, maxWait, nil, r.Context().Done())
		s.cut(w, c)
	case ModeGarbage, ModeAppliedThenGarbage:
		s.end(c, http.StatusOK)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{\"game_id\": \x00garbage") // a client that went away is no fault
	case ModeSlow:
		s.carryOutLate(w, c, s.wait(r, fault.delay(), nil, nil))
	case ModeHeld:
		s.carryOutLate(w, c, s.wait(r, maxWait, fault.released, nil))
	case ModeAppliedThenSlow:
		// Nothing is left to happen that the client's going must not prevent.
		if !s.wait(r, fault.delay(), nil, r.Context().Done()) {
			s.cut(w, c)
			return
		}
		s.answer(w, c, truth)
	case ModeLie:
		s.answer(w, c, c.lie(fault.Fault))
	case ModeOtherImage:
		s.answer(w, c, c.otherImage(truth))
	}
}

// carryOutLate has a call land that has waited, whether or not its client is
// still there: it is on its way. When the wait was cut short it never lands.
func (s *Simulator) carryOutLate(w http.ResponseWriter, c call, waited bool) {
	if !waited {
		s.cut(w, c)
		return
	}
	s.answer(w, c, s.carryOut(c))
}

// lie is what the call would have been answered, had it had its effect.
func (c call) lie(fault Fault) reply {
	switch c.op {
	case OpPatch:
		return c.recreated()
	case OpFence:
		return c.inForce()
	default:
		return reply{http.StatusOK, container{c.gameID, fault.ImageRef, StatusRunning}}
	}
}

// otherImage is truth with an image that nobody asked for; a refusal, which
// names none, stays as it is.
func (c call) otherImage(truth reply) reply {
	if truth.status != http.StatusOK {
		return truth
	}
	c.imageRef += "-other"
	return c.recreated()
}

func (fault Fault) delay() time.Duration { return time.Duration(fault.DelayMS) * time.Millisecond }

func (fault Fault) setRetryAfter(w http.ResponseWriter) {
	mayWait := fault.Status == http.StatusTooManyRequests || fault.Status == http.StatusServiceUnavailable
	if mayWait && fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
	}
}

// wait returns true when the delay is over or released was closed, and false when
// gone, the server or the simulator ended it.
func (s *Simulator) wait(r *http.Request, delay time.Duration, released, gone <-chan struct{}) bool {
	select {
	case <-s.closed: // before the timer, which may be over as well
		return false
	default:
	}
	select {
	case <-s.after(delay):
		return true
	case <-released:
		return true
	case <-gone:
	case <-s.closed:
	case <-stopping(r):
	}
	return false
}

// cut ends the call and its connection as a dying process or network does: with
// a reset instead of an end, so that the client cannot take it for an answer.
func (s *Simulator) cut(w http.ResponseWriter, c call) {
	s.end(c, 0)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no TCP connection under it: the server closes what there is
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // on a connection that is gone already there is nothing to reset
	}
	_ = conn.Close()
}
