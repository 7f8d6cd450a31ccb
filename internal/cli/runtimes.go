package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"galaxy/gamemaster/client"
)

type runtimesCommand struct {
	List     runtimesListCommand     `cmd:"" help:"List games, newest first."`
	Show     runtimesShowCommand     `cmd:"" help:"Show the record of a game."`
	Register runtimesRegisterCommand `cmd:"" help:"Register a game; no container is started."`
	Delete   runtimesDeleteCommand   `cmd:"" help:"Delete the record of a game; its container is left alone."`
}

type runtimesListCommand struct {
	Status string `help:"Only games of that status: ${runtime_statuses}" enum:"${runtime_statuses}," default:""`
	limits
	remote
}

// Run lists games.
func (c *runtimesListCommand) Run(p *process) error {
	list := listing[client.Runtime]{
		key:     "runtimes",
		columns: []string{"GAME", "STATUS", "VERSION", "HEALTH", "TURN", "NEXT TURN", "UPDATED"},
		row: func(r client.Runtime) []string {
			return []string{
				r.GameID, string(r.Status), r.CurrentEngineVersion, cell(r.EngineHealth, 40),
				strconv.FormatInt(r.CurrentTurn, 10), textOf(r.NextGenerationAt), textOf(r.UpdatedAt),
			}
		},
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		params := client.ListRuntimesParams{Status: client.RuntimeStatus(c.Status), Limit: c.page()}
		return printList(p, c.JSON, list, games.AllRuntimes(ctx, params), c.Limit)
	})
}

type runtimesShowCommand struct {
	Game string `arg:"" help:"Game to show."`
	remote
}

// Run shows the record of a game.
func (c *runtimesShowCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		record, err := games.GetRuntime(ctx, c.Game)
		if err != nil {
			return err
		}
		return printRuntime(p, c.JSON, record)
	})
}

func printRuntime(p *process, asJSON bool, record client.Runtime) error {
	if asJSON {
		return printJSON(p.stdout, record)
	}
	skip := ""
	if record.SkipNextTick {
		skip = "yes"
	}
	printFields(p.stdout,
		field{"game", record.GameID}, field{"status", record.Status},
		field{"version", record.CurrentEngineVersion}, field{"image", record.CurrentImageRef},
		field{"health", record.EngineHealth}, field{"turn", record.CurrentTurn},
		field{"next turn", record.NextGenerationAt}, field{"skip next", skip},
		field{"created", record.CreatedAt}, field{"updated", record.UpdatedAt},
		field{"started", record.StartedAt}, field{"stopped", record.StoppedAt}, field{"finished", record.FinishedAt},
	)
	return nil
}

type runtimesRegisterCommand struct {
	Game    string `arg:"" help:"Game to register."`
	Version string `arg:"" help:"Engine version that it is on, such as 1.4.3; it has to be active."`
	Status  string `help:"Status of a game that exists already: ${runtime_statuses}; starting if this is left out." enum:"${runtime_statuses}," default:""`
	remote
}

// Run registers a game and shows its record.
func (c *runtimesRegisterCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		record, err := games.RegisterRuntime(ctx, client.RegisterRuntime{
			GameID: c.Game, EngineVersion: c.Version, Status: client.RuntimeStatus(c.Status),
		})
		if err != nil {
			return err
		}
		return printRuntime(p, c.JSON, record)
	})
}

type runtimesDeleteCommand struct {
	Game string `arg:"" help:"Game whose record is deleted."`
	Yes  bool   `help:"Delete without being asked."`
	remote
}

// Run deletes the record of a game, once that is confirmed.
func (c *runtimesDeleteCommand) Run(p *process) error {
	if !c.Yes {
		if err := p.confirm("Delete the record of " + strconv.Quote(c.Game) + "? Its container is left alone."); err != nil {
			return err
		}
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		if err := games.DeleteRuntime(ctx, c.Game); err != nil {
			return err
		}
		if !c.JSON {
			fmt.Fprintf(p.stdout, "there is no record of %s any more\n", printable(c.Game))
		}
		return nil
	})
}

// confirm asks who sits there, and refuses when nobody does or the answer is not
// yes.
func (p *process) confirm(question string) error {
	if !p.asks {
		return refused(errors.New("nobody is there to confirm it, give --yes"))
	}
	fmt.Fprint(p.stderr, question+" [y/N] ")
	answer := make(chan string, 1)
	go func() {
		// A terminal cannot be made to give up reading; the process ends anyway.
		line, _ := bufio.NewReader(p.stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-p.ctx.Done():
		return p.ctx.Err()
	case line := <-answer:
		if line == "y" || line == "yes" {
			return nil
		}
		return refused(errors.New("not confirmed, nothing was done"))
	}
}
