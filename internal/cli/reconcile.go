package cli

import (
	"context"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/domain/operation"
)

type reconcileCommand struct {
	Game      string `arg:"" help:"Game whose record and container are brought together."`
	Mode      string `help:"Which side gives way: with enforce the container follows the record, with adopt the record the container." enum:"${reconcile_modes}" required:""`
	Reason    string `help:"Reason for the audit log."`
	SourceRef string `help:"Your own reference, such as a ticket."`
	watching
	remote
}

// Run asks for the reconciliation and follows it to its end.
func (c *reconcileCommand) Run(p *process) error {
	body := client.ReconcileRequest{
		Mode: client.ReconcileMode(c.Mode), Reason: c.Reason, SourceRef: c.SourceRef, OpSource: string(operation.OpSourceAdminCLI),
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		patch, err := games.Reconcile(ctx, c.Game, body, client.ReconcileOptions{Wait: atOnce().Wait})
		return follow(ctx, p, games, started{patch, err, c.JSON, c.Watch})
	})
}
