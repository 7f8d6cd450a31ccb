package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// hazard is a way in which everything is spoilt at once, until it is healed.
type hazard struct {
	layer Layer
	kind  string
	// strike makes it go wrong. It returns what tells how often it was met; nil
	// when to strike is all there is to it.
	strike func(ctx context.Context, c *Cell, p plannedHazard) (met func() int, err error)
	// heal ends it; nil for what heals by itself.
	heal func(ctx context.Context, c *Cell, p plannedHazard) error
}

// plannedHazard is a hazard with what the seed chose of it.
type plannedHazard struct {
	Layer Layer
	Kind  string
	// Before is the number of the patch that it strikes before.
	Before int
	// Lasts is from strike to heal.
	Lasts time.Duration
	// Which is the process, where there are several.
	Which int
	// Spoils is what is done to a link.
	Spoils spoiler
}

// spoiler is what a hazard does to a link: a toxic, or, without one, to take it
// down.
type spoiler struct {
	Name  string
	Toxic *Toxic
}

// spoilers are what happens to links.
func spoilers() []spoiler {
	toxic := func(toxic Toxic) *Toxic { return &toxic }
	return []spoiler{
		{"latency", toxic(Latency(300 * time.Millisecond))},
		{"replies_lost", toxic(Swallow(0))},
		{"requests_lost", toxic(Swallow(0).OnRequests())},
		{"replies_lost_and_cut", toxic(Swallow(time.Second))},
		{"reset", toxic(ResetPeer())},
		{"cut_in_the_middle", toxic(LimitData(700))},
		{"in_pieces", toxic(Slice(16, time.Millisecond))},
		{"narrow", toxic(Bandwidth(8))},
		{"down", nil},
	}
}

// hazards returns every kind of hazard, in an order that never changes.
func hazards() []hazard {
	return slices.Concat(processHazards(), linkHazards(), serverHazards())
}

// linkNamed are the links of a cell.
func linkNamed(c *Cell, name string) *Link {
	return map[string]*Link{
		"worker_manager": c.WorkerToManager, "worker_postgres": c.WorkerToPostgres, "worker_temporal": c.WorkerToTemporal,
		"api_temporal": c.APIToTemporal, "api_postgres": c.APIToPostgres,
	}[name]
}

func linkHazards() (list []hazard) {
	for _, name := range []string{"worker_manager", "worker_postgres", "worker_temporal", "api_temporal", "api_postgres"} {
		list = append(list, hazard{
			layer: LayerNetwork, kind: name,
			strike: func(_ context.Context, c *Cell, p plannedHazard) (func() int, error) {
				link := linkNamed(c, name)
				if p.Spoils.Toxic == nil {
					link.Down()
					return nil, nil
				}
				putAs, err := link.Put(*p.Spoils.Toxic)
				return func() int { return link.Met(putAs) }, err
			},
			heal: func(ctx context.Context, c *Cell, p plannedHazard) error {
				link := linkNamed(c, name)
				if p.Spoils.Toxic == nil {
					return link.Up()
				}
				return link.Take(ctx, p.Spoils.Toxic.Kind+"_"+p.Spoils.Toxic.stream())
			},
		})
	}
	return list
}

// at returns the one of a cell's processes that is meant.
func (p plannedHazard) at(processes []*Process) *Process { return processes[p.Which%len(processes)] }

// crash kills a process that its supervisor starts again; one that is just being
// started is waited for.
func crash(ctx context.Context, process *Process) error {
	return until(ctx, process.Name()+" runs", func(context.Context) (bool, error) { return process.Crash() == nil, nil })
}

// restart restarts processes one after another.
func restart(processes []*Process) error {
	var faults []error
	for _, process := range processes {
		faults = append(faults, process.Restart())
	}
	return errors.Join(faults...)
}

// processHazards are about the product's own processes.
func processHazards() []hazard {
	crashes := func(of func(*Cell) []*Process) func(context.Context, *Cell, plannedHazard) (func() int, error) {
		return func(ctx context.Context, c *Cell, p plannedHazard) (func() int, error) {
			return nil, crash(ctx, p.at(of(c)))
		}
	}
	// One that has died meanwhile was started again, and runs.
	pauses := func(of func(*Cell) []*Process) func(context.Context, *Cell, plannedHazard) (func() int, error) {
		return func(_ context.Context, c *Cell, p plannedHazard) (func() int, error) { return nil, p.at(of(c)).Pause() }
	}
	resumes := func(of func(*Cell) []*Process) func(context.Context, *Cell, plannedHazard) error {
		return func(ctx context.Context, c *Cell, p plannedHazard) error {
			process := p.at(of(c))
			return until(ctx, process.Name()+" goes on", func(context.Context) (bool, error) { return process.Resume() == nil, nil })
		}
	}
	workers := func(c *Cell) []*Process { return c.Workers }
	apis := func(c *Cell) []*Process { return c.APIs }
	return []hazard{
		{layer: LayerWorker, kind: "worker_crash", strike: crashes(workers)},
		{layer: LayerWorker, kind: "worker_pause", strike: pauses(workers), heal: resumes(workers)},
		{layer: LayerWorker, kind: "workers_crash", strike: func(ctx context.Context, c *Cell, _ plannedHazard) (func() int, error) {
			var faults []error
			for _, worker := range c.Workers {
				faults = append(faults, crash(ctx, worker))
			}
			return nil, errors.Join(faults...)
		}},
		{layer: LayerWorker, kind: "workers_restart", strike: func(_ context.Context, c *Cell, _ plannedHazard) (func() int, error) {
			return nil, restart(c.Workers)
		}},
		{layer: LayerAPI, kind: "api_crash", strike: crashes(apis)},
		{layer: LayerAPI, kind: "api_pause", strike: pauses(apis), heal: resumes(apis)},
		{layer: LayerAPI, kind: "apis_restart", strike: func(_ context.Context, c *Cell, _ plannedHazard) (func() int, error) {
			return nil, restart(c.APIs)
		}},
	}
}

