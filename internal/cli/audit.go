package cli

import (
	"errors"
	"fmt"
	"time"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/domain/operation"
)

type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Hold the audit log against its chain, and name each row that was changed, removed or put in."`
}

type auditVerifyCommand struct {
	Game string `help:"Only the log of that game."`
}

// Run verifies the audit log of DATABASE_URL. It prints each fault in a line of
// its own and fails when there is one; a log that could not be read to its end
// is no fault of the log, and has another exit code.
func (c *auditVerifyCommand) Run(p *process) error {
	settings, err := config.Load(p.environ, config.NeedDatabase)
	if err != nil {
		return refused(err)
	}
	pool, err := postgres.Open(p.ctx, settings.DatabaseURL, postgres.WithApplicationName("gamemaster-audit"), postgres.WithMaxConns(1))
	if err != nil {
		return &exit{ExitUnavailable, fmt.Errorf("DATABASE_URL: %w", err)}
	}
	defer pool.Close()
	began := time.Now()
	found, err := postgres.NewOperationLog(pool).VerifyChain(p.ctx, c.Game, func(fault operation.ChainFault) {
		fmt.Fprintln(p.stdout, printable(faultLine(fault)))
	})
	if err != nil {
		return &exit{ExitUnavailable, fmt.Errorf("the audit log could not be verified to its end: %w", err)}
	}
	looked := fmt.Sprintf("%d rows of %d games", found.Entries, found.Games)
	if found.Faults > 0 {
		return fmt.Errorf("the audit log is not whole: %d faults in %s", found.Faults, looked)
	}
	if c.Game != "" && found.Entries == 0 {
		return refused(errors.New("the game has no row in the audit log"))
	}
	fmt.Fprintf(p.stdout, "the audit log is whole: %s (%s)\n", looked, time.Since(began).Round(time.Millisecond))
	return nil
}

// faultLine names the game and the row first, by which one looks further.
func faultLine(fault operation.ChainFault) string {
	line := "whole log"
	if fault.GameID != "" {
		line = fmt.Sprintf("game %q", fault.GameID)
	}
	if fault.OperationID != 0 {
		line += fmt.Sprintf(" row #%d", fault.OperationID)
	}
	if fault.Seq != 0 {
		line += fmt.Sprintf(" link %d", fault.Seq)
	}
	return fmt.Sprintf("%s: %s: %s", line, fault.Kind, fault.Detail)
}
