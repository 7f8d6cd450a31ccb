package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"galaxy/gamemaster/bench/measure"
	"galaxy/gamemaster/bench/report"
)

// gamesPerCaller lets a game rest between two patches, so that a rival which
// answers before its last step is through is not asked again too early.
const gamesPerCaller = 4

// requestTimeout bounds one request: longer than any answer of a rival that
// works, which takes seconds when 128 callers queue for a slow one.
const requestTimeout = 90 * time.Second

// game is one game of a caller. The version is what it was last moved to.
type game struct {
	id      string
	version string
}

// other is the version that the game is not on.
func (g *game) other() string {
	if g.version == fromVersion {
		return toVersion
	}
	return fromVersion
}

// caller patches its own games, one after the other and the next as soon as the
// one before is answered.
type caller struct {
	client *http.Client
	url    string
	token  string
	games  []*game
	// patches counts those that were answered, over all windows, and repeated the
	// requests that were sent again.
	patches, repeated int
}

// request is one that was answered.
type request struct {
	game         string
	began, ended time.Time
}

// loop patches until stop is closed, and returns when its last request is
// answered. It tells of each answer. Any error ends it: a rival that answers
// wrongly is not fast.
func (c *caller) loop(ctx context.Context, stop <-chan struct{}, told func()) ([]request, error) {
	var answered []request
	for i := 0; ; i++ {
		select {
		case <-stop:
			return answered, nil
		default:
		}
		began, g := time.Now(), c.games[i%len(c.games)]
		if err := c.patch(ctx, g); err != nil {
			return answered, err
		}
		answered = append(answered, request{g.id, began, time.Now()})
		told()
	}
}

// patch moves one game to its other version and checks the answer.
func (c *caller) patch(ctx context.Context, g *game) error {
	version := g.other()
	// As long as it takes: an answer without a result would be quick.
	status, body, err := c.send(ctx, g, version, "wait=60")
	if err == nil {
		err = checkAnswer(status, body, version)
	}
	if err != nil {
		return fmt.Errorf("patch of %s to %s: %w", g.id, version, err)
	}
	g.version = version
	c.patches++
	return nil
}

// send asks for a patch, and returns the answer whatever it says.
func (c *caller) send(ctx context.Context, g *game, version, prefer string) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"version": version})
	if err != nil {
		return 0, nil, err
	}
	target := c.url + "/api/v1/internal/runtimes/" + g.id + "/patch"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Prefer", prefer)
	response, err := c.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read to its end
	return response.StatusCode, answer, err
}

// checkAnswer reads the answer of any rival: a success that recreated the game on
// the version.
func checkAnswer(status int, body []byte, version string) error {
	var said struct {
		Outcome string `json:"outcome"`
		Noop    bool   `json:"noop"`
		To      struct {
			Version string `json:"version"`
		} `json:"to"`
		ToVersion string `json:"to_version"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &said) != nil || said.Outcome != "success" || said.Noop ||
		(said.To.Version != version && said.ToVersion != version) {
		return fmt.Errorf("HTTP %d: %s", status, bytes.TrimSpace(body))
	}
	return nil
}

const (
	// enough answers make a median of them; a window with fewer is stretched. More
	// would have a round take longer than the machine keeps its speed.
	enough = 10
	// maxStretch is how many times as long it may become.
	maxStretch = 4
)

// measureWindow has the callers warm up, for the time that is given and until each
// was answered once, and then measures for a time, without a pause in between. A
// window with few answers is stretched.
func measureWindow(ctx context.Context, callers []*caller, warmUp, length time.Duration) (report.Window, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	answered := make([][]request, len(callers))
	var total atomic.Int64
	var running, cold sync.WaitGroup
	cold.Add(len(callers))
	for i, c := range callers {
		running.Go(func() {
			warm := sync.OnceFunc(cold.Done)
			defer warm()
			var err error
			if answered[i], err = c.loop(ctx, stop, func() { warm(); total.Add(1) }); err != nil {
				cancel(err)
			}
		})
	}
	wait(ctx, warmUp)
	cold.Wait()
	begin, before := time.Now(), total.Load()
	for range maxStretch {
		wait(ctx, length)
		if total.Load()-before >= enough {
			break
		}
	}
	end := time.Now()
	close(stop)
	running.Wait()
	if ctx.Err() != nil {
		return report.Window{}, context.Cause(ctx)
	}
	w := windowOf(answered, begin, end)
	if w.Latency.N == 0 {
		// Figures of nothing would look good.
		return report.Window{}, fmt.Errorf("no request began within %s: take longer windows", length)
	}
	return w, nil
}

// wait waits that long, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// windowOf sums up what was answered: times are of the requests that began between
// begin and end, whenever they ended, and the rate is of those that ended in
// between.
func windowOf(answered [][]request, begin, end time.Time) report.Window {
	within := func(t time.Time) bool { return !t.Before(begin) && t.Before(end) }
	var w report.Window
	var times []time.Duration
	var longest time.Duration
	for _, requests := range answered {
		for _, r := range requests {
			if within(r.ended) {
				w.Patches++
			}
			if !within(r.began) {
				continue
			}
			took := r.ended.Sub(r.began)
			if times = append(times, took); took > longest {
				longest, w.Slowest = took, r.game
			}
		}
	}
	w.Latency, w.PerSecond = measure.LatencyOf(times), float64(w.Patches)/end.Sub(begin).Seconds()
	return w
}
