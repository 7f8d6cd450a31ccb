package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"galaxy/gamemaster/internal/devstack/rtmsim"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/ports"
)

// Simulator is the Runtime Manager simulator as a process of its own. Its
// containers survive its lives in a file; what it logged, and how often its
// faults fired, is taken down here before a life is ended.
type Simulator struct {
	process *Process
	control *rtmsim.Control
	address string

	mu sync.Mutex
	// earlier are the calls of the lives before this one.
	earlier []rtmsim.LogEntry
	// fired is the highest count that was seen of each named fault.
	fired map[string]int
}

// startSimulator starts the simulator with its state in file.
func startSimulator(ctx context.Context, options processOptions, file string) (*Simulator, error) {
	s := &Simulator{fired: map[string]int{}}
	options.Args = func() []string {
		address := s.address
		if address == "" {
			address = "127.0.0.1:0"
		}
		return []string{"rtmsim", "--addr", address, "--data", file}
	}
	s.process = newProcess(options)
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	const ready = "Runtime Manager simulator at http://"
	line, err := s.process.awaitLog(ctx, 0, func(line string) bool { return strings.HasPrefix(line, ready) })
	if err != nil {
		return nil, errors.Join(err, s.process.close())
	}
	s.address = strings.TrimSpace(strings.TrimPrefix(line, ready))
	s.control = rtmsim.NewControl(s.url())
	return s, nil
}

func (s *Simulator) url() string { return "http://" + s.address }

// Control returns the client of its control API.
func (s *Simulator) Control() *rtmsim.Control { return s.control }

// Kill ends the simulator as a crash would, and keeps it down until Start. What
// it is working on never lands.
func (s *Simulator) Kill(ctx context.Context) error {
	if err := s.takeDown(ctx); err != nil {
		return err
	}
	return s.process.Kill()
}

// Start starts the simulator again and returns when it answers.
func (s *Simulator) Start(ctx context.Context) error {
	if err := s.process.Start(); err != nil {
		return err
	}
	return until(ctx, "the simulator answers", func(ctx context.Context) (bool, error) {
		return s.control.Healthy(ctx) == nil, nil
	})
}

// Pause stops the simulator where it stands; Resume lets it go on.
func (s *Simulator) Pause() error { return s.process.Pause() }

// Resume ends a Pause.
func (s *Simulator) Resume() error { return s.process.Resume() }

// takeDown keeps what a life knows that is about to end.
func (s *Simulator) takeDown(ctx context.Context) error {
	if _, err := s.Fired(ctx); err != nil {
		return err
	}
	page, err := s.control.WholeLog(ctx, "")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range page.Entries {
		if page.Entries[i].EndedOrder == 0 {
			// It ends with the life; that it landed after this look is in the
			// container's history.
			page.Entries[i].EndedOrder = page.Entries[i].ArrivedOrder
		}
	}
	s.earlier = append(s.earlier, shifted(page.Entries, lastOrder(s.earlier))...)
	return nil
}

// shifted numbers the entries of a life from behind those of the lives before.
func shifted(entries []rtmsim.LogEntry, by int64) []rtmsim.LogEntry {
	entries = slices.Clone(entries)
	for i := range entries {
		entry := &entries[i]
		for _, order := range []*int64{&entry.ArrivedOrder, &entry.LandedOrder, &entry.EndedOrder} {
			if *order != 0 {
				*order += by
			}
		}
	}
	return entries
}

// lastOrder is a number above all those of the entries, with room for what they
// did not see.
func lastOrder(entries []rtmsim.LogEntry) (last int64) {
	for _, entry := range entries {
		last = max(last, entry.ArrivedOrder, entry.LandedOrder, entry.EndedOrder)
	}
	if len(entries) > 0 {
		last += unseenRoom
	}
	return last
}

// unseenRoom is how many recreates may land between the look at the log and the
// end of a life.
const unseenRoom = 1000

// Fired returns how often each named fault fired, over all lives.
func (s *Simulator) Fired(ctx context.Context) (map[string]int, error) {
	reports, err := s.control.Faults(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, report := range reports {
		if report.Name != "" {
			s.fired[report.Name] = max(s.fired[report.Name], report.Fired)
		}
	}
	fired := make(map[string]int, len(s.fired))
	for name, times := range s.fired {
		fired[name] = times
	}
	return fired, nil
}

// errLogDropped says that the log is no longer whole.
var errLogDropped = errors.New("the simulator has dropped a part of its log")

// Calls returns what was asked of a game, over all lives.
func (s *Simulator) Calls(ctx context.Context, gameID string) ([]Call, error) {
	page, err := s.control.WholeLog(ctx, gameID)
	if err != nil {
		return nil, err
	}
	if page.Dropped > 0 {
		return nil, errLogDropped
	}
	container, _, err := s.control.Runtime(ctx, gameID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []Call
	for _, entry := range s.earlier {
		if entry.GameID == gameID {
			calls = append(calls, callOf(entry))
		}
	}
	present := page.Entries
	if len(s.earlier) > 0 {
		calls = append(calls, unseen(container, calls, present, lastOrder(s.earlier)-unseenRoom)...)
		present = shifted(present, lastOrder(s.earlier))
	}
	for _, entry := range present {
		calls = append(calls, callOf(entry))
	}
	return calls, nil
}

// unseen are the recreates in the container's history that no log has: they
// landed between the look at the log and the end of a life.
func unseen(container rtmsim.Runtime, earlier []Call, present []rtmsim.LogEntry, order int64) (calls []Call) {
	known := map[string]bool{}
	for _, call := range earlier {
		if call.Effect == EffectApplied {
			known[call.Key] = true
		}
	}
	for _, entry := range present {
		if entry.Effect == rtmsim.EffectApplied {
			known[entry.IdempotencyKey] = true
		}
	}
	for i := range earlier {
		call := &earlier[i]
		if call.Effect == EffectNone && !known[call.Key] && slices.ContainsFunc(container.History, func(done rtmsim.Recreate) bool {
			return done.IdempotencyKey == call.Key
		}) {
			order++
			call.Effect, call.Landing, known[call.Key] = EffectApplied, order, true
		}
	}
	for _, done := range container.History {
		if !known[done.IdempotencyKey] {
			order += 2
			calls = append(calls, Call{
				Op: OpPatch, Key: done.IdempotencyKey, Image: done.ImageRef, Fence: fenceUnseen,
				Arrival: order - 1, Landing: order, End: order, Effect: EffectApplied,
			})
		}
	}
	return calls
}

// fenceUnseen is the number of a recreate that only the container's history
// tells of.
const fenceUnseen = -1

func callOf(entry rtmsim.LogEntry) Call {
	return Call{
		Seq: entry.Seq, Op: Op(entry.Op), Key: entry.IdempotencyKey, Fence: entry.Fence, Image: entry.ImageRef,
		Arrival: entry.ArrivedOrder, Landing: entry.LandedOrder, End: entry.EndedOrder,
		Effect: Effect(entry.Effect), Fault: string(entry.Fault),
	}
}

// Container returns what Runtime Manager has of a game now.
func (s *Simulator) Container(ctx context.Context, gameID string) (drift.Container, error) {
	found, exists, err := s.control.Runtime(ctx, gameID)
	if err != nil || !exists {
		return drift.Container{}, err
	}
	return drift.Container{ImageRef: found.ImageRef, Status: found.Status, Running: found.Status == ports.ContainerRunning}, nil
}

func (s *Simulator) close() error {
	if s.control != nil {
		s.control.Close()
	}
	if err := s.process.close(); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}
