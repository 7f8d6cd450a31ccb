package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// Health is the answer of /healthz.
type Health struct {
	Status string `json:"status"`
}

// Readiness is the answer of /readyz.
type Readiness struct {
	// Status is "ready", "not_ready" or "draining".
	Status string `json:"status"`
	// Checks has each part with "ok" or its error.
	Checks map[string]string `json:"checks"`
}

// healthz says that the process answers, whatever the state of its
// surroundings: restarting it would not mend those.
func (server *Server) healthz(c *gin.Context) {
	server.reply(c, http.StatusOK, Health{Status: "ok"})
}

// readyz says whether requests should be sent here: 200, or 503 with the part
// that is missing.
func (server *Server) readyz(c *gin.Context) {
	report := server.readiness.report()
	status := http.StatusOK
	if server.draining() {
		report.Status = "draining"
	}
	if report.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	server.reply(c, status, report)
}

// Probes answers /healthz and /readyz as a [Server] does, for processes that
// have no REST door, such as workers.
func Probes(checks []Check) http.Handler {
	ready := newReadiness(checks)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeProbe(w, http.StatusOK, Health{Status: "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		report := ready.report()
		status := http.StatusOK
		if report.Status != "ready" {
			status = http.StatusServiceUnavailable
		}
		writeProbe(w, status, report)
	})
	return mux
}

func writeProbe(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// Who probes and goes away does not want the answer.
	_ = json.NewEncoder(w).Encode(body)
}

// readiness asks the checks, at most once per checkAge.
type readiness struct {
	checks []Check

	turn chan struct{} // holds one while a report is made or read
	at   time.Time
	last Readiness
}

func newReadiness(checks []Check) *readiness {
	return &readiness{checks: checks, turn: make(chan struct{}, 1)}
}

// report returns the last report while it is fresh and otherwise a new one.
// Probes that come meanwhile wait for it; its time is bounded.
func (readiness *readiness) report() Readiness {
	readiness.turn <- struct{}{}
	defer func() { <-readiness.turn }()
	if readiness.at.IsZero() || time.Since(readiness.at) >= checkAge {
		readiness.last = ask(readiness.checks)
		readiness.at = time.Now()
	}
	return Readiness{Status: readiness.last.Status, Checks: maps.Clone(readiness.last.Checks)}
}

// ask runs all checks at once. They do not run under the probe's context: the
// report is for others too.
func ask(checks []Check) Readiness {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	verdicts := make([]chan error, len(checks))
	for i, check := range checks {
		verdicts[i] = make(chan error, 1)
		go func() { verdicts[i] <- guarded(ctx, check) }()
	}
	report := Readiness{Status: "ready", Checks: make(map[string]string, len(checks))}
	for i, check := range checks {
		report.Checks[check.Name] = "ok"
		if err := verdict(ctx, verdicts[i]); err != nil {
			report.Checks[check.Name] = err.Error()
			report.Status = "not_ready"
		}
	}
	return report
}

// verdict waits for one check, and no longer than ctx: a check that hangs must
// not hang the probe.
func verdict(ctx context.Context, arrives <-chan error) error {
	select {
	case err := <-arrives:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-arrives:
		return err
	default:
		return fmt.Errorf("no answer within %s", checkTimeout)
	}
}

// guarded keeps a check that panics from taking the process down: nothing else
// would recover in its goroutine.
func guarded(ctx context.Context, check Check) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the check panicked: %v", cause)
		}
	}()
	return check.Check(ctx)
}
