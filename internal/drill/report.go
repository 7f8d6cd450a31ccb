package drill

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"galaxy/gamemaster/internal/domain/patch"
)

// Verdict is what a random drill comes to.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "PASS"
	Fail Verdict = "FAIL"
)

// RecoveryLimit is how soon after a heal patches have to succeed again, in 99 of
// 100 heals. It holds the ten seconds after which a dead worker is missed, what
// connections wait before they are tried again, and as much once more for two
// cores that do everything at once.
const RecoveryLimit = 30 * time.Second

// RandomReport is what became of a random drill. Times are in seconds.
type RandomReport struct {
	Seed    uint64  `json:"seed"`
	Verdict Verdict `json:"verdict"`
	// Reasons say why the verdict is [Fail].
	Reasons []string `json:"reasons,omitempty"`
	// Seconds is how long it took, the start of the stack included, and
	// WorkSeconds how long patches were put.
	Seconds     float64     `json:"seconds"`
	WorkSeconds float64     `json:"work_seconds"`
	Patches     PatchCounts `json:"patches"`
	// FaultsPut and FaultsFired are the sums of Faults.
	FaultsPut   int          `json:"faults_put"`
	FaultsFired int          `json:"faults_fired"`
	Faults      []FaultCount `json:"faults"`
	Promises    Promises     `json:"promises"`
	Recovery    Recovery     `json:"recovery"`
	// Notes are what the drill itself could not do, such as to put a fault while
	// Runtime Manager was down.
	Notes []string `json:"notes,omitempty"`
}

// PatchCounts count requests by how they ended.
type PatchCounts struct {
	// Planned are the patches of the plan, and Begun those that there was time for;
	// Asked are the requests that were sent, second ones included. Probes are in
	// none of these.
	Planned int `json:"planned"`
	Begun   int `json:"begun"`
	Asked   int `json:"asked"`
	// Accepted were answered with a patch; each of them then Succeeded, Failed by
	// code, or was left Open.
	Accepted  int                `json:"accepted"`
	Succeeded int                `json:"succeeded"`
	Failed    map[patch.Code]int `json:"failed"`
	Open      int                `json:"open"`
	// Refused got an answer and no patch, by code; Unanswered never got one.
	Refused    map[patch.Code]int `json:"refused"`
	Unanswered int                `json:"unanswered"`
	// UnknownAnswers are answers, or none, that said nothing, so that the same was
	// asked again; those to probes are among them.
	UnknownAnswers int `json:"unknown_answers"`
	// Runs are what Temporal has of them, probes included.
	Runs int `json:"runs"`
}

// FaultCount counts the faults of one kind, and what became of the patches that
// they were put for. A cell-wide hazard is put for all patches that are open at
// that moment.
type FaultCount struct {
	Layer Layer  `json:"layer"`
	Kind  string `json:"kind"`
	Put   int    `json:"put"`
	Fired int    `json:"fired"`
	// The patches, by how they ended.
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Refused   int `json:"refused"`
	// Unknown are those that never got an answer, or did not end.
	Unknown int `json:"unknown"`
}

// Promises count what was broken. Lost are accepted patches without a run or
// without their audit row, Doubled are recreates that took place twice, and
// Unexplained are differences between record and container that nothing tells
// of; Other is by the name of the check.
type Promises struct {
	Lost        int            `json:"lost"`
	Doubled     int            `json:"doubled"`
	Unexplained int            `json:"unexplained"`
	Other       map[string]int `json:"other,omitempty"`
	// Differences are the games whose record and container differ in the end;
	// those that are Unexplained are among them.
	Differences int      `json:"differences"`
	Broken      []Broken `json:"broken,omitempty"`
}

// Broken is a promise that was not kept.
type Broken struct {
	Check  string `json:"check"`
	GameID string `json:"game_id,omitempty"`
	Detail string `json:"detail"`
	// Story is all that is known of the game, for a few of them.
	Story string `json:"story,omitempty"`
}

// Recovery is how soon after the heals of cell-wide hazards the product was of
// use again: how long after the heal a patch had succeeded that was asked for at
// the moment of the heal, of a game that nothing else happens to. Where that
// patch ends otherwise, it is asked for again at once, and the clock runs on. The
// other patches, with the faults that are theirs alone, go on beside it; the next
// hazard does not strike before.
type Recovery struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	// Never are the heals after which the patch had not succeeded when it was
	// given up on.
	Never int         `json:"never"`
	Each  []Recovered `json:"each"`
}

