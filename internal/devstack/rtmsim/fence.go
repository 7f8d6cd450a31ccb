package rtmsim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// maxFence is what a JSON number can hold exactly everywhere.
const maxFence = 1<<53 - 1

// fenced is what the contract says of a fencing number in force.
type fenced struct {
	GameID string `json:"game_id"`
	Fence  int64  `json:"fence"`
}

// inForce is the answer to a fence that was carried out.
func (c call) inForce() reply { return reply{http.StatusOK, fenced{c.gameID, c.fence}} }

// SetFencing switches fencing off, to play a Runtime Manager that knows none,
// or on again. It starts switched on, also for a simulator with a state file.
func (s *Simulator) SetFencing(enabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unfenced = !enabled
}

// Fencing reports whether fencing is switched on.
func (s *Simulator) Fencing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.unfenced
}

// fence lands a fence.
func (s *Simulator) fence(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.unfenced: // as a path that nobody has heard of
		return s.refused(c, failed(http.StatusNotFound, "not_found", "there is nothing here"))
	case s.stale(c):
		return s.refused(c, staleReply())
	}
	if err := s.raise(c.gameID, c.fence); err != nil {
		return refuse(err)
	}
	s.landed(c, time.Now().UTC())
	return c.inForce()
}

// stale reports whether a higher number than that of c was seen. The caller
// holds mu.
func (s *Simulator) stale(c call) bool { return !s.unfenced && c.fence < s.fences[c.gameID] }

func staleReply() reply {
	return failed(http.StatusPreconditionFailed, "stale_fence", "a later call for the game has been seen")
}

// raise makes fence the highest number of gameID, unless it is that already, and
// changes nothing when that cannot be written. The caller holds mu.
func (s *Simulator) raise(gameID string, fence int64) error {
	before, seen := s.fences[gameID]
	if fence <= before {
		return nil
	}
	s.fences[gameID] = fence
	err := s.save()
	switch {
	case err == nil:
	case seen:
		s.fences[gameID] = before
	default:
		delete(s.fences, gameID)
	}
	return err
}

// fenceOf reads the header of a patch; zero when there is none.
func fenceOf(header http.Header) (int64, error) {
	const name = "Fencing-Token"
	values := header.Values(name)
	if len(values) == 0 {
		return 0, nil
	}
	fence, err := strconv.ParseUint(values[0], 10, 53)
	if err != nil || len(values) > 1 {
		return 0, fenceError(name)
	}
	return int64(fence), checkFence(name, int64(fence))
}

func checkFence(field string, fence int64) error {
	if fence < 1 || fence > maxFence {
		return fenceError(field)
	}
	return nil
}

func fenceError(field string) error {
	return &InputError{field, fmt.Sprintf("must be one number between 1 and %d", int64(maxFence))}
}
