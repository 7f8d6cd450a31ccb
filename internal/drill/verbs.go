package drill

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	temporal "go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/workflows"
)

// RTM has Runtime Manager misbehave towards the game, and returns the fault's
// name.
func (g *Game) RTM(fault rtmsim.Fault) (name string) {
	simulator := g.cell.Stack.Simulator
	name = g.Plan(LayerManager, fmt.Sprintf("%s-%s", fault.Op, fault.Mode), func(ctx context.Context) (int, error) {
		fired, err := simulator.Fired(ctx)
		return fired[name], err
	})
	g.do("fault "+name, func(ctx context.Context) error {
		fault.GameID, fault.Name = g.ID, name
		return simulator.Control().PutFault(ctx, fault)
	})
	return name
}

// ClearRTM ends the faults of Runtime Manager towards the game. That they fired
// is remembered.
func (g *Game) ClearRTM() {
	g.do("clear the simulator's faults", func(ctx context.Context) error {
		_, err := g.cell.Stack.Simulator.Fired(ctx)
		return errors.Join(err, g.cell.Stack.Simulator.Control().DeleteFaultsOf(ctx, g.ID))
	})
}

// SQL spoils a statement of the workers that has the game's id among its
// arguments, or the argument that the fault names, and returns the fault's name.
func (g *Game) SQL(fault pgfault.Fault) string { return g.sql(LayerStore, g.cell.WorkerDB, fault) }

// APISQL is [Game.SQL] for the statements of the APIs.
func (g *Game) APISQL(fault pgfault.Fault) string { return g.sql(LayerAPI, g.cell.APIDB, fault) }

func (g *Game) sql(layer Layer, proxy *pgfault.Proxy, fault pgfault.Fault) (name string) {
	if fault.Argument == "" {
		fault.Argument = g.ID
	}
	name = g.Plan(layer, fmt.Sprintf("sql-%s", fault.Mode), func(context.Context) (int, error) {
		for _, report := range proxy.Faults() {
			if report.Name == name {
				return report.Fired, nil
			}
		}
		return 0, nil
	})
	fault.Name = name
	g.do("fault "+name, func(context.Context) error { return proxy.PutFault(fault) })
	return name
}

// SetStatus moves the record to another status, as another writer does, and
// nothing else: the container stays as it is.
func (g *Game) SetStatus(status runtime.Status) {
	g.do("set the status", func(ctx context.Context) error {
		return g.exec(ctx, "UPDATE runtime_records SET status = $2, updated_at = now() WHERE game_id = $1", g.ID, string(status))
	})
}

// BeginTurn has a turn of the game be generated, until EndTurn puts the record on
// the status that comes after it.
func (g *Game) BeginTurn() {
	g.SetStatus(runtime.StatusGenerationInProgress)
	g.turn(func(now int64) { g.turns = append(g.turns, Turn{From: now}) })
}

// EndTurn ends the turn that was begun last.
func (g *Game) EndTurn(status runtime.Status) {
	g.turn(func(now int64) { g.turns[len(g.turns)-1].To = now })
	g.SetStatus(status)
}

