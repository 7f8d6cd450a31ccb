package rtmsim

import (
	"net/http"
	"slices"
	"time"
)

// container is what the contract says of a container.
type container struct {
	GameID   string `json:"game_id"`
	ImageRef string `json:"image_ref"`
	Status   string `json:"status"`
}

// recreated is the answer to a patch that was carried out.
func (c call) recreated() reply {
	return reply{http.StatusOK, container{c.gameID, c.imageRef, StatusRunning}}
}

// recreate lands a patch: it carries out the key once, if the call has not been
// overtaken by a higher fencing number since it arrived.
func (s *Simulator) recreate(c call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale(c) {
		return s.refused(c, staleReply())
	}
	now, ok := s.runtimes[c.gameID]
	if !ok {
		return s.refused(c, failed(http.StatusNotFound, "runtime_not_found", errNoContainer.Error()))
	}
	for _, done := range slices.Backward(now.History) {
		if done.IdempotencyKey != c.key {
			continue
		}
		if done.ImageRef != c.imageRef {
			return s.refused(c, failed(http.StatusUnprocessableEntity, "idempotency_key_reused",
				"the idempotency key was used for another image"))
		}
		s.log.at(c.seq).Effect = EffectReplayed
		return c.recreated()
	}
	next, at := *now, time.Now().UTC()
	next.ImageRef, next.Status = c.imageRef, StatusRunning
	next.Recreates++
	next.History = append(next.History, Recreate{ImageRef: c.imageRef, IdempotencyKey: c.key, At: at})
	next.History = next.History[max(0, len(next.History)-maxHistory):]
	if err := s.commit(c.gameID, &next); err != nil {
		return refuse(err)
	}
	s.landed(c, at)
	return c.recreated()
}

// look is the answer to an inspect.
func (s *Simulator) look(c call) reply {
	found, ok := s.Runtime(c.gameID)
	if !ok {
		return failed(http.StatusNotFound, "runtime_not_found", errNoContainer.Error())
	}
	return reply{http.StatusOK, container{found.GameID, found.ImageRef, found.Status}}
}
