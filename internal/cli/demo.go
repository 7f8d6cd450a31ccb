package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/internal/telemetry"
)

type demoCommand struct {
	Keep bool `help:"Leave the stack up afterwards, until Ctrl-C."`
}

// demoBudget bounds the whole story; it takes seconds.
const demoBudget = 2 * time.Minute

// demoWatch is from one pass of the watch to the next, short enough to be seen
// in the UI of a stack that is kept.
const demoWatch = time.Minute

// Run plays the story on a throw-away stack. The environment is left out of it:
// a demo must never touch a database that somebody set for something else.
func (c *demoCommand) Run(p *process) error {
	fmt.Fprintln(p.stdout, "Starting a throw-away stack on free ports…")
	s, err := startStack(p.ctx, stackOptions{
		schedules: scheduleSettings{interval: demoWatch}, progress: p.stderr, logger: telemetry.NewLogger(p.stderr, "text", slog.LevelError),
	})
	if err != nil {
		return err
	}
	s.describe(p.stdout)
	err = play(p.ctx, s, p.stdout)
	switch {
	case err == nil && c.Keep:
		fmt.Fprintln(p.stdout, "\nAll three ended as they should. The stack stays up until Ctrl-C; the histories are in the Temporal UI.")
		err = s.Wait(p.ctx)
	case err == nil:
		fmt.Fprintln(p.stdout, "\nAll three ended as they should. With --keep the stack stays up, and the histories are in the Temporal UI.")
	}
	return errors.Join(err, s.Close())
}

// scene is one patch of the story and how it has to end.
type scene struct {
	title  string
	gameID string
	body   client.PatchRequest
	// during runs beside the patch.
	during func(context.Context, *stack) error
	status int
	code   patch.Code
	closes patch.Closing
	// version is what record and container have to be on in the end.
	version   string
	recreates int
}

func scenes() []scene {
	return []scene{
		{
			title: "A patch that succeeds", gameID: "demo-1", body: client.PatchRequest{Version: "1.4.3", Reason: "security fix"},
			status: http.StatusOK, closes: patch.ClosesCompleted, version: "1.4.3", recreates: 1,
		},
		{
			title: "One that is refused: another minor version", gameID: "demo-2", body: client.PatchRequest{Version: "1.5.0"},
			status: http.StatusUnprocessableEntity, code: patch.CodeSemverPatchOnly, closes: patch.ClosesCompleted,
			version: sampleVersion,
		},
		{
			title: "One whose record changes meanwhile: the compare-and-swap loses, the container goes back", gameID: "demo-3",
			body: client.PatchRequest{Version: "1.4.4"}, during: loseTheSwap,
			status: http.StatusConflict, code: patch.CodeConflict, closes: patch.ClosesCompleted,
			version: sampleVersion, recreates: 2,
		},
	}
}

func play(ctx context.Context, s *stack, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, demoBudget)
	defer cancel()
	games, err := client.New(s.apiURL, client.WithToken(devToken))
	if err != nil {
		return err
	}
	for i, scene := range scenes() {
		fmt.Fprintf(out, "\n%d. %s\n", i+1, scene.title)
		if err := scene.play(ctx, s, games, out); err != nil {
			return fmt.Errorf("scene %d: %w", i+1, err)
		}
	}
	return nil
}

func (sc scene) play(ctx context.Context, s *stack, games *client.Client, out io.Writer) error {
	done := make(chan error, 1)
	go func() {
		if sc.during == nil {
			done <- nil
			return
		}
		done <- sc.during(ctx, s)
	}()
	err := sc.ask(ctx, games, out)
	if duringErr := <-done; duringErr != nil {
		return duringErr
	}
	if err != nil {
		return err
	}
	if err := sc.showRecord(ctx, s, out); err != nil {
		return err
	}
	if err := sc.showAudit(ctx, games, out); err != nil {
		return err
	}
	return sc.showHistory(ctx, s, out)
}

// ask sends the request and shows the answer.
func (sc scene) ask(ctx context.Context, games *client.Client, out io.Writer) error {
	// The fields in the order of the document.
	body, err := json.Marshal(struct {
		Version string `json:"version"`
		Reason  string `json:"reason,omitempty"`
	}{sc.body.Version, sc.body.Reason})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "   POST /api/v1/internal/runtimes/%s/patch %s\n", sc.gameID, body)
	answer, err := games.Patch(ctx, sc.gameID, sc.body, client.PatchOptions{Wait: new(client.MaxWait)})
	problem, ok := errors.AsType[*client.Error](err)
	status := http.StatusOK
	switch {
	case ok:
		status = problem.HTTPStatus
		fmt.Fprintf(out, "   answer     %d %s: %s\n", status, problem.Code, problem.Detail)
		if sentence := undone(problem.RunID, problem.Undo); sentence != "" {
			fmt.Fprintf(out, "   undo       %s\n", sentence)
		}
		if string(problem.Code) != string(sc.code) {
			return fmt.Errorf("the answer's code is %q, want %q", problem.Code, sc.code)
		}
	case err != nil:
		return err
	case answer.State == client.StateOpen:
		status = http.StatusAccepted
	default:
		fmt.Fprintf(out, "   answer     %d %s: %s -> %s, patch %s\n", status, answer.Outcome, answer.From.Version, answer.To.Version, answer.PatchID)
	}
	if status != sc.status {
		return fmt.Errorf("the answer is HTTP %d, want %d", status, sc.status)
	}
	return nil
}

