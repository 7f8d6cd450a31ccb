package drill

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"

	"galaxy/gamemaster/internal/devstack/workerfault"
)

// workerFaults tell the workers of a cell when to fail. They share a plan, which
// can grow while they run, and a journal of what has fired.
type workerFaults struct{ files workerfault.Files }

func newWorkerFaults(dir, cell string) (*workerFaults, error) {
	files := workerfault.Files{
		Plan:    filepath.Join(dir, cell+"-faults.jsonl"),
		Journal: filepath.Join(dir, cell+"-journal.jsonl"),
	}
	return &workerFaults{files}, workerfault.WritePlan(files.Plan)
}

// arguments are the command line of a worker.
func (f *workerFaults) arguments() []string {
	return []string{"drill-worker", "--faults", f.files.Plan, "--journal", f.files.Journal}
}

// fired returns what the journal has of a fault.
func (f *workerFaults) fired(name string) (fired []workerfault.Entry, err error) {
	entries, err := workerfault.ReadJournal(f.files.Journal)
	for _, entry := range entries {
		if entry.Fault == name {
			fired = append(fired, entry)
		}
	}
	return fired, err
}

// Worker has the cell's workers fail at the game, and returns the fault's name. A
// worker that kills itself is started again at once; one that stops itself goes
// on with [Game.ContinueWorker].
func (g *Game) Worker(fault workerfault.Fault) (name string) {
	faults := g.cell.faults
	name = g.Plan(LayerWorker, string(fault.Mode), func(context.Context) (int, error) {
		fired, err := faults.fired(name)
		return len(fired), err
	})
	g.do("fault "+name, func(context.Context) error {
		fault.GameID, fault.Name = g.ID, name
		return workerfault.AddFaults(faults.files.Plan, fault)
	})
	return name
}

// ContinueWorker has the workers go on that the named fault has stopped.
func (g *Game) ContinueWorker(name string) {
	g.do("continue after "+name, func(context.Context) error {
		fired, err := g.cell.faults.fired(name)
		if err == nil && len(fired) == 0 {
			err = errors.New("it has stopped no worker")
		}
		for _, entry := range fired {
			// One that has been killed since is gone, and another has its place.
			if told := syscall.Kill(entry.PID, syscall.SIGCONT); !errors.Is(told, syscall.ESRCH) {
				err = errors.Join(err, told)
			}
		}
		return err
	})
}
