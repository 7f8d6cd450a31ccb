package drill

import (
	"context"
	"errors"
	"time"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/patch"
)

// rest lets time pass: for what is to last, and nothing tells when it is over.
func (g *Game) rest(duration time.Duration) {
	g.do("rest", func(ctx context.Context) error { return pause(ctx, duration) })
}

// networkCases are about the links between the parts.
func networkCases() []Case {
	links := []struct {
		name string
		of   func(c *Cell) *Link
	}{
		{"worker_manager", func(c *Cell) *Link { return c.WorkerToManager }},
		{"worker_postgres", func(c *Cell) *Link { return c.WorkerToPostgres }},
		{"worker_temporal", func(c *Cell) *Link { return c.WorkerToTemporal }},
		{"api_temporal", func(c *Cell) *Link { return c.APIToTemporal }},
		{"api_postgres", func(c *Cell) *Link { return c.APIToPostgres }},
	}
	toxics := []struct {
		name  string
		toxic Toxic
	}{
		{"latency", Latency(150 * time.Millisecond)},
		{"replies_lost", Swallow(0)},
		{"requests_lost", Swallow(0).OnRequests()},
		{"reset", ResetPeer()},
	}
	var cases []Case
	for _, link := range links {
		for _, toxic := range toxics {
			cases = append(cases, Case{
				Name: named("network", link.name, toxic.name), Layer: LayerNetwork, Room: RoomCell,
				Expect: Expect{Codes: []patch.Code{"", patch.CodeServiceUnavailable}},
				Run: func(c *Cell, g *Game) {
					spoilt := g.Toxic(link.of(c), toxic.toxic)
					asked := g.PatchAsync(target)
					g.AwaitFired(spoilt)
					g.rest(3 * time.Second)
					g.TakeToxic(link.of(c), spoilt)
					asked.Wait()
				},
			})
		}
	}
	return cases
}

// serverCases are about Postgres, Temporal and Runtime Manager themselves:
// killed, stopped where they stand, in the middle of a recreate and while there
// is nothing to do.
func serverCases() []Case {
	type server struct {
		name string
		down func(s *Stack, ctx context.Context) error
		up   func(s *Stack, ctx context.Context) error
	}
	during := func(name string, run func(s *Stack, g *Game, hold string)) Case {
		return Case{
			Name: named(name, "during_the_recreate"), Layer: LayerTemporal, Room: RoomStack,
			Expect: Expect{Codes: []patch.Code{"", patch.CodeServiceUnavailable}},
			Run: func(c *Cell, g *Game) {
				asked, hold := holding(g)
				run(c.Stack, g, hold)
				asked.Wait()
			},
		}
	}
	cases := []Case{
		during("manager_killed", func(s *Stack, g *Game, _ string) {
			// What it holds ends with it.
			g.Did(LayerTemporal, "manager_killed", s.Simulator.Kill(g.ctx))
			g.rest(downTime)
			g.do("up again", s.Simulator.Start)
		}),
		during("manager_paused", func(s *Stack, g *Game, hold string) {
			g.Did(LayerTemporal, "manager_paused", s.Simulator.Pause())
			g.rest(downTime)
			g.do("up again", func(context.Context) error { return s.Simulator.Resume() })
			g.Release(hold)
		}),
	}
	for _, hit := range []server{
		{"temporal_killed", func(s *Stack, _ context.Context) error { return s.Temporal.Kill() },
			func(s *Stack, ctx context.Context) error { return s.Temporal.Start(ctx) }},
		{"temporal_paused", func(s *Stack, _ context.Context) error { return s.Temporal.Pause() },
			func(s *Stack, _ context.Context) error { return s.Temporal.Resume() }},
		{"temporal_restarted", func(s *Stack, _ context.Context) error { return s.Temporal.Stop() },
			func(s *Stack, ctx context.Context) error { return s.Temporal.Start(ctx) }},
		{"postgres_killed", func(s *Stack, _ context.Context) error { return s.Postgres.Kill() },
			func(s *Stack, ctx context.Context) error { return s.Postgres.Start(ctx) }},
		{"postgres_restarted", func(s *Stack, _ context.Context) error { return s.Postgres.Stop() },
			func(s *Stack, ctx context.Context) error { return s.Postgres.Start(ctx) }},
	} {
		cases = append(cases, during(hit.name, func(s *Stack, g *Game, hold string) {
			g.Did(LayerTemporal, hit.name, hit.down(s, g.ctx))
			// So that the recreate is done while the server is down.
			g.Release(hold)
			g.rest(downTime)
			g.do("up again", func(ctx context.Context) error { return hit.up(s, ctx) })
		}))
	}
	return cases
}

// downTime is how long a server is down or stopped: long enough for a call to it
// to fail and be tried again.
const downTime = 2 * time.Second

// processCases are about the product's own processes, all of them at once.
func processCases() []Case {
	return []Case{
		{
			Name: "api_killed_while_the_caller_waits", Layer: LayerAPI, Room: RoomCell, Expect: patched(),
			Run: func(c *Cell, g *Game) {
				asked, hold := holding(g)
				for _, api := range c.APIs {
					g.Did(LayerAPI, "crash "+api.Name(), api.Crash())
				}
				g.Release(hold)
				asked.Wait()
			},
		},
		{
			Name: "rolling_restart_under_load", Layer: LayerWorker, Room: RoomCell, Expect: Expect{Codes: []patch.Code{""}, Version: "1.4.4"},
			Run: func(c *Cell, g *Game) {
				asked, hold := holding(g)
				for _, process := range append(append([]*Process{}, c.Workers...), c.APIs...) {
					g.Did(LayerWorker, "restart "+process.Name(), process.Restart())
				}
				g.Land(hold)
				asked.Wait()
				g.Patch("1.4.4")
			},
		},
		{
			Name: "everything_of_ours_killed", Layer: LayerWorker, Room: RoomCell, Expect: patched(),
			Run: func(c *Cell, g *Game) {
				// Until the workers are gone, there is no answer.
				hang := g.RTM(rtmsim.Fault{Op: rtmsim.OpPatch, Mode: rtmsim.ModeAppliedThenHang, Times: 1})
				asked := g.PatchAsync(target)
				g.AwaitFired(hang)
				var faults []error
				for _, process := range append(append([]*Process{}, c.Workers...), c.APIs...) {
					faults = append(faults, process.Crash())
				}
				g.Did(LayerWorker, "crash all", errors.Join(faults...))
				asked.Wait()
			},
		},
	}
}
