package rtmsim

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

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

func (s *Simulator) serveClearFaults(w http.ResponseWriter, r *http.Request) {
	query, err := queryOf(r, "game_id", "name")
	if err == nil && len(query) > 1 {
		err = &InputError{"name", "must not be given together with game_id"}
	}
	switch {
	case err != nil:
		refuse(err).write(w)
		return
	case query.Has("name"):
		if !s.ReleaseFault(query.Get("name")) {
			failed(http.StatusNotFound, "fault_not_found", "there is no fault of that name").write(w)
			return
		}
	case query.Has("game_id"):
		s.DeleteFaultsOf(query.Get("game_id"))
	default:
		s.ClearFaults()
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Simulator) serveFencing(w http.ResponseWriter, _ *http.Request) {
	reply{http.StatusOK, map[string]bool{"enabled": s.Fencing()}}.write(w)
}

func (s *Simulator) servePutFencing(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Enabled *bool `json:"enabled"`
	}
	err := decode(w, r, &body)
	if err == nil && body.Enabled == nil {
		err = &InputError{"enabled", "must be true or false"}
	}
	if err != nil {
		refuse(err).write(w)
		return
	}
	s.SetFencing(*body.Enabled)
	s.serveFencing(w, r)
}

func (s *Simulator) serveLog(w http.ResponseWriter, r *http.Request) {
	query, err := queryOf(r, "after", "game_id", "limit")
	var after, limit int64
	if err == nil {
		after, err = numberOf(query, "after")
	}
	if err == nil {
		limit, err = numberOf(query, "limit")
	}
	var page LogPage
	if err == nil {
		page, err = s.Log(LogQuery{After: after, GameID: query.Get("game_id"), Limit: int(limit)})
	}
	if err != nil {
		refuse(err).write(w)
		return
	}
	reply{http.StatusOK, page}.write(w)
}

// queryOf refuses a query that cannot be read, and a parameter that is not known,
// given twice or empty: who misspells the game whose faults are to go must not
// clear those of all.
func queryOf(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &InputError{"query", "cannot be read"}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch values := query[name]; {
		case !slices.Contains(known, name):
			return nil, &InputError{name, "is not a parameter of this request"}
		case len(values) > 1 || values[0] == "":
			return nil, &InputError{name, "must be given once and not be empty"}
		}
	}
	return query, nil
}

// numberOf is a query parameter that is a number; zero when it is not there.
func numberOf(query url.Values, name string) (int64, error) {
	if !query.Has(name) {
		return 0, nil
	}
	number, err := strconv.ParseInt(query.Get(name), 10, 64)
	if err != nil {
		return 0, &InputError{name, "must be a whole number"}
	}
	return number, nil
}
