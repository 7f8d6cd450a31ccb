package cli

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"galaxy/gamemaster/client"
)

type operationsCommand struct {
	Game      string  `arg:"" optional:"" help:"Only rows of that game, also of one that has no record any more."`
	Outcome   string  `help:"Only rows of that outcome: ${outcomes}" enum:"${outcomes}," default:""`
	ErrorCode string  `help:"Only rows with that code, such as conflict."`
	Since     instant `help:"Only operations that started then or later: a time such as 2026-03-01T12:00:00Z, or how long ago, such as 24h."`
	Until     instant `help:"Only operations that started before then."`
	limits
	remote
}

// instant is a time on the command line, as such or as how long ago it was.
type instant struct{ time.Time }

// UnmarshalText reads RFC 3339 or a duration.
func (i *instant) UnmarshalText(text []byte) error {
	if ago, err := time.ParseDuration(string(text)); err == nil && ago >= 0 {
		i.Time = time.Now().Add(-ago)
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return errors.New("want an RFC 3339 time such as 2026-03-01T12:00:00Z, or how long ago such as 24h")
	}
	i.Time = at
	return nil
}

// Run lists audit rows.
func (c *operationsCommand) Run(p *process) error {
	list := listing[client.Operation]{
		key:     "operations",
		columns: []string{"ID", "STARTED", "GAME", "KIND", "FROM", "TO", "OUTCOME", "CODE", "ACTOR", "REASON"},
		row: func(o client.Operation) []string {
			return []string{
				strconv.FormatInt(o.ID, 10), textOf(o.StartedAt), o.GameID, o.OpKind, o.FromVersion, cell(o.ToVersion, 40),
				string(o.Outcome), o.ErrorCode, cell(o.Actor, 40), cell(o.Reason, 60),
			}
		},
	}
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		return printList(p, c.JSON, list, c.rows(ctx, games), c.Limit)
	})
}

// rows are those of all games, as the API filters them, or those of one, which
// are filtered here.
func (c *operationsCommand) rows(ctx context.Context, games *client.Client) iter.Seq2[client.Operation, error] {
	if c.Game == "" {
		return games.AllOperations(ctx, client.ListOperationsParams{
			Outcome: client.Outcome(c.Outcome), ErrorCode: c.ErrorCode, Since: c.Since.Time, Until: c.Until.Time, Limit: c.page(),
		})
	}
	all := games.AllRuntimeOperations(ctx, c.Game, client.ListRuntimeOperationsParams{Limit: c.page()})
	return func(yield func(client.Operation, error) bool) {
		for row, err := range all {
			if (err != nil || c.keeps(row)) && !yield(row, err) {
				return
			}
		}
	}
}

func (c *operationsCommand) keeps(row client.Operation) bool {
	return (c.Outcome == "" || string(row.Outcome) == c.Outcome) &&
		(c.ErrorCode == "" || row.ErrorCode == c.ErrorCode) &&
		!row.StartedAt.Before(c.Since.Time) &&
		(c.Until.IsZero() || row.StartedAt.Before(c.Until.Time))
}
