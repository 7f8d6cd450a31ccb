package cli_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"galaxy/gamemaster/internal/cli"
	"galaxy/gamemaster/internal/devstack/stacktest"
)

func TestMain(m *testing.M) {
	// What the shell that runs the tests has set is not theirs.
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "GAMEMASTER_") && !strings.HasPrefix(name, "GAMEMASTER_TEST_") {
			_ = os.Unsetenv(name)
		}
	}
	stacktest.Main(m)
}

const (
	token    = "not-to-be-seen-anywhere"
	patchID  = "demo-1.ie6lo7c3uipa373oksugz6isl4"
	prefix   = "/api/v1/internal"
	runtime1 = `{"game_id":"demo-1","status":"running","current_image_ref":"registry.example/engine:1.4.2","current_engine_version":"1.4.2",
		"engine_health":"healthy","next_generation_at":"2026-03-01T18:00:00Z","skip_next_tick":true,"current_turn":12,
		"created_at":"2026-02-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z","started_at":null,"stopped_at":null,"finished_at":null}`
	version1 = `{"version":"1.4.3","image_ref":"registry.example/engine:1.4.3","status":"active",
		"created_at":"2026-02-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z","used_by":{"count":2,"game_ids":["demo-1"]}}`
	opened   = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"open"}`
	patching = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"open",
		"phase":"patching","step":"PatchContainer","attempts":2,"last_error":"runtime manager unavailable: HTTP 503",
		"from":{"version":"1.4.2","image_ref":"a"},"to":{"version":"1.4.3","image_ref":"b"},"actor":"ops","started_at":"2026-03-01T12:00:00Z"}`
	done = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"closed","outcome":"success",
		"noop":false,"from":{"version":"1.4.2","image_ref":"a"},"to":{"version":"1.4.3","image_ref":"b"}}`
	noop = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"closed","outcome":"success",
		"noop":true,"from":{"version":"1.4.3","image_ref":"b"},"to":{"version":"1.4.3","image_ref":"b"}}`
	conflicted = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"closed","outcome":"failure",
		"noop":false,"code":"conflict","message":"the record changed","undo":{"line":"recreated","row_status":"running","row":{"version":"1.4.2","image_ref":"a"}}}`
	doubted = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"open",
		"phase":"needs_operator","last_error":"runtime manager unavailable","from":{"version":"1.4.2","image_ref":"a"},"to":{"version":"1.4.3","image_ref":"b"}}`
	reconciling = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"open","kind":"reconcile","mode":"enforce"}`
	reconciled  = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"closed","kind":"reconcile",
		"outcome":"success","noop":false,"from":{"version":"1.4.3","image_ref":"b"},"to":{"version":"1.4.3","image_ref":"b"}}`
	terminated = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"closed","outcome":"failure",
		"noop":false,"code":"terminated","message":"nothing was compensated"}`
	finding1 = `{"id":7,"game_id":"demo-1","kind":"image_drift","record":{"status":"running","version":"1.4.3","image_ref":"registry.example/engine:1.4.3"},
		"container":{"image_ref":"registry.example/engine:1.4.2","status":"up\u001b[31m","running":true},
		"first_seen_at":"2026-03-01T12:00:00Z","last_seen_at":"2026-03-01T12:10:00Z","resolved_at":null}`
	finding2 = `{"id":6,"game_id":"demo-2","kind":"missing","record":{"status":"running","version":"1.4.3","image_ref":"b"},
		"container":{"image_ref":"","status":"","running":false},
		"first_seen_at":"2026-03-01T12:00:00Z","last_seen_at":"2026-03-01T12:05:00Z","resolved_at":"2026-03-01T12:10:00Z"}`
	pass1 = `{"id":"r","started_at":"2026-03-01T12:10:00Z","finished_at":"2026-03-01T12:10:04Z",
		"counts":{"checked":120,"in_sync":118,"image_drift":1,"missing":1,"extra":0,"skipped":2,"unknown":3}}`
	failed = `{"patch_id":"` + patchID + `","workflow_id":"patch-runtime/demo-1","run_id":"r","game_id":"demo-1","state":"closed","outcome":"failure",
		"noop":false,"code":"service_unavailable","message":"runtime manager unavailable"}`
	operation1 = `{"id":42,"game_id":"demo-1","op_kind":"patch","op_source":"admin_cli","source_ref":"","actor":"ops","outcome":"failure",
		"error_code":"conflict","error_message":"","started_at":"2026-03-01T12:00:00Z","finished_at":null,"patch_id":"","run_id":"",
		"reason":"two\nlines\u001b[31m","noop":false,"from_version":"1.4.2","from_image_ref":"a","to_version":"1.4.3","to_image_ref":"b","undo":""}`
	operation2 = `{"id":41,"game_id":"demo-1","op_kind":"patch","op_source":"admin_cli","source_ref":"","actor":"ops","outcome":"success",
		"error_code":"","error_message":"","started_at":"2026-02-01T12:00:00Z","finished_at":null,"patch_id":"","run_id":"",
		"reason":"","noop":false,"from_version":"1.4.1","from_image_ref":"a","to_version":"1.4.2","to_image_ref":"b","undo":""}`
)

// reply is one answer; a status from 400 up is answered as a problem.
type reply struct {
	status int
	body   string
}

func ok(body string) reply { return reply{http.StatusOK, body} }

func problem(status int, code, detail string) reply {
	return reply{status, `{"code":"` + code + `","detail":"` + detail + `","request_id":"5f0c8b1e"}`}
}

// server is an API that answers what it is told, under "METHOD path?query"; the
// last reply of each is given to all further requests.
type server struct {
	*httptest.Server

	mu      sync.Mutex
	replies map[string][]reply
	asked   []string
	bodies  []string
	tokens  []string
}

func newServer(t *testing.T, replies map[string][]reply) *server {
	t.Helper()
	s := &server{replies: replies}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	target := r.Method + " " + strings.TrimPrefix(r.URL.RequestURI(), prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, target)
	s.bodies = append(s.bodies, string(body))
	s.tokens = append(s.tokens, r.Header.Get("Authorization"))
	left := s.replies[target]
	if len(left) == 0 {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if len(left) > 1 {
		s.replies[target] = left[1:]
	}
	kind := "application/json"
	if left[0].status >= http.StatusBadRequest {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(left[0].status)
	_, _ = io.WriteString(w, left[0].body)
}

// run runs a command against the server.
func (s *server) run(shell cli.Shell, args ...string) (code int, stdout, stderr string) {
	return shell.Run(append(args, "--server", s.URL, "--token", token)...)
}
