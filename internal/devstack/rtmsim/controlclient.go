package rtmsim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// controlTimeout bounds one request of a [Control]. The simulator answers from
// memory; the largest page of the log takes well under a second, and the rest is
// for a machine that is busy with whatever is tried out on it.
const controlTimeout = 30 * time.Second

// Control drives the control API of a simulator in another process. Its methods
// are those of [Simulator], over HTTP. It is safe for concurrent use.
type Control struct {
	base   string
	client *http.Client
}

// NewControl returns a client of the simulator at baseURL, such as
// http://127.0.0.1:8090. A URL that leads nowhere shows at the first request.
func NewControl(baseURL string) *Control {
	return &Control{
		base: strings.TrimRight(baseURL, "/"),
		// A transport of its own, without a proxy: the simulator is on this
		// machine, and Close must not drop anybody else's connections.
		client: &http.Client{Transport: &http.Transport{}, Timeout: controlTimeout},
	}
}

// Close drops the idle connections.
func (c *Control) Close() { c.client.CloseIdleConnections() }

// ControlError is an answer of the simulator that is not a success.
type ControlError struct {
	// Request is the method and the path that were asked for.
	Request string
	// Status is the HTTP status.
	Status int
	// Code and Message are what the simulator said; empty when it was not the
	// simulator that answered.
	Code    string
	Message string
}

// Error names the request, the status and what was said.
func (e *ControlError) Error() string {
	return fmt.Sprintf("simulator: %s: HTTP %d %s: %s", e.Request, e.Status, e.Code, e.Message)
}

// Healthy returns nil when the simulator answers.
func (c *Control) Healthy(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/healthz", nil, nil)
}

// PutRuntime puts a container there; see [Simulator.PutRuntime].
func (c *Control) PutRuntime(ctx context.Context, gameID, imageRef, status string) error {
	body := map[string]string{"image_ref": imageRef}
	if status != "" {
		body["status"] = status
	}
	return c.do(ctx, http.MethodPut, runtimePath(gameID), body, nil)
}

// Runtime returns what is known of gameID; false when it has no container.
func (c *Control) Runtime(ctx context.Context, gameID string) (Runtime, bool, error) {
	var found Runtime
	exists, err := missing(c.do(ctx, http.MethodGet, runtimePath(gameID), nil, &found), noRuntime)
	return found, exists, err
}

// Runtimes returns everything, by game id.
func (c *Control) Runtimes(ctx context.Context) ([]Runtime, error) {
	var list struct {
		Runtimes []Runtime `json:"runtimes"`
	}
	err := c.do(ctx, http.MethodGet, "/sim/runtimes", nil, &list)
	return list.Runtimes, err
}

// DeleteRuntime forgets gameID, and reports whether there was a container; see
// [Simulator.DeleteRuntime].
func (c *Control) DeleteRuntime(ctx context.Context, gameID string) (bool, error) {
	return missing(c.do(ctx, http.MethodDelete, runtimePath(gameID), nil, nil), noRuntime)
}

// PutFault adds a fault behind those that are there.
func (c *Control) PutFault(ctx context.Context, fault Fault) error {
	return c.do(ctx, http.MethodPut, "/sim/faults", fault, nil)
}

// Faults returns every fault that was not removed, in order of putting.
func (c *Control) Faults(ctx context.Context) ([]FaultReport, error) {
	var list struct {
		Faults []FaultReport `json:"faults"`
	}
	err := c.do(ctx, http.MethodGet, "/sim/faults", nil, &list)
	return list.Faults, err
}

// ClearFaults removes every fault.
func (c *Control) ClearFaults(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/sim/faults", nil, nil)
}

// DeleteFaultsOf removes the faults of one game; see [Simulator.DeleteFaultsOf].
func (c *Control) DeleteFaultsOf(ctx context.Context, gameID string) error {
	query := url.Values{"game_id": {gameID}}
	return c.do(ctx, http.MethodDelete, "/sim/faults?"+query.Encode(), nil, nil)
}

// ReleaseFault lets go of the calls that the faults of that name hold, and reports
// whether there is one; see [Simulator.ReleaseFault].
func (c *Control) ReleaseFault(ctx context.Context, name string) (bool, error) {
	query := url.Values{"name": {name}}
	return missing(c.do(ctx, http.MethodDelete, "/sim/faults?"+query.Encode(), nil, nil), "fault_not_found")
}

// SetFencing switches fencing on or off; see [Simulator.SetFencing].
func (c *Control) SetFencing(ctx context.Context, enabled bool) error {
	return c.do(ctx, http.MethodPut, "/sim/fencing", map[string]bool{"enabled": enabled}, nil)
}

// Log returns one page of the log.
func (c *Control) Log(ctx context.Context, query LogQuery) (LogPage, error) {
	values := url.Values{"after": {strconv.FormatInt(query.After, 10)}, "limit": {strconv.Itoa(query.Limit)}}
	if query.GameID != "" {
		values.Set("game_id", query.GameID)
	}
	var page LogPage
	err := c.do(ctx, http.MethodGet, "/sim/log?"+values.Encode(), nil, &page)
	return page, err
}

// WholeLog returns all pages of the log as one, of one game or, when gameID is
// empty, of all. It may take calls with it that arrive meanwhile, and is to be
// asked for when all is quiet.
func (c *Control) WholeLog(ctx context.Context, gameID string) (LogPage, error) {
	whole := LogPage{Entries: []LogEntry{}}
	for {
		page, err := c.Log(ctx, LogQuery{After: whole.Last, GameID: gameID, Limit: maxLogLimit})
		if err != nil {
			return LogPage{}, err
		}
		whole.Entries = append(whole.Entries, page.Entries...)
		whole.Last, whole.Dropped = page.Last, page.Dropped
		if len(page.Entries) < maxLogLimit {
			return whole, nil
		}
	}
}

func runtimePath(gameID string) string { return "/sim/runtimes/" + url.PathEscape(gameID) }

// noRuntime is the code of the answer that there is no container.
const noRuntime = "runtime_not_found"

// missing turns an answer with the code into false.
func missing(err error, code string) (bool, error) {
	if failure, ok := errors.AsType[*ControlError](err); ok && failure.Code == code {
		return false, nil
	}
	return err == nil, err
}

// do makes one request and reads its answer into into, unless that is nil. The
// error is a [*ControlError] when there was an answer.
func (c *Control) do(ctx context.Context, method, path string, body, into any) error {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("simulator: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // nothing was written; there is nothing to lose
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode/100 != 2 {
		return controlError(method+" "+path, response.StatusCode, answer)
	}
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		return fmt.Errorf("simulator: %s %s: %w", method, path, err)
	}
	return nil
}

func controlError(request string, status int, answer []byte) error {
	var envelope struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(answer, &envelope) // the status says enough
	return &ControlError{request, status, envelope.Error.Code, envelope.Error.Message}
}
