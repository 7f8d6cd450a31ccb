package drill

import (
	"context"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// comeBack starts the simulator again and, before there is another life to mix
// them up with, adds to the log of its earlier lives what landed in the moment
// between the last look at that log and the end. Only the containers' histories
// tell of it.
func (s *Simulator) comeBack(ctx context.Context) error {
	if err := s.Start(ctx); err != nil {
		return err
	}
	containers, err := s.control.Runtimes(ctx)
	if err != nil {
		return err
	}
	// After the histories: what landed in the new life and is in them is here too.
	present, err := s.control.WholeLog(ctx, "")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[string]bool{}
	for _, entry := range append(present.Entries, s.earlier...) {
		if entry.Effect == rtmsim.EffectApplied && entry.Op == rtmsim.OpPatch {
			known[entry.IdempotencyKey] = true
		}
	}
	order := lastOrder(s.earlier)
	if len(s.earlier) > 0 {
		order -= unseenRoom
	}
	for _, container := range containers {
		for _, done := range container.History {
			if !known[done.IdempotencyKey] {
				order = s.addUnseen(container.GameID, done, order)
			}
		}
	}
	return nil
}

// addUnseen adds a recreate behind order, and returns where that is. A call that
// was under way at the look has had its effect; one that came after it was seen
// by nobody. The caller holds mu.
func (s *Simulator) addUnseen(gameID string, done rtmsim.Recreate, order int64) int64 {
	for i := range s.earlier {
		entry := &s.earlier[i]
		// The look has it end where it arrived.
		underWay := entry.Effect == rtmsim.EffectNone && entry.EndedOrder == entry.ArrivedOrder
		if underWay && entry.Op == rtmsim.OpPatch && entry.IdempotencyKey == done.IdempotencyKey {
			order++
			entry.Effect, entry.LandedOrder, entry.EndedOrder = rtmsim.EffectApplied, order, order
			return order
		}
	}
	order += 2
	s.earlier = append(s.earlier, rtmsim.LogEntry{
		GameID: gameID, Op: rtmsim.OpPatch, IdempotencyKey: done.IdempotencyKey, ImageRef: done.ImageRef, Fence: fenceUnseen,
		ArrivedOrder: order - 1, LandedOrder: order, EndedOrder: order, Effect: rtmsim.EffectApplied,
	})
	return order
}