// showRecord shows record and container side by side.
func (sc scene) showRecord(ctx context.Context, s *stack, out io.Writer) error {
	record, err := postgres.NewRuntimeRecords(s.pool).Get(ctx, sc.gameID)
	if err != nil {
		return err
	}
	container, _ := s.simulator.Runtime(sc.gameID)
	fmt.Fprintf(out, "   record     %s, %s\n", record.Status, record.CurrentImageRef)
	fmt.Fprintf(out, "   container  %s, %s, recreates: %d\n", container.Status, container.ImageRef, container.Recreates)
	if record.CurrentEngineVersion != sc.version || container.ImageRef != sampleImage(sc.version) || container.Recreates != sc.recreates {
		return fmt.Errorf("record on %s, container on %s after %d recreates; want %s after %d",
			record.CurrentEngineVersion, container.ImageRef, container.Recreates, sc.version, sc.recreates)
	}
	return nil
}

// showAudit shows the audit row that the patch left.
func (sc scene) showAudit(ctx context.Context, games *client.Client, out io.Writer) error {
	list, err := games.ListRuntimeOperations(ctx, sc.gameID, client.ListRuntimeOperationsParams{})
	if err != nil {
		return err
	}
	if len(list.Operations) != 1 || list.Operations[0].ErrorCode != string(sc.code) {
		return fmt.Errorf("want one audit row with code %q, got %+v", sc.code, list.Operations)
	}
	row := list.Operations[0]
	fmt.Fprintf(out, "   audit row  #%d %s by %s: %s -> %s, %s", row.ID, row.OpKind, row.OpSource, row.FromVersion, row.ToVersion, row.Outcome)
	if row.ErrorCode != "" {
		fmt.Fprintf(out, " %s", row.ErrorCode)
	}
	fmt.Fprintln(out)
	return nil
}

// showHistory shows the steps that Temporal has kept of the run.
func (sc scene) showHistory(ctx context.Context, s *stack, out io.Writer) error {
	id := patch.WorkflowID(sc.gameID)
	// The answer comes ahead of the close. How the run closed is looked at below.
	_ = s.temporal.GetWorkflow(ctx, id, "").Get(ctx, nil)
	described, err := s.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return err
	}
	info := described.GetWorkflowExecutionInfo()
	var steps []string
	events := 0
	for history := s.temporal.GetWorkflowHistory(ctx, id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); history.HasNext(); events++ {
		event, err := history.Next()
		if err != nil {
			return err
		}
		if step := stepOf(event); step != "" {
			steps = append(steps, step)
		}
	}
	fmt.Fprintf(out, "   history    %s %s, %d events: %s\n", id, info.GetStatus(), events, strings.Join(steps, ", "))
	if info.GetStatus().String() != string(sc.closes) {
		return fmt.Errorf("the run closed as %s, want %s", info.GetStatus(), sc.closes)
	}
	return nil
}

// stepOf names the step that an event is about: an activity that is scheduled, or
// one that was run within a workflow task. Empty is neither.
func stepOf(event *historypb.HistoryEvent) string {
	if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
		return scheduled.GetActivityType().GetName()
	}
	marker := event.GetMarkerRecordedEventAttributes()
	if marker.GetMarkerName() != "LocalActivity" {
		return ""
	}
	var kept struct{ ActivityType string }
	// A marker of another shape names nothing.
	_ = converter.GetDefaultDataConverter().FromPayloads(marker.GetDetails()["data"], &kept)
	return kept.ActivityType
}

// loseTheSwap slows the recreate down and moves the record's status while it is
// under way, as the health watcher would.
func loseTheSwap(ctx context.Context, s *stack) error {
	const gameID = "demo-3"
	const slow = 1500
	fault := rtmsim.Fault{GameID: gameID, Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: slow, Times: 1}
	if err := s.simulator.PutFault(fault); err != nil {
		return err
	}
	if err := awaitCall(ctx, s.simulator, gameID); err != nil {
		return err
	}
	return postgres.NewRuntimeRecords(s.pool).UpdateStatus(ctx, ports.UpdateStatusInput{
		GameID: gameID, ExpectedFrom: runtime.StatusRunning, To: runtime.StatusEngineUnreachable, Now: time.Now().UTC(),
	})
}

// awaitCall waits until the simulator has taken the call that the game's fault
// is for: from then on the recreate is under way.
func awaitCall(ctx context.Context, simulator *rtmsim.Simulator, gameID string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		for _, fault := range simulator.Faults() {
			if fault.GameID == gameID && fault.Fired > 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the patch of %s never got to its recreate: %w", gameID, ctx.Err())
		case <-ticker.C:
		}
	}
}
