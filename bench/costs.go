package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"galaxy/gamemaster/bench/measure"
	"galaxy/gamemaster/bench/report"
	"galaxy/gamemaster/internal/devstack"
)

const (
	// costPatches are counted, one after the other, behind costWarmUp of them: by
	// then the statements are prepared.
	costPatches = 40
	costWarmUp  = 16
	// costSettle is what a rival gets for what it does behind its answers, such as
	// River's batches of completed jobs.
	costSettle = time.Second
)

// costOf counts what a patch of the rival takes.
func (s *stack) costOf(ctx context.Context, r rival, setting temporalSetting, fleet int) (_ report.Cost, err error) {
	p, err := s.openPlace(ctx, placeOptions{rival: r, setting: setting, callers: 1, counted: true, quiet: true, fleet: fleet})
	if err != nil {
		return report.Cost{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.patchMany(ctx, costWarmUp); err != nil {
		return report.Cost{}, err
	}
	statements, roundTrips := p.proxy.Count()
	before, err := serverActions(ctx, p.temporal)
	if err != nil {
		return report.Cost{}, err
	}
	if err := p.patchMany(ctx, costPatches); err != nil {
		return report.Cost{}, err
	}
	statementsNow, roundTripsNow := p.proxy.Count()
	after, err := serverActions(ctx, p.temporal)
	if err != nil {
		return report.Cost{}, err
	}
	each := func(n float64) float64 { return n / costPatches }
	c := report.Cost{
		Rival: r.name, Statements: each(float64(statementsNow - statements)), RoundTrips: each(float64(roundTripsNow - roundTrips)),
	}
	if r.workflowID != nil {
		c.Heartbeats, c.ServerActions = each(after.Heartbeats-before.Heartbeats), each(after.All-before.All)
		if err := p.addHistory(ctx, &c); err != nil {
			return report.Cost{}, err
		}
	}
	return c, p.check(ctx)
}

// patchMany has the first caller patch n times and waits until all of it is over.
func (p *place) patchMany(ctx context.Context, n int) error {
	c := p.callers[0]
	for i := range n {
		if err := c.patch(ctx, c.games[i%len(c.games)]); err != nil {
			return fmt.Errorf("%s: %w", p.rival.name, err)
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(costSettle):
		return nil
	}
}

// addHistory reads the last run of each game.
func (p *place) addHistory(ctx context.Context, c *report.Cost) error {
	connection, err := p.dialTemporal(ctx)
	if err != nil {
		return err
	}
	defer connection.Close()
	c.Kinds = map[string]float64{}
	games := p.callers[0].games
	each := func(n float64) float64 { return n / float64(len(games)) }
	for _, g := range games {
		described, err := connection.DescribeWorkflowExecution(ctx, p.rival.workflowID(g.id), "")
		if err != nil {
			return err
		}
		info := described.GetWorkflowExecutionInfo()
		c.Events += each(float64(info.GetHistoryLength()))
		c.HistoryBytes += each(float64(info.GetHistorySizeBytes()))
		events, err := history(ctx, connection, p.rival.workflowID(g.id), info.GetExecution().GetRunId())
		if err != nil {
			return err
		}
		c.Actions += each(float64(measure.Actions(events)))
		for _, event := range events {
			c.Kinds[event.GetEventType().String()] += each(1)
		}
	}
	c.Actions += c.Heartbeats
	return nil
}

// scrapeTimeout bounds one look at the server's metrics, which takes milliseconds.
const scrapeTimeout = 5 * time.Second

// serverActions reads what the Temporal server has counted since it started;
// nothing without one.
func serverActions(ctx context.Context, temporal *devstack.Temporal) (measure.Counted, error) {
	if temporal == nil {
		return measure.Counted{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, temporal.MetricsURL(), nil)
	if err != nil {
		return measure.Counted{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return measure.Counted{}, fmt.Errorf("metrics of Temporal: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was read
	return measure.ServerActions(response.Body)
}
