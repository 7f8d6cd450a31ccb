package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"galaxy/gamemaster/client"
)

type versionsCommand struct {
	List      versionsListCommand      `cmd:"" help:"List engine versions, lowest first."`
	Show      versionsShowCommand      `cmd:"" help:"Show a version and the games that are on it."`
	Add       versionsAddCommand       `cmd:"" help:"Register a version, or give one that no game is on another image."`
	Deprecate versionsDeprecateCommand `cmd:"" help:"Keep games from moving to a version."`
	Activate  versionsActivateCommand  `cmd:"" help:"Let games move to a version again."`
}

type versionsListCommand struct {
	Status string `help:"Only versions of that status: ${version_statuses}" enum:"${version_statuses}," default:""`
	remote
}

// Run lists the versions.
func (c *versionsListCommand) Run(p *process) error {
	list := listing[client.EngineVersion]{
		key:     "engine_versions",
		columns: []string{"VERSION", "STATUS", "IMAGE", "UPDATED"},
		row: func(v client.EngineVersion) []string {
			return []string{v.Version, string(v.Status), cell(v.ImageRef, 80), textOf(v.UpdatedAt)}
		},
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		versions, err := games.ListEngineVersions(ctx, client.ListEngineVersionsParams{Status: client.EngineVersionStatus(c.Status)})
		if err != nil {
			return err
		}
		return printList(p, c.JSON, list, without(versions), 0)
	})
}

// without walks through items, of which none is an error.
func without[T any](items []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}

type versionsShowCommand struct {
	Version string `arg:"" help:"Version to show, such as 1.4.3."`
	remote
}

// Run shows a version.
func (c *versionsShowCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		version, err := games.GetEngineVersion(ctx, c.Version)
		return printVersion(p, c.JSON, version, err)
	})
}

// printVersion prints version unless there is an error, which it returns.
func printVersion(p *process, asJSON bool, version client.EngineVersionDetail, err error) error {
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(p.stdout, version)
	}
	games := fmt.Sprint(version.UsedBy.Count)
	if listed := len(version.UsedBy.GameIDs); listed > 0 {
		games += ": " + strings.Join(version.UsedBy.GameIDs, ", ")
		if listed < version.UsedBy.Count {
			games += ", …"
		}
	}
	printFields(p.stdout,
		field{"version", version.Version}, field{"status", version.Status}, field{"image", version.ImageRef},
		field{"created", version.CreatedAt}, field{"updated", version.UpdatedAt}, field{"games on it", games},
	)
	return nil
}

type versionsAddCommand struct {
	Version string `arg:"" help:"Version to register, such as 1.4.3."`
	Image   string `arg:"" help:"Its image, with a tag or a digest."`
	remote
}

// Run registers a version.
func (c *versionsAddCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		version, created, err := games.PutEngineVersion(ctx, c.Version, c.Image)
		if err == nil && !created {
			fmt.Fprintf(p.stderr, "%s was registered before\n", printable(c.Version))
		}
		return printVersion(p, c.JSON, version, err)
	})
}

type versionsDeprecateCommand struct {
	Version string `arg:"" help:"Version to deprecate; games that are on it go on."`
	remote
}

// Run deprecates a version.
func (c *versionsDeprecateCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		version, err := games.DeprecateEngineVersion(ctx, c.Version)
		return printVersion(p, c.JSON, version, err)
	})
}

type versionsActivateCommand struct {
	Version string `arg:"" help:"Version to activate."`
	remote
}

// Run activates a version.
func (c *versionsActivateCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		version, err := games.ActivateEngineVersion(ctx, c.Version)
		return printVersion(p, c.JSON, version, err)
	})
}
