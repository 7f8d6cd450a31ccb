package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
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
	// patches counts those that were answered, over all windows.
	patches int
}

// span is a time of measuring.
type span struct{ begin, end time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.begin) && t.Before(s.end) }

// sample is what one caller saw in a span.
type sample struct {
	// times are of the requests that began in the span.
	times []time.Duration
	// done counts those that were answered in it.
	done int
}

// loop patches until the span is over and the last request is answered. Any
// error ends it: a rival that answers wrongly is not fast.
func (c *caller) loop(ctx context.Context, s span) (sample, error) {
	var seen sample
	for i := 0; time.Now().Before(s.end); i++ {
		began := time.Now()
		if err := c.patch(ctx, c.games[i%len(c.games)]); err != nil {
			return seen, err
		}
		ended := time.Now()
		if s.has(began) {
			seen.times = append(seen.times, ended.Sub(began))
		}
		if s.has(ended) {
			seen.done++
		}
	}
	return seen, nil
}

// patch moves one game to its other version and checks the answer.
func (c *caller) patch(ctx context.Context, g *game) error {
	version := g.other()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"version": version})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/api/v1/internal/runtimes/"+g.id+"/patch", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	// As long as it takes: an answer without a result would be quick.
	request.Header.Set("Prefer", "wait=60")
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read to its end
	if err != nil {
		return err
	}
	if err := checkAnswer(response.StatusCode, answer, version); err != nil {
		return fmt.Errorf("patch of %s to %s: %w", g.id, version, err)
	}
	g.version = version
	c.patches++
	return nil
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

// measureWindow has the callers warm up and then measures for a time, without a
// pause in between.
func measureWindow(ctx context.Context, callers []*caller, warmUp, length time.Duration) (report.Window, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now().Add(warmUp)
	s := span{began, began.Add(length)}
	samples := make([]sample, len(callers))
	var running sync.WaitGroup
	for i, c := range callers {
		running.Go(func() {
			var err error
			if samples[i], err = c.loop(ctx, s); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return report.Window{}, context.Cause(ctx)
	}
	var times []time.Duration
	done := 0
	for _, seen := range samples {
		times, done = append(times, seen.times...), done+seen.done
	}
	if len(times) == 0 {
		return report.Window{}, fmt.Errorf("no request began within %s: take longer windows", length)
	}
	return report.Window{Latency: measure.LatencyOf(times), PerSecond: float64(done) / length.Seconds(), Patches: done}, nil
}
