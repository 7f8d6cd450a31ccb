package cli

import (
	"context"
	"fmt"
	"iter"

	"galaxy/gamemaster/client"
)

type driftCommand struct {
	Game     string `help:"Only findings of that game."`
	Kind     string `help:"Only findings of that kind: ${drift_kinds}" enum:"${drift_kinds}," default:""`
	Resolved bool   `help:"Resolved findings as well as the open ones."`
	limits
	remote
}

// Run lists findings, and says when they were last looked for. That there are
// some is no failure of the command.
func (c *driftCommand) Run(p *process) error {
	return c.ask(p, func(ctx context.Context, games *client.Client) error {
		params := client.ListDriftParams{
			GameID: c.Game, Kind: client.DriftKind(c.Kind), Resolved: c.Resolved, Limit: c.page(),
		}
		first, err := games.ListDrift(ctx, params)
		if err != nil {
			return err
		}
		list := listing[client.DriftFinding]{key: "findings", columns: findingColumns, row: findingRow}
		if first.LastPass != nil {
			list.besides = map[string]any{"last_pass": first.LastPass}
		}
		if err := printList(p, c.JSON, list, findings(ctx, games, params, first), c.Limit); err != nil || c.JSON {
			return err
		}
		fmt.Fprintln(p.stdout, printable(tellPass(first.LastPass)))
		return nil
	})
}

// findings are those of the first page, which has been read, and of all behind
// it.
func findings(
	ctx context.Context, games *client.Client, params client.ListDriftParams, first client.DriftPage,
) iter.Seq2[client.DriftFinding, error] {
	return func(yield func(client.DriftFinding, error) bool) {
		for _, finding := range first.Findings {
			if !yield(finding, nil) {
				return
			}
		}
		if params.Cursor = first.NextCursor; params.Cursor != "" {
			games.AllDrift(ctx, params)(yield)
		}
	}
}

var findingColumns = []string{
	"GAME", "KIND", "RECORD", "RECORD IMAGE", "CONTAINER", "CONTAINER IMAGE", "FIRST SEEN", "LAST SEEN", "RESOLVED",
}

// maxImage is the longest image reference: one that is cut cannot be compared.
const maxImage = 512

func findingRow(f client.DriftFinding) []string {
	container := f.Container.Status
	if container == "" {
		container = "none"
	}
	return []string{
		f.GameID, string(f.Kind), string(f.Record.Status), cell(f.Record.ImageRef, maxImage),
		cell(container, 40), cell(f.Container.ImageRef, maxImage),
		textOf(f.FirstSeenAt), textOf(f.LastSeenAt), textOf(f.ResolvedAt),
	}
}

// tellPass says when the watch last compared everything, and what it came to as
// far as the caller may know: an empty list means little without it.
func tellPass(pass *client.DriftPass) string {
	if pass == nil {
		return "no pass of the watch has finished yet, so nothing is known of differences"
	}
	told := "last pass of the watch: finished " + textOf(pass.FinishedAt)
	if n := pass.Counts; n != nil {
		told += fmt.Sprintf("; %d checked: %d in sync, %d on another image, %d missing, %d extra; %d skipped, %d unknown",
			n.Checked, n.InSync, n.ImageDrift, n.Missing, n.Extra, n.Skipped, n.Unknown)
	}
	return told
}
