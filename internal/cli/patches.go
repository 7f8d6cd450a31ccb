package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/domain/operation"
)

type patchesCommand struct {
	List    patchesListCommand    `cmd:"" help:"List patches, newest first."`
	Show    patchesShowCommand    `cmd:"" help:"Show where a patch is, or how it ended."`
	Watch   patchesWatchCommand   `cmd:"" help:"Show open patches live, or those that are named until they have ended."`
	History patchesHistoryCommand `cmd:"" help:"Show what happened in a patch, step by step, also when Temporal has forgotten it."`
	Cancel  patchesCancelCommand  `cmd:"" help:"Ask an open patch to stop; one that has changed the record already goes on."`
	Retry   patchesRetryCommand   `cmd:"" help:"Have a patch that waits for an operator try again."`
	Abandon patchesAbandonCommand `cmd:"" help:"Have a patch that waits for an operator end as it stands."`
}

type patchesListCommand struct {
	Game  string `help:"Only patches of that game."`
	State string `help:"Which ones: open or closed." enum:"open,closed" default:"open"`
	limits
	remote
}

// Run lists patches.
func (c *patchesListCommand) Run(p *process) error {
	list := listing[client.Patch]{
		key:     "patches",
		columns: []string{"PATCH", "GAME", "KIND", "FROM", "TO", "STATE", "ACTOR", "STARTED"},
		row: func(patch client.Patch) []string {
			return []string{
				patch.PatchID, patch.GameID, kindOf(patch), patch.From.Version, cell(patch.To.Version, 40),
				stateOf(patch), cell(patch.Actor, 40), textOf(patch.StartedAt),
			}
		},
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		params := client.ListPatchesParams{GameID: c.Game, State: client.PatchState(c.State), Limit: c.page()}
		return printList(p, c.JSON, list, games.AllPatches(ctx, params), c.Limit)
	})
}

// kindOf is "patch", or "reconcile" with its mode where that is known.
func kindOf(patch client.Patch) string {
	if patch.Kind == "" {
		return string(operation.OpKindPatch)
	}
	return cell(strings.TrimSpace(patch.Kind+" "+string(patch.Mode)), 40)
}

// stateOf is where an open patch is, or how a closed one ended.
func stateOf(patch client.Patch) string {
	switch {
	case patch.State == client.StateOpen && patch.Phase != "":
		return patch.Phase
	case patch.State == client.StateOpen:
		return string(patch.State)
	case patch.Code != "":
		return string(patch.Code)
	}
	return string(patch.Outcome)
}

type patchesShowCommand struct {
	ID string `arg:"" name:"id" help:"Patch to show."`
	remote
}

// Run shows a patch. That it failed is no failure of the command.
func (c *patchesShowCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		patch, err := games.GetPatch(ctx, c.ID)
		switch {
		case err != nil:
			return err
		case c.JSON:
			return printJSON(p.stdout, patch)
		}
		printPatch(p.stdout, patch)
		return nil
	})
}

func printPatch(out io.Writer, patch client.Patch) {
	noop, attempts := "", ""
	if patch.Noop != nil && *patch.Noop {
		noop = "on the version already, nothing was recreated"
	}
	if patch.Attempts > 0 {
		attempts = fmt.Sprint(patch.Attempts)
	}
	printFields(out,
		field{"patch", patch.PatchID}, field{"game", patch.GameID}, field{"kind", kindOf(patch)}, field{"state", patch.State},
		field{"from", patch.From.Version}, field{"from image", patch.From.ImageRef},
		field{"to", patch.To.Version}, field{"to image", patch.To.ImageRef},
		field{"phase", patch.Phase}, field{"step", patch.Step}, field{"doing", patch.Doing}, field{"attempts", attempts},
		field{"since", patch.Since}, field{"until", patch.Until}, field{"next attempt", patch.NextAttemptAt}, field{"last error", patch.LastError},
		field{"outcome", patch.Outcome}, field{"noop", noop},
		field{"code", patch.Code}, field{"message", patch.Message}, field{"undone", undone(patch.RunID, patch.Undo)},
		field{"actor", patch.Actor}, field{"started", patch.StartedAt}, field{"finished", patch.FinishedAt},
		field{"workflow", patch.WorkflowID}, field{"run", patch.RunID}, field{"page", patch.RunURL},
	)
	if waitsForOperator(patch) {
		printFields(out, field{"try again", decide("retry", patch.PatchID)}, field{"give up", decide("abandon", patch.PatchID)})
	}
}

// decide is the command line of an operator's decision.
func decide(decision, patchID string) string {
	return fmt.Sprintf("gamemaster patches %s %s --reason …", decision, patchID)
}

type patchesCancelCommand struct {
	ID     string `arg:"" name:"id" help:"Patch to cancel."`
	Reason string `help:"Reason for the run's history."`
	remote
}

// Run asks a patch to stop.
func (c *patchesCancelCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		patch, err := games.CancelPatch(ctx, c.ID, c.Reason)
		switch {
		case client.IsCode(err, client.CodeInDoubt):
			return fmt.Errorf("%w; with: %s, or: %s", err, decide("retry", c.ID), decide("abandon", c.ID))
		case err != nil:
			return err
		case c.JSON:
			return printJSON(p.stdout, patch)
		}
		fmt.Fprintf(p.stdout, "asked patch %s to stop; see what comes of it with: gamemaster patches show %s\n", patch.PatchID, patch.PatchID)
		return nil
	})
}

// decision are the arguments of an operator's decision about a patch.
type decision struct {
	ID     string `arg:"" name:"id" help:"Patch that waits for an operator."`
	Reason string `help:"Reason for the audit log." required:""`
	remote
}

type patchesRetryCommand struct{ decision }

// Run has a patch try again.
func (c *patchesRetryCommand) Run(p *process) error {
	return c.take(p, "tries again", (*client.Client).RetryPatch)
}

type patchesAbandonCommand struct{ decision }

// Run has a patch end as it stands.
func (c *patchesAbandonCommand) Run(p *process) error {
	return c.take(p, "ends as it stands", (*client.Client).AbandonPatch)
}

// take sends the decision, and prints what the patch does because of it.
func (d *decision) take(
	p *process, does string, send func(games *client.Client, ctx context.Context, patchID, reason string) (client.Patch, error),
) error {
	return d.ask(p, func(ctx context.Context, games *client.Client) error {
		patch, err := send(games, ctx, d.ID, d.Reason)
		switch {
		case err != nil:
			return err
		case d.JSON:
			return printJSON(p.stdout, patch)
		}
		fmt.Fprintf(p.stdout, "patch %s %s; see what comes of it with: gamemaster patches show %s\n", patch.PatchID, does, patch.PatchID)
		return nil
	})
}