// serverHazards are about Postgres, Temporal and Runtime Manager.
func serverHazards() []hazard {
	type deed func(ctx context.Context, s *Stack) error
	strikes := func(do deed) func(context.Context, *Cell, plannedHazard) (func() int, error) {
		return func(ctx context.Context, c *Cell, _ plannedHazard) (func() int, error) { return nil, do(ctx, c.Stack) }
	}
	heals := func(do deed) func(context.Context, *Cell, plannedHazard) error {
		return func(ctx context.Context, c *Cell, _ plannedHazard) error { return do(ctx, c.Stack) }
	}
	postgresUp := heals(func(ctx context.Context, s *Stack) error { return s.Postgres.Start(ctx) })
	temporalUp := heals(func(ctx context.Context, s *Stack) error { return s.Temporal.Start(ctx) })
	return []hazard{
		{layer: LayerStore, kind: "postgres_cut", strike: func(_ context.Context, c *Cell, _ plannedHazard) (func() int, error) {
			cut := c.WorkerDB.CutAll() + c.APIDB.CutAll()
			return func() int { return cut }, nil
		}},
		{layer: LayerStore, kind: "postgres_killed", heal: postgresUp,
			strike: strikes(func(_ context.Context, s *Stack) error { return s.Postgres.Kill() })},
		{layer: LayerStore, kind: "postgres_restarted", heal: postgresUp,
			strike: strikes(func(_ context.Context, s *Stack) error { return s.Postgres.Stop() })},
		{layer: LayerStore, kind: "postgres_paused", heal: heals(func(_ context.Context, s *Stack) error { return s.Postgres.Resume() }),
			strike: strikes(func(_ context.Context, s *Stack) error { return s.Postgres.Pause() })},
		{layer: LayerTemporal, kind: "temporal_killed", heal: temporalUp,
			strike: strikes(func(_ context.Context, s *Stack) error { return s.Temporal.Kill() })},
		{layer: LayerTemporal, kind: "temporal_restarted", heal: temporalUp,
			strike: strikes(func(_ context.Context, s *Stack) error { return s.Temporal.Stop() })},
		{layer: LayerTemporal, kind: "temporal_paused", heal: heals(func(_ context.Context, s *Stack) error { return s.Temporal.Resume() }),
			strike: strikes(func(_ context.Context, s *Stack) error { return s.Temporal.Pause() })},
		{layer: LayerManager, kind: "manager_killed", heal: heals(func(ctx context.Context, s *Stack) error { return s.Simulator.comeBack(ctx) }),
			strike: strikes(func(ctx context.Context, s *Stack) error { return s.Simulator.Kill(ctx) })},
		{layer: LayerManager, kind: "manager_paused", heal: heals(func(_ context.Context, s *Stack) error { return s.Simulator.Resume() }),
			strike: strikes(func(_ context.Context, s *Stack) error { return s.Simulator.Pause() })},
	}
}

// planHazards spreads hazards over the patches.
func planHazards(random *rand.Rand, patches int) (planned []plannedHazard) {
	n := max(leastHazards, patches/patchesPerHazard)
	if patches >= everyHazard {
		n = max(n, len(hazards()))
	}
	kinds := newDeck(random, func(*rand.Rand, int) []hazard { return hazards() })
	spoils := newDeck(random, func(*rand.Rand, int) []spoiler { return spoilers() })
	for i := range n {
		drawn := kinds.draw()
		next := plannedHazard{
			Layer: drawn.layer, Kind: drawn.kind, Before: (i + 1) * patches / (n + 1), Which: random.IntN(2), Lasts: lasts(random, drawn),
		}
		if drawn.layer == LayerNetwork {
			next.Spoils = spoils.draw()
		}
		planned = append(planned, next)
	}
	return planned
}

// lasts is how long a hazard lasts: one to four seconds, as most trouble does
// that heals by itself; a worker that stands still at times until others have
// taken over.
func lasts(random *rand.Rand, drawn hazard) time.Duration {
	if drawn.kind == "worker_pause" {
		return stopped(random)
	}
	return time.Second + time.Duration(random.IntN(3000))*time.Millisecond
}

// hazardOf returns what a planned hazard is.
func hazardOf(p plannedHazard) hazard {
	all := hazards()
	return all[slices.IndexFunc(all, func(h hazard) bool { return h.kind == p.Kind })]
}

// String tells the hazard in a few words.
func (p plannedHazard) String() string {
	if p.Spoils.Name != "" {
		return fmt.Sprintf("%s %s", p.Kind, p.Spoils.Name)
	}
	return p.Kind
}
