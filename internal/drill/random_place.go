package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"galaxy/gamemaster/internal/devstack/pgfault"
	"galaxy/gamemaster/internal/devstack/workerfault"
)

const (
	// placeBudget bounds what it takes to put a fault: Runtime Manager may be down
	// or paused by a hazard, and the patch goes on without the fault then.
	placeBudget = 2 * time.Second
	// takeBudget bounds what it takes to take faults away again: it outlasts every
	// hazard.
	takeBudget = 30 * time.Second
)

// placed is what was put for a patch.
type placed struct {
	kind faultKind
	name string
	// manager says that there are faults of Runtime Manager for the game.
	manager bool
	strike  *strike
}

// place puts the faults that are planned for a patch.
func (t *trial) place(ctx context.Context, g *Game, p plannedPatch, f *flight) (put placed) {
	ctx, cancel := context.WithTimeout(ctx, placeBudget)
	defer cancel()
	simulator := t.stack.Simulator.Control()
	if p.Act != nil {
		hold := p.Act.hold()
		hold.GameID = g.ID
		put.manager = true
		if err := simulator.PutFault(ctx, hold); err != nil {
			t.tally.note("patch %d: keep it open for %s: %s", p.Number, p.Act.Kind, err)
		}
		return put
	}
	if p.Strike == nil {
		return put
	}
	put.name = fmt.Sprintf("%s-%d", p.Strike.name(), p.Number)
	put.kind = faultKind{p.Strike.Layer, p.Strike.Kind()}
	put.manager = p.Strike.Manager != nil || len(p.Strike.Before) > 0
	if err := t.putStrike(ctx, g, p, put.name); err != nil {
		t.tally.note("patch %d: fault %s: %s", p.Number, put.name, err)
		return put
	}
	put.strike = p.Strike
	t.tally.put(f, put.kind)
	return put
}

func (t *trial) putStrike(ctx context.Context, g *Game, p plannedPatch, name string) error {
	simulator := t.stack.Simulator.Control()
	managers := slices.Clone(p.Strike.Before)
	if p.Strike.Manager != nil {
		fault := *p.Strike.Manager
		fault.Name = name
		managers = append(managers, fault)
	}
	for _, fault := range managers {
		fault.GameID = g.ID
		if err := simulator.PutFault(ctx, fault); err != nil {
			return err
		}
	}
	switch {
	case p.Strike.Store != nil:
		fault := *p.Strike.Store
		fault.Name, fault.Argument = name, g.ID
		return t.cell.WorkerDB.PutFault(fault)
	case p.Strike.API != nil:
		fault := *p.Strike.API
		fault.Name, fault.Argument = name, p.Key
		return t.cell.APIDB.PutFault(fault)
	case p.Strike.Worker != nil:
		fault := *p.Strike.Worker
		fault.Name, fault.GameID = name, g.ID
		return t.workers.add(fault, p.Strike.Resumes)
	}
	return nil
}

// take ends what place put, and counts whether it fired.
func (t *trial) take(ctx context.Context, g *Game, put placed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBudget)
	defer cancel()
	if put.manager {
		t.takeManager(ctx, g, put)
	}
	if put.strike == nil {
		return
	}
	switch {
	case put.strike.Store != nil:
		t.tally.fired(put.kind, takeStatement(t.cell.WorkerDB, put.name))
	case put.strike.API != nil:
		t.tally.fired(put.kind, takeStatement(t.cell.APIDB, put.name))
	case put.strike.Worker != nil:
		fired, err := t.workers.take(put.name)
		if err != nil {
			t.tally.note("fault %s: %s", put.name, err)
		}
		t.tally.fired(put.kind, fired)
	}
}

func (t *trial) takeManager(ctx context.Context, g *Game, put placed) {
	simulator := t.stack.Simulator
	err := until(ctx, "Runtime Manager has forgotten the faults", func(ctx context.Context) (bool, error) {
		fired, err := simulator.Fired(ctx)
		if err == nil {
			err = simulator.Control().DeleteFaultsOf(ctx, g.ID)
		}
		if err == nil && put.strike != nil && put.strike.Manager != nil {
			t.tally.fired(put.kind, fired[put.name])
		}
		// One that is down or paused comes back.
		return err == nil, nil
	})
	if err != nil {
		t.tally.note("%s: %s", g.ID, err)
	}
}

// takeStatement clears a fault of a statement, and returns how often it fired.
func takeStatement(proxy *pgfault.Proxy, name string) (fired int) {
	for _, report := range proxy.Faults() {
		if report.Name == name {
			fired = report.Fired
		}
	}
	proxy.ClearFault(name)
	return fired
}

// workerPlan are the faults that wait for the workers' steps. All methods are
// safe for concurrent use.
type workerPlan struct {
	files workerfault.Files

	mu    sync.Mutex
	known []workerfault.Fault
	// resumes says when a worker goes on that a fault has stopped.
	resumes map[string]time.Duration
}

func (w *workerPlan) add(fault workerfault.Fault, resumes time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.resumes == nil {
		w.resumes = map[string]time.Duration{}
	}
	w.known = append(w.known, fault)
	w.resumes[fault.Name] = resumes
	return workerfault.WritePlan(w.files.Plan, w.known...)
}

// take removes a fault, since every step reads all that are left, and returns
// how often it fired.
func (w *workerPlan) take(name string) (fired int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = slices.DeleteFunc(w.known, func(fault workerfault.Fault) bool { return fault.Name == name })
	if err := workerfault.WritePlan(w.files.Plan, w.known...); err != nil {
		return 0, err
	}
	entries, err := workerfault.ReadJournal(w.files.Journal)
	for _, entry := range entries {
		if entry.Fault == name {
			fired++
		}
	}
	return fired, err
}

// stoppedLook is from one look for workers that have stopped themselves to the
// next.
const stoppedLook = 200 * time.Millisecond

// resumeStopped has workers go on that have stopped themselves, each at its time;
// what it returns has the rest go on at once.
func (w *workerPlan) resumeStopped(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := map[workerfault.Entry]bool{}
	var looking sync.WaitGroup
	looking.Go(func() {
		for pause(ctx, stoppedLook) == nil {
			w.resume(done, time.Now())
		}
		w.resume(done, time.Now().Add(time.Hour))
	})
	return func() {
		cancel()
		looking.Wait()
	}
}

// resume has those go on whose time has come.
func (w *workerPlan) resume(done map[workerfault.Entry]bool, now time.Time) {
	// A journal that cannot be read now is read again at the next look.
	entries, _ := workerfault.ReadJournal(w.files.Journal)
	for _, entry := range entries {
		if !strings.HasPrefix(string(entry.Mode), "stop_") || done[entry] {
			continue
		}
		w.mu.Lock()
		due := entry.Time.Add(w.resumes[entry.Fault])
		w.mu.Unlock()
		if now.Before(due) {
			continue
		}
		// One that was killed since is gone, and another has its place.
		if err := syscall.Kill(entry.PID, syscall.SIGCONT); err == nil || errors.Is(err, syscall.ESRCH) {
			done[entry] = true
		}
	}
}
