package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"galaxy/gamemaster/bench/pgcount"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/devstack"
	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/workflows"
)

// place is where one rival runs: a database, a Temporal server if it needs one, a
// Runtime Manager and games of its own, so that all begin with the same data, and
// processes of its own, so that what they take is the rival's.
type place struct {
	stack *stack
	rival rival
	// temporal is nil for a rival that needs none.
	temporal *devstack.Temporal
	dir      string
	// name is that of the database, and what the games' names begin with.
	name      string
	manager   *process
	control   *rtmsim.Control
	processes []*process
	callers   []*caller
	// proxy counts what goes to Postgres; nil when nothing is counted.
	proxy   *pgcount.Proxy
	closers []func() error
}

// placeOptions say what a place is for.
type placeOptions struct {
	rival   rival
	setting temporalSetting
	callers int
	// fleet is how many other games are in the database.
	fleet int
	// environ is added to that of the rival's processes.
	environ []string
	// counted puts a proxy between the rival and Postgres.
	counted bool
	// quiet leaves out what a worker of the product does every few minutes, which
	// would be measured with whoever is on turn then.
	quiet bool
}

// openPlace starts a rival. Whatever it started is stopped again when it fails.
func (s *stack) openPlace(ctx context.Context, options placeOptions) (_ *place, err error) {
	p := &place{stack: s, rival: options.rival, name: s.nextName(options.rival.name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.dir, err = os.MkdirTemp(s.dir, p.name+"-"); err != nil {
		return nil, err
	}
	p.onClose(func() error { return os.RemoveAll(p.dir) })
	if options.rival.workflowID != nil {
		if err := p.startTemporal(ctx, options.setting); err != nil {
			return nil, err
		}
	}
	if p.manager, err = s.startManager(ctx, filepath.Join(p.dir, "rtmsim.log")); err != nil {
		return nil, err
	}
	p.onClose(p.manager.stop)
	p.control = rtmsim.NewControl(p.manager.address)
	p.onClose(func() error { p.control.Close(); return nil })
	template, err := s.template(ctx, options.fleet)
	if err != nil {
		return nil, err
	}
	if err := s.administer(ctx, "CREATE DATABASE "+p.database()+" TEMPLATE "+template); err != nil {
		return nil, err
	}
	p.onClose(func() error { return p.drop(ctx, p.database()) })
	if err := p.layGames(ctx, options.callers*gamesPerCaller); err != nil {
		return nil, err
	}
	databaseURL := s.postgres.URL(p.database())
	if options.counted {
		if p.proxy, databaseURL, err = pgcount.Open(databaseURL); err != nil {
			return nil, err
		}
		p.onClose(p.proxy.Close)
	}
	return p, p.startRival(ctx, databaseURL, options)
}

// startTemporal starts a server with the settings of the dev stack but for those
// of the setting.
func (p *place) startTemporal(ctx context.Context, setting temporalSetting) (err error) {
	options := devstack.TemporalOptions{
		Headless: true, SearchAttributes: workflows.SearchAttributes(),
		DynamicConfig: setting.dynamic, Metrics: true, Progress: p.stack.progress,
	}
	if setting.shards == 0 {
		options.Dir = filepath.Join(p.dir, "temporal")
	} else {
		database := p.database() + "_temporal"
		options.Database, options.Shards = p.stack.postgres.URL(database), setting.shards
		for _, made := range []string{database, database + "_visibility"} {
			p.onClose(func() error { return p.drop(ctx, made) })
		}
	}
	if p.temporal, err = devstack.StartTemporal(ctx, options); err != nil {
		return err
	}
	// What it would still write is removed anyway.
	p.onClose(p.temporal.Kill)
	return nil
}

// drop removes a database, whoever is still connected.
func (p *place) drop(ctx context.Context, database string) error {
	return p.stack.administer(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+database+" WITH (FORCE)")
}

func (p *place) database() string { return "bench_" + strings.ReplaceAll(p.name, "-", "_") }

// gameID is the name of a game; no other place has one of that name, so that
// nothing of an earlier one is in its history.
func (p *place) gameID(n int) string { return fmt.Sprintf("%s-%d", p.name, n) }

// layers is how many containers are put there at once.
const layers = 8

// layGames registers the games and gives each its container.
func (p *place) layGames(ctx context.Context, n int) error {
	connection, err := pgx.Connect(ctx, p.stack.postgres.URL(p.database()))
	if err != nil {
		return err
	}
	err = insertGames(ctx, connection, p.name+"-", n)
	if err := errors.Join(err, connection.Close(ctx)); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(layers)
	for i := range n {
		group.Go(func() error { return p.control.PutRuntime(ctx, p.gameID(i), image(fromVersion), "") })
	}
	return group.Wait()
}

// startRival starts the rival's processes, and gives each caller its games.
func (p *place) startRival(ctx context.Context, databaseURL string, options placeOptions) error {
	callers := options.callers
	tokens, authFile, err := p.writePolicy(callers)
	if err != nil {
		return err
	}
	environ := append(slices.Clone(options.environ),
		"DATABASE_URL="+databaseURL, "RTM_URL="+p.manager.address, "GAMEMASTER_AUTH_FILE="+authFile)
	if options.quiet {
		environ = append(environ, "GAMEMASTER_WATCH_INTERVAL=0s", "GAMEMASTER_EXPORT_INTERVAL=0s")
	}
	if p.temporal != nil {
		environ = append(environ, "TEMPORAL_ADDRESS="+p.temporal.Address())
	}
	for i, part := range p.rival.parts {
		started, err := start(ctx, p.command(part, environ), filepath.Join(p.dir, fmt.Sprintf("%d.log", i)))
		if err != nil {
			return fmt.Errorf("%s: %w", p.rival.name, err)
		}
		p.processes = append(p.processes, started)
		p.onClose(started.stop)
	}
	address := p.processes[len(p.processes)-1].address
	if !strings.HasPrefix(address, "http://") {
		address = "http://" + address
	}
	transport := &http.Transport{MaxIdleConnsPerHost: callers, IdleConnTimeout: time.Minute}
	p.onClose(func() error { transport.CloseIdleConnections(); return nil })
	for i := range callers {
		c := &caller{client: &http.Client{Transport: transport}, url: address, token: tokens[i]}
		for n := range gamesPerCaller {
			c.games = append(c.games, &game{id: p.gameID(i*gamesPerCaller + n), version: fromVersion})
		}
		p.callers = append(p.callers, c)
	}
	return nil
}

func (p *place) command(part part, environ []string) command {
	c := command{role: part.role, path: p.stack.product, args: part.args, environ: environ, ready: part.ready}
	if part.own != "" {
		c.path, c.args = p.stack.self, []string{serveCommand, part.own}
	}
	return c
}

// writePolicy makes a token for each caller, since the product bounds how often
// one may ask.
func (p *place) writePolicy(callers int) (tokens []string, file string, err error) {
	text := "tokens:\n"
	for i := range callers {
		token := fmt.Sprintf("bench-%04d-%s", i, strings.Repeat("x", 32))
		entry, err := auth.Entry(fmt.Sprintf("bench-%d", i), auth.Scopes(), nil, token)
		if err != nil {
			return nil, "", err
		}
		tokens, text = append(tokens, token), text+entry
	}
	file = filepath.Join(p.dir, "auth.yaml")
	return tokens, file, os.WriteFile(file, []byte(text), 0o600)
}

// setDelay has Runtime Manager take that long for each recreate.
func (p *place) setDelay(ctx context.Context, delay time.Duration) error {
	if err := p.control.ClearFaults(ctx); err != nil || delay == 0 {
		return err
	}
	return p.control.PutFault(ctx, rtmsim.Fault{
		GameID: rtmsim.AnyGame, Op: rtmsim.OpPatch, Mode: rtmsim.ModeSlow, DelayMS: int(delay.Milliseconds()),
	})
}

// patches counts the patches that were answered so far.
func (p *place) patches() int {
	n := 0
	for _, c := range p.callers {
		n += c.patches
	}
	return n
}

func (p *place) onClose(f func() error) { p.closers = append(p.closers, f) }

// close ends the rival and removes what was its own.
func (p *place) close() error {
	var faults []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		faults = append(faults, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(faults...)
}
