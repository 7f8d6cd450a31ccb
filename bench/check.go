package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// settleTimeout is how long a rival may take for what it does after its answer.
	settleTimeout = 15 * time.Second
	// settleEvery is the pause between two looks.
	settleEvery = 50 * time.Millisecond
)

// check proves that what the callers were told is true: each game's record and
// container are on the version of its last answer, and every patch left its row
// in the audit log. The latter may come after the answer, for a while.
func (p *place) check(ctx context.Context) error {
	if err := p.awaitRows(ctx, settleTimeout); err != nil {
		return err
	}
	return p.checkGames(ctx)
}

// awaitRows waits until every patch has its row in the audit log.
func (p *place) awaitRows(ctx context.Context, timeout time.Duration) error {
	connection, err := pgx.Connect(ctx, p.stack.postgres.URL(p.database()))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }() // it was only read from
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		var rows int
		err := connection.QueryRow(ctx, "SELECT count(*) FROM operation_log WHERE outcome = 'success' AND NOT noop").Scan(&rows)
		if err != nil {
			return err
		}
		if rows == p.patches() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d patches were answered, the audit log has %d", p.rival.name, p.patches(), rows)
		case <-time.After(settleEvery):
		}
	}
}

// checkGames holds the records and the containers against what was answered last.
func (p *place) checkGames(ctx context.Context) error {
	connection, err := pgx.Connect(ctx, p.stack.postgres.URL(p.database()))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }() // it was only read from
	runtimes, err := p.control.Runtimes(ctx)
	if err != nil {
		return err
	}
	containers := map[string]string{}
	for _, runtime := range runtimes {
		containers[runtime.GameID] = runtime.ImageRef
	}
	rows, err := connection.Query(ctx, "SELECT game_id, current_engine_version, current_image_ref FROM runtime_records")
	if err != nil {
		return err
	}
	records := map[string][2]string{}
	var id, version, ref string
	if _, err := pgx.ForEachRow(rows, []any{&id, &version, &ref}, func() error {
		records[id] = [2]string{version, ref}
		return nil
	}); err != nil {
		return err
	}
	for _, c := range p.callers {
		for _, g := range c.games {
			want := image(g.version)
			if record := records[g.id]; record != [2]string{g.version, want} || containers[g.id] != want {
				return fmt.Errorf("%s: %s was answered %s, its record is on %q and its container on %q",
					p.rival.name, g.id, g.version, record, containers[g.id])
			}
		}
	}
	return nil
}
