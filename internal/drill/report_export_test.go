package drill

import (
	"context"
	"math/rand/v2"
	"time"
)

// Plan is what a seed chooses.
type Plan = plan

// NewPlan chooses everything from the seed.
func NewPlan(seed uint64, patches int) Plan { return newPlan(seed, patches) }

// Kinds are the kinds of everything that can go wrong at random, with how often
// the plan has each.
func Kinds(p Plan) map[string]int {
	kinds := map[string]int{}
	random := rand.New(rand.NewPCG(1, 1))
	for _, s := range strikes(random) {
		kinds["strike "+s.name()] = 0
	}
	for _, h := range hazards() {
		kinds["hazard "+h.kind] = 0
	}
	for _, s := range spoilers() {
		kinds["spoils "+s.Name] = 0
	}
	for _, kind := range actKinds() {
		kinds["act "+kind] = 0
	}
	for _, kind := range secondKinds() {
		kinds["second "+kind] = 0
	}
	for _, patch := range p.Patches {
		if patch.Strike != nil {
			kinds["strike "+patch.Strike.name()]++
		}
		if patch.Act != nil {
			kinds["act "+patch.Act.Kind]++
		}
		if patch.Second != nil {
			kinds["second "+patch.Second.Kind]++
		}
	}
	for _, h := range p.Hazards {
		kinds["hazard "+h.Kind]++
		if h.Spoils.Name != "" {
			kinds["spoils "+h.Spoils.Name]++
		}
	}
	return kinds
}

// Struck are how many patches of the plan have something planned for them.
func Struck(p Plan) (struck int) {
	for _, patch := range p.Patches {
		if patch.Strike != nil || patch.Act != nil {
			struck++
		}
	}
	return struck
}

// ReportOf judges a report that is made by hand.
func ReportOf(report RandomReport, each []Recovered, violations ...Violation) RandomReport {
	report.Recovery = newRecovery(each)
	report.Promises.count(violations, "its story")
	report.sum()
	report.judge()
	return report
}

// Dealt hands out the patches of a plan, one after another, and returns their
// games and numbers until none is free.
func Dealt(p Plan, limit, most int) (numbers, games []int) {
	d := newDealer(p.Patches)
	d.admit(limit)
	timer := time.AfterFunc(time.Minute, d.close)
	defer timer.Stop()
	for range most {
		next, more := d.next()
		if !more {
			break
		}
		numbers, games = append(numbers, next.Number), append(games, next.Game)
	}
	return numbers, games
}

// EndUnseen ends the simulator as [Simulator.Kill] does, with something that
// happens between the look at its log and its end, and starts it again.
func EndUnseen(ctx context.Context, s *Simulator, meanwhile func()) error {
	if err := s.takeDown(ctx); err != nil {
		return err
	}
	meanwhile()
	if err := s.process.Kill(); err != nil {
		return err
	}
	return s.comeBack(ctx)
}