// Recovered is the recovery from one hazard.
type Recovered struct {
	Hazard string `json:"hazard"`
	// Down is from the strike to the heal.
	Down    float64 `json:"down"`
	Seconds float64 `json:"seconds"`
	Never   bool    `json:"never,omitempty"`
}

// The checks whose violations have a count of their own.
const (
	checkLost        = "accepted_has_one_row"
	checkDoubled     = "direction_once"
	checkUnexplained = "record_container_agree"
)

// count adds violations to the promises.
func (p *Promises) count(violations []Violation, story string) {
	for i, violation := range violations {
		switch violation.Check {
		case checkLost:
			p.Lost++
		case checkDoubled:
			p.Doubled++
		case checkUnexplained:
			p.Unexplained++
		default:
			if p.Other == nil {
				p.Other = map[string]int{}
			}
			p.Other[violation.Check]++
		}
		broken := Broken{Check: violation.Check, GameID: violation.GameID, Detail: violation.Detail}
		if i == 0 {
			broken.Story = story
		}
		p.Broken = append(p.Broken, broken)
	}
}

// newRecovery sums recoveries up. The nearest rank is what is told: the 99th
// percentile of few heals is the worst of them.
func newRecovery(each []Recovered) Recovery {
	recovery := Recovery{Each: each}
	var times []float64
	for _, recovered := range each {
		if recovered.Never {
			recovery.Never++
		}
		times = append(times, recovered.Seconds)
	}
	slices.Sort(times)
	rank := func(part float64) float64 {
		if len(times) == 0 {
			return 0
		}
		return times[max(int(math.Ceil(part*float64(len(times))))-1, 0)]
	}
	recovery.P50, recovery.P99, recovery.Max = rank(0.5), rank(0.99), rank(1)
	return recovery
}

// judge sets the verdict.
func (r *RandomReport) judge() {
	r.Verdict, r.Reasons = Pass, nil
	object := func(format string, arguments ...any) {
		r.Verdict, r.Reasons = Fail, append(r.Reasons, fmt.Sprintf(format, arguments...))
	}
	for _, broken := range []struct {
		n    int
		what string
	}{
		{r.Promises.Lost, "lost"}, {r.Promises.Doubled, "doubled"}, {r.Promises.Unexplained, "differences without an explanation"},
	} {
		if broken.n > 0 {
			object("%d %s", broken.n, broken.what)
		}
	}
	for _, check := range slices.Sorted(maps.Keys(r.Promises.Other)) {
		object("%s was broken %d times", check, r.Promises.Other[check])
	}
	if r.Recovery.Never > 0 {
		object("nothing succeeded after %d heals", r.Recovery.Never)
	}
	if limit := RecoveryLimit.Seconds(); r.Recovery.P99 > limit {
		object("recovery took %.1f s at the 99th percentile, %.0f s are allowed", r.Recovery.P99, limit)
	}
	if r.Patches.Succeeded == 0 {
		object("no patch succeeded, so that nothing is proved")
	}
}

// sum adds the counts up.
func (r *RandomReport) sum() {
	r.FaultsPut, r.FaultsFired = 0, 0
	slices.SortFunc(r.Faults, func(a, b FaultCount) int {
		return cmp.Or(cmp.Compare(layerOrder(a.Layer), layerOrder(b.Layer)), cmp.Compare(a.Kind, b.Kind))
	})
	for _, fault := range r.Faults {
		r.FaultsPut += fault.Put
		r.FaultsFired += fault.Fired
	}
}

// layerOrder is where a layer stands in tables: from the bottom of the product
// to the people at it.
func layerOrder(layer Layer) int {
	return slices.Index([]Layer{
		LayerManager, LayerStore, LayerTemporal, LayerWorker, LayerAPI, LayerNetwork, LayerWriter, LayerOperator,
	}, layer)
}

// seconds are a duration for the report, to the millisecond.
func seconds(duration time.Duration) float64 {
	return duration.Round(time.Millisecond).Seconds()
}
