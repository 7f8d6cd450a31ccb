package drill

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"galaxy/gamemaster/internal/domain/patch"
)

// faultKind is what faults are counted by.
type faultKind struct {
	Layer Layer
	Kind  string
}

// ending is how a request ended.
type ending struct {
	// accepted says that there is a patch; answered, that there was an answer.
	accepted, answered bool
	// open says that the patch was left open.
	open bool
	code patch.Code
}

// flight is a patch that is under way.
type flight struct {
	// struck are the faults that were put for it.
	struck []faultKind
}

// maxNotes is how many notes are kept: who has read a screen of them knows.
const maxNotes = 40

// tally counts while a random drill runs. All methods are safe for concurrent
// use.
type tally struct {
	began time.Time

	mu      sync.Mutex
	stage   string
	hazard  string
	patches PatchCounts
	kinds   map[faultKind]*FaultCount
	flights map[*flight]bool
	ended   int
	healed  []Recovered
	notes   []string
}

func newTally(planned int) *tally {
	return &tally{
		began: time.Now(), kinds: map[faultKind]*FaultCount{}, flights: map[*flight]bool{},
		patches: PatchCounts{Planned: planned, Failed: map[patch.Code]int{}, Refused: map[patch.Code]int{}},
	}
}

// count returns the counts of a kind. The caller holds mu.
func (t *tally) count(kind faultKind) *FaultCount {
	if t.kinds[kind] == nil {
		t.kinds[kind] = &FaultCount{Layer: kind.Layer, Kind: kind.Kind}
	}
	return t.kinds[kind]
}

// begin notes a patch that is about to be asked for.
func (t *tally) begin() *flight {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &flight{}
	t.flights[f] = true
	t.patches.Begun++
	return f
}

// put notes a fault that was put for a patch, or for none of those that are
// counted.
func (t *tally) put(f *flight, kind faultKind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(kind).Put++
	if f != nil {
		f.struck = append(f.struck, kind)
	}
}

// putAll notes a hazard, for every patch that is under way.
func (t *tally) putAll(kind faultKind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(kind).Put++
	for f := range t.flights {
		f.struck = append(f.struck, kind)
	}
}

// fired notes how often a fault that was put has struck; once is what counts.
func (t *tally) fired(kind faultKind, times int) {
	if times == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(kind).Fired++
}

// asked notes how a request ended.
func (t *tally) asked(e ending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.patches
	p.Asked++
	if e.accepted {
		p.Accepted++
	}
	switch {
	case !e.answered:
		p.Unanswered++
	case !e.accepted:
		p.Refused[e.code]++
	case e.open:
		p.Open++
	case e.code != "":
		p.Failed[e.code]++
	default:
		p.Succeeded++
	}
}

// unknown notes an answer that said nothing.
func (t *tally) unknown() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.patches.UnknownAnswers++
}

// end notes that a patch is over.
func (t *tally) end(f *flight, e ending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.flights, f)
	t.ended++
	for _, kind := range f.struck {
		c := t.count(kind)
		switch {
		case !e.answered, e.open:
			c.Unknown++
		case !e.accepted:
			c.Refused++
		case e.code != "":
			c.Failed++
		default:
			c.Succeeded++
		}
	}
}

// recovered notes the recovery from a hazard.
func (t *tally) recovered(r Recovered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.healed = append(t.healed, r)
}

// note keeps what the drill could not do.
func (t *tally) note(format string, arguments ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.notes) < maxNotes {
		t.notes = append(t.notes, fmt.Sprintf(format, arguments...))
	}
}

// at notes what the drill is at.
func (t *tally) at(stage string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stage = stage
}

// under notes which hazard is in force; empty for none.
func (t *tally) under(hazard string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hazard = hazard
}

// report returns the counts as they stand.
func (t *tally) report(seed uint64) RandomReport {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := RandomReport{
		Seed: seed, Seconds: seconds(time.Since(t.began)), Patches: t.patches,
		Recovery: newRecovery(slices.Clone(t.healed)), Notes: slices.Clone(t.notes),
	}
	r.Patches.Failed, r.Patches.Refused = maps.Clone(t.patches.Failed), maps.Clone(t.patches.Refused)
	for _, count := range t.kinds {
		r.Faults = append(r.Faults, *count)
	}
	r.sum()
	return r
}

// Progress is how far a random drill has come.
type Progress struct {
	// Stage is what it is at, and Hazard what is in force; empty for nothing.
	Stage, Hazard string
	// Ended are the patches that are over, Flying those that are under way.
	Ended, Flying int
	// Report has the counts so far.
	Report RandomReport
}

func (t *tally) progress(seed uint64) Progress {
	report := t.report(seed)
	t.mu.Lock()
	defer t.mu.Unlock()
	return Progress{Stage: t.stage, Hazard: t.hazard, Ended: t.ended, Flying: len(t.flights), Report: report}
}
