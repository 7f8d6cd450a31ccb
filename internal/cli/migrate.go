package cli

import (
	"fmt"
	"time"

	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/migrations"
)

type migrateCommand struct {
	Up     migrateUpCommand     `cmd:"" help:"Apply what is pending; processes that start at once wait for each other."`
	Status migrateStatusCommand `cmd:"" help:"Show each migration and when it was applied."`
}

type (
	migrateUpCommand     struct{}
	migrateStatusCommand struct{}
)

// Run applies the pending migrations of DATABASE_URL.
func (c *migrateUpCommand) Run(p *process) error {
	settings, err := config.Load(p.environ, config.NeedDatabase)
	if err != nil {
		return refused(err)
	}
	applied, err := migrations.Up(p.ctx, settings.DatabaseURL)
	for _, migration := range applied {
		fmt.Fprintf(p.stdout, "applied %s (%s)\n", migration.Name, migration.Took.Round(time.Millisecond))
	}
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	if len(applied) == 0 {
		fmt.Fprintln(p.stdout, "nothing to apply, the schema is up to date")
	}
	return nil
}

// Run shows the migrations of DATABASE_URL.
func (c *migrateStatusCommand) Run(p *process) error {
	settings, err := config.Load(p.environ, config.NeedDatabase)
	if err != nil {
		return refused(err)
	}
	states, err := migrations.Status(p.ctx, settings.DatabaseURL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	for _, state := range states {
		if state.Applied {
			fmt.Fprintf(p.stdout, "%-30s applied %s\n", state.Name, state.AppliedAt.UTC().Format("2006-01-02 15:04:05Z"))
		} else {
			fmt.Fprintf(p.stdout, "%-30s pending\n", state.Name)
		}
	}
	return nil
}
