package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/domain/operation"
)

// request are the flags that patch and rollback share.
type request struct {
	DryRun          bool   `help:"Only tell what would be done."`
	ExpectedVersion string `help:"Refuse when the game is not on this version."`
	Reason          string `help:"Reason for the audit log."`
	SourceRef       string `help:"Your own reference, such as a ticket."`
	watching
}

// watching is the flag of commands that follow what they have asked for.
type watching struct {
	Watch bool `help:"Show it live on a terminal: phase, attempts, for how long, what it waits for. Elsewhere only its phases and its end."`
}

type patchCommand struct {
	Game    string `arg:"" help:"Game to patch."`
	Version string `arg:"" help:"Engine version to move to, such as 1.4.3."`
	Force   bool   `help:"Recreate the container also when the game is on the version already."`
	request
	remote
}

// Run asks for the patch and follows it to its end.
func (c *patchCommand) Run(p *process) error {
	body := client.PatchRequest{
		Version: c.Version, ExpectedVersion: c.ExpectedVersion, Force: c.Force, Reason: c.Reason, SourceRef: c.SourceRef,
		OpSource: string(operation.OpSourceAdminCLI),
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		if c.DryRun {
			plan, err := games.PlanPatch(ctx, c.Game, body)
			return printPlan(p, c.JSON, plan, err)
		}
		patch, err := games.Patch(ctx, c.Game, body, atOnce())
		return follow(ctx, p, games, started{patch, err, c.JSON, c.Watch})
	})
}

type rollbackCommand struct {
	Game string `arg:"" help:"Game to patch back."`
	To   string `help:"Version to go back to: previous, or one lower than the current one." default:"previous"`
	request
	remote
}

// Run asks for the rollback and follows it to its end.
func (c *rollbackCommand) Run(p *process) error {
	body := client.RollbackRequest{
		To: c.To, ExpectedVersion: c.ExpectedVersion, Reason: c.Reason, SourceRef: c.SourceRef,
		OpSource: string(operation.OpSourceAdminCLI),
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		if c.DryRun {
			plan, err := games.PlanRollback(ctx, c.Game, body)
			return printPlan(p, c.JSON, plan, err)
		}
		patch, err := games.Rollback(ctx, c.Game, body, atOnce())
		return follow(ctx, p, games, started{patch, err, c.JSON, c.Watch})
	})
}

// atOnce has the API answer as soon as the patch is open: its phases are told by
// looking at it.
func atOnce() client.PatchOptions { return client.PatchOptions{Wait: new(time.Duration(0))} }

// maybeStarted adds where to look for a patch that may have been started although
// the answer did not say so.
func maybeStarted(err error) error {
	problem, ok := errors.AsType[*client.Error](err)
	if ok && problem.HTTPStatus >= http.StatusInternalServerError && problem.PatchID != "" {
		return fmt.Errorf("%w; look at it with: gamemaster patches show %s", err, problem.PatchID)
	}
	return err
}

// printPlan prints plan unless there is an error. One that is not allowed is the
// refusal that the patch would be.
func printPlan(p *process, asJSON bool, plan client.PatchPlan, err error) error {
	if err != nil {
		return err
	}
	var refusal error
	for _, check := range plan.Checks {
		if check.Status == client.CheckFailed {
			refusal = refused(fmt.Errorf("%s: %s", check.Code, check.Detail))
			break
		}
	}
	if refusal == nil && !plan.Allowed {
		refusal = refused(fmt.Errorf("%s: the patch is not allowed", plan.Code))
	}
	if asJSON {
		return errors.Join(printJSON(p.stdout, plan), refusal)
	}
	for _, check := range plan.Checks {
		line := fmt.Sprintf("  %-8s %-19s %s", check.Status, check.Name, check.Detail)
		fmt.Fprintln(p.stdout, printable(strings.TrimRight(line, " ")))
	}
	switch {
	case refusal != nil:
	case plan.Kind == client.PlanNoop:
		fmt.Fprintf(p.stdout, "would do nothing: %s is on %s already\n", plan.GameID, plan.To.Version)
	default:
		fmt.Fprintf(p.stdout, "would %s %s: %s -> %s (%s)\n", verbs[plan.Kind], plan.GameID, plan.From.Version, plan.To.Version, plan.To.ImageRef)
	}
	return refusal
}

var verbs = map[client.PatchPlanKind]string{
	client.PlanUpgrade: "upgrade", client.PlanRollback: "roll back", client.PlanRecreate: "recreate",
}
