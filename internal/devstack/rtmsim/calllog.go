package rtmsim

import (
	"fmt"
	"time"
)

const (
	// maxLog bounds the log of a simulator that is left running: an entry takes
	// about 300 bytes with its texts, so a full log takes some 300 MB, and no
	// drill comes near it.
	maxLog = 1_000_000

	// defaultLogLimit and maxLogLimit are how many entries one page holds: the
	// most that a page can weigh is then some megabytes.
	defaultLogLimit = 1_000
	maxLogLimit     = 10_000
)

// Effect is what a call changed.
type Effect string

// The effects of a call.
const (
	// EffectNone: nothing changed. That is every inspect, a patch or a fence that
	// a fault kept from its effect or whose effect could not be written, and
	// every call that is still under way and has not landed.
	EffectNone Effect = "none"
	// EffectApplied: the recreate took place, or the number is in force.
	EffectApplied Effect = "applied"
	// EffectReplayed: nothing changed, because the key was carried out before.
	EffectReplayed Effect = "replayed"
	// EffectRefused: nothing changed, because the call was refused: it was
	// unreadable, its number or its key was used up, the game has no container,
	// or it was a fence while fencing was off.
	EffectRefused Effect = "refused"
)

// LogEntry is one call of the contract. An entry is completed while its call is
// under way, and never changes after EndedOrder was set.
type LogEntry struct {
	// Seq numbers the entries in order of arrival, from 1 with each process.
	Seq    int64  `json:"seq"`
	GameID string `json:"game_id"`
	Op     Op     `json:"op"`
	// IdempotencyKey and ImageRef are what a patch asked for, cut to their
	// longest valid length; empty for the other calls.
	IdempotencyKey string `json:"idempotency_key,omitempty"`
	ImageRef       string `json:"image_ref,omitempty"`
	// Fence is the number that the call carried, also while fencing is off; zero
	// when it carried none that could be read.
	Fence int64 `json:"fence,omitempty"`
	// ArrivedAt and LandedAt are by the clock; LandedAt is null when the call
	// never took effect. What needs an order takes the numbers below.
	ArrivedAt time.Time  `json:"arrived_at"`
	LandedAt  *time.Time `json:"landed_at"`
	// ArrivedOrder, LandedOrder and EndedOrder say when the call arrived, took
	// effect and was answered or cut off, on one counter for all calls of all
	// games. LandedOrder is zero when it never took effect, EndedOrder while it
	// is under way.
	ArrivedOrder int64 `json:"arrived_order"`
	LandedOrder  int64 `json:"landed_order"`
	EndedOrder   int64 `json:"ended_order"`
	// Status is the HTTP status of the answer, whoever was left to read it; zero
	// when the connection was cut, and while the call is under way.
	Status int    `json:"status"`
	Effect Effect `json:"effect"`
	// Fault and FaultName are those of the fault that the call met; empty when
	// it met none.
	Fault     Mode   `json:"fault,omitempty"`
	FaultName string `json:"fault_name,omitempty"`
}

// LogQuery says which entries are wanted. The control API has its fields as
// query parameters after, game_id and limit.
type LogQuery struct {
	// After is the Seq behind which to begin; zero begins at the oldest.
	After int64
	// GameID restricts the entries to one game; empty takes all.
	GameID string
	// Limit is how many entries to return at most, up to 10,000; zero is 1,000.
	Limit int
}

// LogPage is a part of the log.
type LogPage struct {
	// Entries are in order of arrival; never null.
	Entries []LogEntry `json:"entries"`
	// Last is what After has to be for the page behind this one. When that comes
	// back with no entries, the log has been read to its end. An entry that was
	// still under way has to be asked for again.
	Last int64 `json:"last"`
	// Dropped is how many entries the log has lost so far to make room: those
	// with a Seq up to it. A checker that sees more than zero cannot prove that
	// something did not happen.
	Dropped int64 `json:"dropped"`
}

// Log returns a copy of the entries that query wants, or an [*InputError].
func (s *Simulator) Log(query LogQuery) (LogPage, error) {
	switch {
	case query.After < 0:
		return LogPage{}, &InputError{"after", "must not be negative"}
	case query.Limit < 0 || query.Limit > maxLogLimit:
		return LogPage{}, &InputError{"limit", fmt.Sprintf("must be between 0 and %d", maxLogLimit)}
	case query.Limit == 0:
		query.Limit = defaultLogLimit
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.page(query), nil
}

// callLog is a ring of the last entries. The simulator's mu guards it.
type callLog struct {
	limit   int
	entries []LogEntry
	last    int64 // the Seq of the newest entry
	order   int64
}

// tick returns the next number of the counter behind the orders.
func (l *callLog) tick() int64 {
	l.order++
	return l.order
}

// add writes the arrival of c and returns its Seq.
func (l *callLog) add(c call) int64 {
	l.last++
	entry := LogEntry{
		Seq: l.last, GameID: clipped(c.gameID, maxText), Op: c.op, Effect: EffectNone,
		IdempotencyKey: clipped(c.key, maxText), ImageRef: clipped(c.imageRef, maxImageRef), Fence: c.fence,
		ArrivedAt: time.Now().UTC(), ArrivedOrder: l.tick(),
	}
	if len(l.entries) < l.limit {
		l.entries = append(l.entries, entry)
	} else {
		*l.slot(l.last) = entry
	}
	return l.last
}

func (l *callLog) slot(seq int64) *LogEntry { return &l.entries[(seq-1)%int64(l.limit)] }

// at returns the entry of seq to be completed. Of a call that has none, or
// whose entry was dropped meanwhile, it returns one that nobody sees.
func (l *callLog) at(seq int64) *LogEntry {
	if seq <= l.dropped() || seq > l.last {
		return &LogEntry{}
	}
	return l.slot(seq)
}

func (l *callLog) dropped() int64 { return max(0, l.last-int64(l.limit)) }

func (l *callLog) page(query LogQuery) LogPage {
	page := LogPage{Entries: []LogEntry{}, Last: l.last, Dropped: l.dropped()}
	for seq := max(query.After, page.Dropped) + 1; seq <= l.last; seq++ {
		entry := l.slot(seq)
		if query.GameID != "" && entry.GameID != query.GameID {
			continue
		}
		page.Entries = append(page.Entries, *entry)
		if len(page.Entries) == query.Limit {
			page.Last = seq
			break
		}
	}
	return page
}

// clipped keeps a text that was refused for its length from filling the log.
func clipped(text string, limit int) string { return text[:min(len(text), limit)] }
