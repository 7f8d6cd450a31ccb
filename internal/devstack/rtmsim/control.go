package rtmsim

import "net/http"

func (s *Simulator) serveListRuntimes(w http.ResponseWriter, _ *http.Request) {
	reply{http.StatusOK, map[string][]Runtime{"runtimes": s.Runtimes()}}.write(w)
}

func (s *Simulator) serveRuntime(w http.ResponseWriter, r *http.Request) {
	s.knownRuntime(r.PathValue("game_id")).write(w)
}

func (s *Simulator) servePutRuntime(w http.ResponseWriter, r *http.Request) {
	gameID := r.PathValue("game_id")
	var body struct {
		ImageRef string `json:"image_ref"`
		Status   string `json:"status"`
	}
	err := decode(w, r, &body)
	if err == nil {
		err = s.PutRuntime(gameID, body.ImageRef, body.Status)
	}
	if err != nil {
		refuse(err).write(w)
		return
	}
	s.knownRuntime(gameID).write(w)
}

func (s *Simulator) serveDeleteRuntime(w http.ResponseWriter, r *http.Request) {
	existed, err := s.DeleteRuntime(r.PathValue("game_id"))
	switch {
	case err != nil:
		refuse(err).write(w)
	case !existed:
		failed(http.StatusNotFound, "runtime_not_found", errNoContainer.Error()).write(w)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Simulator) knownRuntime(gameID string) reply {
	found, ok := s.Runtime(gameID)
	if !ok {
		return failed(http.StatusNotFound, "runtime_not_found", errNoContainer.Error())
	}
	return reply{http.StatusOK, found}
}

func (s *Simulator) serveListFaults(w http.ResponseWriter, _ *http.Request) {
	reply{http.StatusOK, map[string][]FaultReport{"faults": s.Faults()}}.write(w)
}

func (s *Simulator) servePutFault(w http.ResponseWriter, r *http.Request) {
	var fault Fault
	err := decode(w, r, &fault)
	if err == nil {
		err = s.PutFault(fault)
	}
	if err != nil {
		refuse(err).write(w)
		return
	}
	reply{http.StatusOK, FaultReport{Fault: fault}}.write(w)
}

func (s *Simulator) serveClearFaults(w http.ResponseWriter, _ *http.Request) {
	s.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}
