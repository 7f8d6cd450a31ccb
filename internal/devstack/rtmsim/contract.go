package rtmsim

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// container is what the contract says of a container.
type container struct {
	GameID   string `json:"game_id"`
	ImageRef string `json:"image_ref"`
	Status   string `json:"status"`
}

// effect carries out a call and returns its answer.
type effect func() reply

func (s *Simulator) routes() {
	const (
		patch    = "/api/v1/internal/runtimes/{game_id}/patch"
		inspect  = "/api/v1/internal/runtimes/{game_id}"
		runtimes = "/sim/runtimes"
		runtime  = "/sim/runtimes/{game_id}"
		faults   = "/sim/faults"
		health   = "/healthz"
	)
	s.mux.HandleFunc("POST "+patch, s.servePatch)
	s.mux.HandleFunc("GET "+inspect, s.serveInspect)
	s.mux.HandleFunc("GET "+runtimes, s.serveListRuntimes)
	s.mux.HandleFunc("GET "+runtime, s.serveRuntime)
	s.mux.HandleFunc("PUT "+runtime, s.servePutRuntime)
	s.mux.HandleFunc("DELETE "+runtime, s.serveDeleteRuntime)
	s.mux.HandleFunc("GET "+faults, s.serveListFaults)
	s.mux.HandleFunc("PUT "+faults, s.servePutFault)
	s.mux.HandleFunc("DELETE "+faults, s.serveClearFaults)
	s.mux.HandleFunc("GET "+health, serveHealth)

	// Without these the mux would answer in plain text.
	s.mux.HandleFunc(patch, refuseMethod("POST"))
	s.mux.HandleFunc(inspect, refuseMethod("GET"))
	s.mux.HandleFunc(runtimes, refuseMethod("GET"))
	s.mux.HandleFunc(runtime, refuseMethod("GET, PUT, DELETE"))
	s.mux.HandleFunc(faults, refuseMethod("GET, PUT, DELETE"))
	s.mux.HandleFunc(health, refuseMethod("GET"))
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		failed(http.StatusNotFound, "not_found", "there is nothing here").write(w)
	})
}

func serveHealth(w http.ResponseWriter, _ *http.Request) {
	reply{http.StatusOK, map[string]string{"status": "ok"}}.write(w)
}

func refuseMethod(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allowed)
		failed(http.StatusMethodNotAllowed, "method_not_allowed", "allowed: "+allowed).write(w)
	}
}

func (s *Simulator) servePatch(w http.ResponseWriter, r *http.Request) {
	gameID := r.PathValue("game_id")
	key := r.Header.Get("Idempotency-Key")
	var body struct {
		ImageRef string `json:"image_ref"`
	}
	err := decode(w, r, &body)
	if err == nil {
		err = checkText("image_ref", body.ImageRef, maxImageRef)
	}
	if err == nil {
		err = checkKey(key)
	}
	if err != nil {
		refuse(err).write(w)
		return
	}
	s.serveFaulty(w, r, OpPatch, func() reply {
		imageRef, err := s.recreate(gameID, body.ImageRef, key)
		switch {
		case errors.Is(err, errNoContainer):
			return failed(http.StatusNotFound, "runtime_not_found", err.Error())
		case errors.Is(err, errKeyReused):
			return failed(http.StatusUnprocessableEntity, "idempotency_key_reused", err.Error())
		case err != nil:
			return refuse(err)
		}
		return reply{http.StatusOK, container{gameID, imageRef, StatusRunning}}
	})
}

func (s *Simulator) serveInspect(w http.ResponseWriter, r *http.Request) {
	gameID := r.PathValue("game_id")
	s.serveFaulty(w, r, OpInspect, func() reply {
		found, ok := s.Runtime(gameID)
		if !ok {
			return failed(http.StatusNotFound, "runtime_not_found", errNoContainer.Error())
		}
		return reply{http.StatusOK, container{found.GameID, found.ImageRef, found.Status}}
	})
}

func checkKey(key string) error {
	invisible := func(char rune) bool { return char <= ' ' || char > '~' }
	if key == "" || len(key) > maxText || strings.ContainsFunc(key, invisible) {
		return &InputError{"Idempotency-Key", "must be 1 to 255 bytes of visible ASCII"}
	}
	return nil
}

// serveFaulty answers with what carryOut returns, unless a fault comes first.
func (s *Simulator) serveFaulty(w http.ResponseWriter, r *http.Request, op Op, carryOut effect) {
	fault, found := s.fire(r.PathValue("game_id"), op)
	if !found {
		carryOut().write(w)
		return
	}
	switch fault.Mode {
	case ModeStatus:
		fault.reply(w)
	case ModeAppliedThenStatus:
		carryOut()
		fault.reply(w)
	case ModeReset:
		cut(w)
	case ModeAppliedThenReset:
		carryOut()
		cut(w)
	case ModeHang:
		s.wait(r, maxWait, r.Context().Done())
		cut(w)
	case ModeSlow:
		// The client may go, the recreate is on its way.
		if !s.wait(r, time.Duration(fault.DelayMS)*time.Millisecond, nil) {
			cut(w)
			return
		}
		carryOut().write(w)
	case ModeGarbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{\"game_id\": \x00garbage") // a client that went away is no fault
	}
}

// wait returns true when the delay is over, and false when gone, the server or
// the simulator ended it.
func (s *Simulator) wait(r *http.Request, delay time.Duration, gone <-chan struct{}) bool {
	select {
	case <-s.closed: // before the timer, which may be over as well
		return false
	default:
	}
	select {
	case <-s.after(delay):
		return true
	case <-gone:
	case <-s.closed:
	case <-stopping(r):
	}
	return false
}

func (fault Fault) reply(w http.ResponseWriter) {
	mayWait := fault.Status == http.StatusTooManyRequests || fault.Status == http.StatusServiceUnavailable
	if mayWait && fault.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(fault.RetryAfter))
	}
	failed(fault.Status, "simulated_fault", "the simulator was told to answer so").write(w)
}

// cut ends the connection as a dying process or network does: with a reset
// instead of an end, so that the client cannot take it for an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no TCP connection under it: the server closes what there is
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // on a connection that is gone already there is nothing to reset
	}
	_ = conn.Close()
}
