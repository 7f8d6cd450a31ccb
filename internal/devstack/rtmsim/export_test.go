package rtmsim

import "time"

// SetAfter replaces the clock that faults wait on. Call it before serving.
func (s *Simulator) SetAfter(after func(time.Duration) <-chan time.Time) { s.after = after }

// SetLogLimit replaces the bound of the log. Call it before serving.
func (s *Simulator) SetLogLimit(limit int) { s.log.limit = limit }
