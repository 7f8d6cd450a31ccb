package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"

	"galaxy/gamemaster/bench/measure"
	"galaxy/gamemaster/bench/report"
)

// A window whose slowest request took stalledFactor times the median, and longer
// than stalledAfter, has a stall in it that is worth looking into.
const (
	stalledFactor = 10
	stalledAfter  = time.Second
)

func stalled(latency measure.Latency) bool {
	return latency.Max > stalledAfter && latency.Max > stalledFactor*latency.P50
}

// explain says where the slowest run of a game stood still; empty for a window
// without a stall, and for a rival without Temporal. What cannot be found out is
// said as well: the window was measured all the same.
func (p *place) explain(ctx context.Context, w report.Window) string {
	if p.temporal == nil || !stalled(w.Latency) {
		return ""
	}
	where, err := p.standstill(ctx, w)
	if err != nil {
		return "unknown where: " + err.Error()
	}
	return where
}

// standstill finds the run that took most of the slowest request. It may have ended
// a moment ago, and is listed a little later.
func (p *place) standstill(ctx context.Context, w report.Window) (string, error) {
	connection, err := p.dialTemporal(ctx)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	deadline := time.Now().Add(settleTimeout)
	for {
		run, took, err := p.longestRun(ctx, connection, w.Slowest)
		if err != nil {
			return "", err
		}
		if took > w.Latency.Max/2 {
			events, err := history(ctx, connection, run.GetWorkflowId(), run.GetRunId())
			gap := measure.LongestGap(events)
			return fmt.Sprintf("%s between %s and %s, of a run of %s", gap.Length, gap.After, gap.Before, took), err
		}
		if time.Now().After(deadline) {
			return fmt.Sprintf("%s, outside of its run, which took %s at most", w.Latency.Max, took), nil
		}
		wait(ctx, settleEvery)
	}
}

// longestRun returns the run of a game that took longest, of those that are listed.
func (p *place) longestRun(ctx context.Context, c client.Client, gameID string) (longest *commonpb.WorkflowExecution, took time.Duration, err error) {
	listed, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("WorkflowId = %q", p.rival.workflowID(gameID)),
	})
	for _, run := range listed.GetExecutions() {
		if d := run.GetExecutionDuration().AsDuration(); d > took {
			longest, took = run.GetExecution(), d
		}
	}
	return longest, took, err
}

// dialTemporal connects to the place's server.
func (p *place) dialTemporal(ctx context.Context) (client.Client, error) {
	return client.DialContext(ctx, client.Options{
		HostPort: p.temporal.Address(), Logger: temporallog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
}

func history(ctx context.Context, c client.Client, workflowID, runID string) ([]*historypb.HistoryEvent, error) {
	var events []*historypb.HistoryEvent
	pages := c.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for pages.HasNext() {
		event, err := pages.Next()
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}