// turn notes a moment of the simulator's log, as far as the game's calls go.
func (g *Game) turn(note func(now int64)) {
	g.do("note the turn", func(ctx context.Context) error {
		calls, err := g.cell.Stack.Simulator.Calls(ctx, g.ID)
		if err != nil {
			return err
		}
		var now int64
		for _, call := range calls {
			now = max(now, call.Arrival)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		note(now)
		return nil
	})
}

// SetVersion moves the record to another version, as another writer does.
func (g *Game) SetVersion(version string) {
	g.do("set the version", func(ctx context.Context) error {
		g.move(Move{To: Image(version)})
		return g.exec(ctx, `UPDATE runtime_records SET current_engine_version = $2, current_image_ref = $3, updated_at = now()
			WHERE game_id = $1`, g.ID, version, Image(version).ImageRef)
	})
}

// DeleteRecord deletes the record; the container stays.
func (g *Game) DeleteRecord() {
	g.do("delete the record", func(ctx context.Context) error {
		return g.exec(ctx, "DELETE FROM runtime_records WHERE game_id = $1", g.ID)
	})
}

// Register registers the game anew.
func (g *Game) Register(version string) {
	g.do("register", func(context.Context) error {
		g.move(Move{To: Image(version)})
		return g.insertRecord(version)
	})
}

// exec changes one row, past all proxies.
func (g *Game) exec(ctx context.Context, statement string, arguments ...any) error {
	tag, err := g.cell.pool.Exec(ctx, statement, arguments...)
	if err == nil && tag.RowsAffected() != 1 {
		err = fmt.Errorf("%d rows were changed", tag.RowsAffected())
	}
	return err
}

// PutContainer puts the container on a version behind everybody's back.
func (g *Game) PutContainer(version, status string) {
	g.do("put the container", func(ctx context.Context) error {
		g.move(Move{Container: true})
		return g.cell.Stack.Simulator.Control().PutRuntime(ctx, g.ID, Image(version).ImageRef, status)
	})
}

// DeleteContainer takes the container away behind everybody's back.
func (g *Game) DeleteContainer() {
	g.do("delete the container", func(ctx context.Context) error {
		g.move(Move{Container: true})
		_, err := g.cell.Stack.Simulator.Control().DeleteRuntime(ctx, g.ID)
		return err
	})
}

// Terminate ends the game's open run from outside, at Temporal itself.
func (g *Game) Terminate(reason string) {
	g.do("terminate", func(ctx context.Context) error {
		g.mu.Lock()
		g.terminations++
		g.mu.Unlock()
		return g.cell.Stack.client.TerminateWorkflow(ctx, patch.WorkflowID(g.ID), "", reason)
	})
}

// CancelRun asks the game's open run to stop, at Temporal itself.
func (g *Game) CancelRun() {
	g.do("cancel the run", func(ctx context.Context) error {
		return g.cell.Stack.client.CancelWorkflow(ctx, patch.WorkflowID(g.ID), "")
	})
}

// ResetFirst is the event of the first workflow task's end, to which a reset
// begins the run anew.
const ResetFirst = 4

// Reset resets the game's latest run to an event, which is the end of a workflow
// task, and returns the id of the run that takes its place.
func (g *Game) Reset(toEvent int64) (runID string) { return g.resetRun("", toEvent) }

// resetRun is Reset for any run of the game; an empty base is the latest.
func (g *Game) resetRun(base string, toEvent int64) (runID string) {
	g.do("reset", func(ctx context.Context) error {
		described, err := g.cell.Stack.client.DescribeWorkflowExecution(ctx, patch.WorkflowID(g.ID), base)
		if err != nil {
			return err
		}
		answer, err := g.cell.Stack.client.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
			Namespace: namespace,
			WorkflowExecution: &commonpb.WorkflowExecution{
				WorkflowId: patch.WorkflowID(g.ID), RunId: described.GetWorkflowExecutionInfo().GetExecution().GetRunId(),
			},
			Reason: "drill", RequestId: uuid.NewString(), WorkflowTaskFinishEventId: toEvent,
		})
		runID = answer.GetRunId()
		return err
	})
	return runID
}

// Watch has the watch make one pass over the cell's games, and waits for its end.
// It looks only: to heal takes [Game.Heal].
func (g *Game) Watch() { g.watch("") }

// Heal is [Game.Watch] with containers on a wrong image put right.
func (g *Game) Heal() { g.watch(patch.ModeEnforce) }

func (g *Game) watch(heal patch.Mode) {
	g.do("watch", func(ctx context.Context) error {
		run, err := g.cell.Stack.client.ExecuteWorkflow(ctx, temporal.StartWorkflowOptions{
			ID: "drill-watch/" + rand.Text(), TaskQueue: g.cell.taskQueue,
		}, workflows.ReconcileRuntimesType, workflows.WatchInput{Heal: heal})
		if err != nil {
			return err
		}
		return run.Get(ctx, nil)
	})
}

// Retry has the open run that needs an operator try again.
func (g *Game) Retry(reason string) { g.decide(workflows.RetryUpdate, reason) }

// Abandon has the open run that needs an operator give up.
func (g *Game) Abandon(reason string) { g.decide(workflows.AbandonUpdate, reason) }

func (g *Game) decide(update, reason string) {
	g.do(update, func(ctx context.Context) error {
		handle, err := g.cell.Stack.client.UpdateWorkflow(ctx, temporal.UpdateWorkflowOptions{
			WorkflowID: patch.WorkflowID(g.ID), UpdateName: update,
			Args:         []any{patch.Command{Actor: "drill", Reason: reason}},
			WaitForStage: temporal.WorkflowUpdateStageCompleted,
		})
		if err != nil {
			return err
		}
		return handle.Get(ctx, nil)
	})
}

// Toxic spoils a link of the cell from now on, and returns the fault's name.
func (g *Game) Toxic(link *Link, toxic Toxic) (name string) {
	var putAs string
	g.do("toxic "+toxic.Kind, func(context.Context) (err error) {
		putAs, err = link.Put(toxic)
		return err
	})
	name = g.Plan(LayerNetwork, link.name+"-"+toxic.Kind, func(context.Context) (int, error) {
		return link.Met(putAs), nil
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.toxics == nil {
		g.toxics = map[string]string{}
	}
	g.toxics[name] = putAs
	return name
}

// TakeToxic ends what [Game.Toxic] began.
func (g *Game) TakeToxic(link *Link, name string) {
	g.do("take "+name, func(ctx context.Context) error {
		g.mu.Lock()
		putAs := g.toxics[name]
		g.mu.Unlock()
		return link.Take(ctx, putAs)
	})
}
