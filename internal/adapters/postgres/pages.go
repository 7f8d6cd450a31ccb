package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pages is a list that is read page by page. A page is a range of the index that
// has the list's order: it begins behind a position and ends after limit rows,
// so that the last one costs what the first one does.
type pages[T any] struct {
	op      string // what errors call it
	columns string
	table   string
	order   string
	scan    pgx.RowToFunc[T]
}

// read returns one page.
func (l pages[T]) read(ctx context.Context, pool *pgxpool.Pool, p page) ([]T, error) {
	return query[T]{l.op, p.sql, l.scan}.all(ctx, pool, p.planned()...)
}

// page is the statement of one page.
type page struct {
	sql       string
	arguments []any
}

// planned returns the arguments behind the wish to have the statement planned
// for them each time, which takes a fraction of a millisecond. Else the driver
// prepares it and Postgres may come to keep one plan for all values, which walks
// the whole log for a rare error code because the usual ones are not rare.
func (p page) planned() []any {
	return append([]any{pgx.QueryExecModeCacheDescribe}, p.arguments...)
}

// page puts the statement together: the first limit rows that meet every
// condition and lie in one of the ranges, which are conditions that exclude each
// other. Each range is cut off by itself, so that the index can serve it; at
// most one page of each is merged.
func (l pages[T]) page(c *conditions, limit int, ranges ...string) page {
	tail := " ORDER BY " + l.order + " LIMIT " + c.bind(limit)
	if len(ranges) == 0 {
		return page{l.rows(c.all) + tail, c.arguments}
	}
	parts := make([]string, len(ranges))
	for i, within := range ranges {
		parts[i] = "(" + l.rows(append(c.all[:len(c.all):len(c.all)], within)) + tail + ")"
	}
	if len(parts) == 1 {
		return page{parts[0], c.arguments}
	}
	return page{"SELECT " + l.columns + " FROM (" + strings.Join(parts, " UNION ALL ") + ") AS page" + tail, c.arguments}
}

func (l pages[T]) rows(conditions []string) string {
	rows := "SELECT " + l.columns + " FROM " + l.table
	if len(conditions) > 0 {
		rows += " WHERE " + strings.Join(conditions, " AND ")
	}
	return rows
}

// conditions are those that were asked for and no others: one that is there but
// may be switched off ("$1 = ” OR status = $1") keeps the planner from the
// index that would serve it. The texts are ours, every value is an argument.
type conditions struct {
	all       []string
	arguments []any
}

// bind adds an argument and returns its name.
func (c *conditions) bind(value any) string {
	c.arguments = append(c.arguments, value)
	return "$" + strconv.Itoa(len(c.arguments))
}

func (c *conditions) add(condition string) { c.all = append(c.all, condition) }

// addGamePrefixes keeps the games whose id begins with one of prefixes, letter
// by letter: nothing in them is a wildcard, not the "_" that game ids have
// either. None at all keeps every game. Each is a condition of its own, because
// Postgres looks up the beginning of a text in an index, but not that of any in
// an array: a page for a few games would read the whole fleet.
func (c *conditions) addGamePrefixes(prefixes []string) {
	if len(prefixes) == 0 {
		return
	}
	begins := make([]string, len(prefixes))
	for i, prefix := range prefixes {
		begins[i] = "game_id ^@ " + c.bind(prefix)
	}
	c.add("(" + strings.Join(begins, " OR ") + ")")
}
