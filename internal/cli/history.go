package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	historypb "go.temporal.io/api/history/v1"
	temporal "go.temporal.io/sdk/client"

	"galaxy/gamemaster/client"
)

type patchesHistoryCommand struct {
	ID    string `arg:"" name:"id" help:"Patch to read the history of."`
	RunID string `name:"run" help:"Which of its runs; the latest by default."`
	remote
}

// Run shows the history: a timeline for people, and with --json the events as
// `temporal workflow show --output json` prints them.
func (c *patchesHistoryCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		told, err := games.GetPatchHistory(ctx, c.ID, c.RunID)
		switch {
		case err != nil:
			return err
		case c.JSON:
			return printJSON(p.stdout, told.History)
		}
		events, err := temporal.HistoryFromJSON(bytes.NewReader(told.History), temporal.HistoryJSONOptions{})
		if err != nil {
			return fmt.Errorf("the history cannot be read, see it with --json: %w", err)
		}
		printHistory(p, told, events)
		return nil
	})
}

// printHistory prints the run, what people did to it and to the other runs of the
// patch, and its timeline: when, the event's number, what happened, and the detail.
// Last stands what began and did not end.
func printHistory(p *process, told client.PatchHistory, events *historypb.History) {
	run := told.Run
	replays := ""
	if run.Source == "export" {
		replays = "yes"
		if run.ReplayError != "" {
			replays = "no: " + run.ReplayError
		}
	}
	status := "closed as"
	if run.ClosedAt.IsZero() {
		status = "is"
	}
	printFields(p.stdout,
		field{"patch", told.PatchID}, field{"workflow", run.WorkflowID}, field{"run", run.RunID}, field{status, run.Status},
		field{"from", run.Source}, field{"exported", run.ExportedAt}, field{"replays", replays},
	)
	for _, one := range told.Interventions {
		fmt.Fprintln(p.stdout, interventionText(one, run.RunID))
	}
	t := timeline{steps: map[int64]*step{}}
	for _, event := range events.GetEvents() {
		what, detail := t.tell(event)
		if what == "" {
			continue
		}
		fmt.Fprintln(p.stdout, timelineText(event, what, detail))
	}
	for _, begun := range t.unended() {
		fmt.Fprintln(p.stdout, timelineText(begun.began, begun.name+" began", "its end is not told"))
	}
	for _, other := range told.Runs {
		if other.RunID != run.RunID {
			fmt.Fprintf(p.stdout, "another run: --run %s, %s at %s\n", printable(other.RunID), printable(other.Status), textOf(other.ClosedAt))
		}
	}
}

// timelineText is a line of the timeline.
func timelineText(event *historypb.HistoryEvent, what, detail string) string {
	return strings.TrimRight(fmt.Sprintf("%s %4d  %-34s %s",
		event.GetEventTime().AsTime().Format("2006-01-02 15:04:05.000Z"), event.GetEventId(), cell(what, 60), cell(detail, 300)), " ")
}

// interventionText tells what somebody did, and to which run, unless it is the one
// that is shown.
func interventionText(one client.Intervention, shown string) string {
	words := map[string]string{
		"start": "started by hand", "cancel": "cancel requested", "terminate": "terminated", "pause": "paused", "unpause": "unpaused",
	}
	text := one.Action
	if word, known := words[one.Action]; known {
		text = word
	}
	if one.By != "" {
		text += " by " + one.By
	}
	if one.Reason != "" {
		text += ": " + one.Reason
	}
	if one.RunID != shown {
		text += " (run " + one.RunID + ")"
	}
	return one.At.UTC().Format("2006-01-02 15:04:05.000Z") + "       " + cell(text, 1500)
}
