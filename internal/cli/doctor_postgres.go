package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/migrations"
)

func (d *doctor) databaseChecks() []check {
	return []check{
		{name: "database", look: d.database, gate: true},
		{name: "migrations", look: d.migrations},
		{name: "clock", look: d.clock},
	}
}

// database connects, and sees whether the server takes writes.
func (d *doctor) database(ctx context.Context) finding {
	if d.settings.DatabaseURL == "" {
		return finding{Verdict: verdictSkipped, Seen: "DATABASE_URL is not set"}
	}
	pool, err := postgres.Open(ctx, d.settings.DatabaseURL,
		postgres.WithApplicationName("gamemaster-doctor"), postgres.WithMaxConns(1))
	if err != nil {
		return ill(mendDatabase(err), "%v", err)
	}
	d.pool = pool
	where := pool.Config().ConnConfig
	var version string
	var standby bool
	began := time.Now()
	row := pool.QueryRow(ctx, "SELECT current_setting('server_version'), pg_is_in_recovery()")
	if err := row.Scan(&version, &standby); err != nil {
		return ill("look into the log of Postgres", "connected, but no answer to a query: %v", err)
	}
	if standby {
		return ill("have DATABASE_URL name the primary", "%s:%d is a standby, which takes no writes", where.Host, where.Port)
	}
	return well("PostgreSQL %s at %s:%d/%s, %s a query", version, where.Host, where.Port, where.Database,
		time.Since(began).Round(100*time.Microsecond))
}

// mendDatabase says what to do about a connection that did not come about.
func mendDatabase(err error) string {
	const noDatabase, noPassword, noEntry = "3D000", "28P01", "28000"
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		switch refused.Code {
		case noDatabase:
			return "create the database (`createdb`), or have DATABASE_URL name another"
		case noPassword, noEntry:
			return "mend the user or the password in DATABASE_URL, or let the user in (pg_hba.conf)"
		}
	}
	return "see that DATABASE_URL names the host and the port of a Postgres that runs and can be reached from here"
}

func (d *doctor) migrations(ctx context.Context) finding {
	states, err := migrations.Status(ctx, d.settings.DatabaseURL)
	if err != nil {
		return ill("let the user of DATABASE_URL read the schema public", "%v", err)
	}
	var pending []string
	for _, state := range states {
		if !state.Applied {
			pending = append(pending, state.Name)
		}
	}
	if len(pending) > 0 {
		return ill("run `gamemaster migrate up`", "%d of %d are pending: %s", len(pending), len(states), strings.Join(pending, ", "))
	}
	return well("all %d are applied", len(states))
}

// clockBound is how far this machine's clock may be from that of Postgres. Clocks
// that are kept (NTP) are a tenth of a second apart at most, so that two seconds
// are a clock which nobody keeps. What compares times of two machines gets by
// with that: the expiry of tokens allows for thirty seconds, the age of the last
// pass and of an open patch are told in minutes. No patch depends on it: fencing
// numbers all come from the one clock of Postgres.
const clockBound = 2 * time.Second

// clock compares this machine's clock with that of Postgres. Temporal tells its
// own in no answer.
func (d *doctor) clock(ctx context.Context) finding {
	var there time.Time
	before := time.Now()
	if err := d.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&there); err != nil {
		return ill("look into the log of Postgres", "no answer to a query: %v", err)
	}
	return clockFinding(before, there, time.Now())
}

// clockFinding judges an answer that said "there", was asked for at before and
// came at after. The answer was made at any time in between, which is not held
// against the clock.
func clockFinding(before, there, after time.Time) finding {
	away := time.Duration(0)
	switch {
	case there.Before(before):
		away = there.Sub(before)
	case there.After(after):
		away = there.Sub(after)
	}
	if away.Abs() > clockBound {
		word := "ahead of"
		if away < 0 {
			word = "behind"
		}
		return ill("have NTP keep the clocks of both machines (`timedatectl status`)",
			"the clock of Postgres is %s %s this machine's, want at most %s", away.Abs().Round(time.Millisecond), word, clockBound)
	}
	return well("within %s of the clock of Postgres", (away.Abs() + after.Sub(before)).Round(time.Millisecond))
}
