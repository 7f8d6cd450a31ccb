package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"galaxy/gamemaster/api/contract"
)

// Readiness is the report of all checks.
type Readiness struct {
	// Status is "ready", "not_ready" or "draining".
	Status string `json:"status"`
	// Checks has each part with "ok" or its error.
	Checks map[string]string `json:"checks"`
}

// Values of a readiness report.
const (
	statusReady    = "ready"
	statusNotReady = "not_ready"
	statusDraining = "draining"
	checkOK        = "ok"
	// checkFailing stands for the error in the answer that everybody gets.
	checkFailing = "failing"
)

// GetHealth says that the process answers, whatever the state of its
// surroundings: restarting it would not mend those.
func (server *Server) GetHealth(context.Context, contract.GetHealthRequestObject) (contract.GetHealthResponseObject, error) {
	return contract.GetHealth200JSONResponse{Body: contract.Health{Status: checkOK}}, nil
}

// GetReadiness says whether requests should be sent here: 200, or 503 with the
// part that is missing. Errors name hosts and users, so that strangers are only
// told that there is one.
func (server *Server) GetReadiness(context.Context, contract.GetReadinessRequestObject) (contract.GetReadinessResponseObject, error) {
	report := server.readiness.report()
	server.readiness.logChange(server.logger, report)
	if server.draining() {
		report.Status = statusDraining
	}
	told := contract.Readiness{Status: report.Status, Checks: map[string]string{}}
	for name, verdict := range report.Checks {
		if verdict != checkOK {
			verdict = checkFailing
		}
		told.Checks[name] = verdict
	}
	if report.Status != statusReady {
		return contract.GetReadiness503JSONResponse{Body: told}, nil
	}
	return contract.GetReadiness200JSONResponse{Body: told}, nil
}

// Probes answers /healthz and /readyz as a [Server] does, for processes that
// have no REST door, such as workers.
func Probes(checks []Check) http.Handler {
	ready := newReadiness(checks)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) {
		writeProbe(w, http.StatusOK, contract.Health{Status: checkOK})
	})
	mux.HandleFunc("GET "+readyPath, func(w http.ResponseWriter, _ *http.Request) {
		report := ready.report()
		status := http.StatusOK
		if report.Status != statusReady {
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

	// logged is the report that was logged last, as JSON.
	logged atomic.Pointer[string]
}

// logChange logs the report when it is another than the last one: it is where
// operators find why a server is not ready.
func (readiness *readiness) logChange(logger *slog.Logger, report Readiness) {
	encoded, err := json.Marshal(report)
	if err != nil {
		return // two strings and a map of strings
	}
	text := string(encoded)
	if before := readiness.logged.Swap(&text); before != nil && *before == text {
		return
	}
	level := slog.LevelInfo
	if report.Status != statusReady {
		level = slog.LevelWarn
	}
	logger.Log(context.Background(), level, "readiness", slog.String("status", report.Status), slog.Any("checks", report.Checks))
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
	report := Readiness{Status: statusReady, Checks: make(map[string]string, len(checks))}
	for i, check := range checks {
		report.Checks[check.Name] = checkOK
		if err := verdict(ctx, verdicts[i]); err != nil {
			report.Checks[check.Name] = err.Error()
			report.Status = statusNotReady
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
