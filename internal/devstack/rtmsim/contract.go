package rtmsim

import (
	"net/http"
	"strings"
)

func (s *Simulator) routes() {
	const (
		patch    = "/api/v1/internal/runtimes/{game_id}/patch"
		inspect  = "/api/v1/internal/runtimes/{game_id}"
		fence    = "/api/v1/internal/runtimes/{game_id}/fence"
		runtimes = "/sim/runtimes"
		runtime  = "/sim/runtimes/{game_id}"
		faults   = "/sim/faults"
		fencing  = "/sim/fencing"
		log      = "/sim/log"
		health   = "/healthz"
	)
	s.mux.HandleFunc("POST "+patch, s.servePatch)
	s.mux.HandleFunc("GET "+inspect, s.serveInspect)
	s.mux.HandleFunc("PUT "+fence, s.serveFence)
	s.mux.HandleFunc("GET "+runtimes, s.serveListRuntimes)
	s.mux.HandleFunc("GET "+runtime, s.serveRuntime)
	s.mux.HandleFunc("PUT "+runtime, s.servePutRuntime)
	s.mux.HandleFunc("DELETE "+runtime, s.serveDeleteRuntime)
	s.mux.HandleFunc("GET "+faults, s.serveListFaults)
	s.mux.HandleFunc("PUT "+faults, s.servePutFault)
	s.mux.HandleFunc("DELETE "+faults, s.serveClearFaults)
	s.mux.HandleFunc("GET "+fencing, s.serveFencing)
	s.mux.HandleFunc("PUT "+fencing, s.servePutFencing)
	s.mux.HandleFunc("GET "+log, s.serveLog)
	s.mux.HandleFunc("GET "+health, serveHealth)

	// Without these the mux would answer in plain text.
	s.mux.HandleFunc(patch, refuseMethod("POST"))
	s.mux.HandleFunc(inspect, refuseMethod("GET"))
	s.mux.HandleFunc(fence, refuseMethod("PUT"))
	s.mux.HandleFunc(runtimes, refuseMethod("GET"))
	s.mux.HandleFunc(runtime, refuseMethod("GET, PUT, DELETE"))
	s.mux.HandleFunc(faults, refuseMethod("GET, PUT, DELETE"))
	s.mux.HandleFunc(fencing, refuseMethod("GET, PUT"))
	s.mux.HandleFunc(log, refuseMethod("GET"))
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
	c := call{op: OpPatch, gameID: r.PathValue("game_id"), key: r.Header.Get("Idempotency-Key")}
	var body struct {
		ImageRef string `json:"image_ref"`
	}
	c.invalid = decode(w, r, &body)
	c.imageRef = body.ImageRef
	if c.invalid == nil {
		c.invalid = checkText("image_ref", c.imageRef, maxImageRef)
	}
	if c.invalid == nil {
		c.invalid = checkKey(c.key)
	}
	c.fence, c.invalidFence = fenceOf(r.Header)
	s.serveCall(w, r, c)
}

func (s *Simulator) serveInspect(w http.ResponseWriter, r *http.Request) {
	s.serveCall(w, r, call{op: OpInspect, gameID: r.PathValue("game_id")})
}

func (s *Simulator) serveFence(w http.ResponseWriter, r *http.Request) {
	c := call{op: OpFence, gameID: r.PathValue("game_id")}
	var body struct {
		Fence int64 `json:"fence"`
	}
	c.invalidFence = decode(w, r, &body)
	if c.invalidFence == nil {
		c.invalidFence = checkFence("fence", body.Fence)
	}
	if c.invalidFence == nil {
		c.fence, c.invalidFence = body.Fence, checkGameID(c.gameID)
	}
	s.serveCall(w, r, c)
}

func checkKey(key string) error {
	invisible := func(char rune) bool { return char <= ' ' || char > '~' }
	if key == "" || len(key) > maxText || strings.ContainsFunc(key, invisible) {
		return &InputError{"Idempotency-Key", "must be 1 to 255 bytes of visible ASCII"}
	}
	return nil
}
