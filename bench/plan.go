package main

import (
	"slices"
	"time"

	"galaxy/gamemaster/bench/report"
)

// plan says what one run of the bench measures.
type plan struct {
	warmUp, length time.Duration
	// steady is how long the product is measured at a stretch; zero leaves it out.
	steady time.Duration
	// fleet is how many other games are in the database.
	fleet int
	// fleets are more such numbers, to see what grows with them; empty leaves that
	// out.
	fleets []int
	// open is how many patches of the product are to be open at once; zero leaves
	// it out.
	open int
	// scale is between which fleets the cost of the stores is measured.
	scale scalePlan
	// profiles is the directory for profiles of the product; empty leaves them out.
	profiles string
	// product is the gamemaster to measure; empty is the one of this checkout.
	product string
	// timeout ends it all.
	timeout time.Duration
	// blocks are measured one after the other; within one the rivals take turns.
	blocks []block
}

// told is the plan as the report has it.
func (p plan) told() report.Plan {
	told := report.Plan{WarmUp: p.warmUp, Length: p.length, Fleet: p.fleet}
	for _, b := range p.blocks {
		named := report.Block{Temporal: b.setting.name, Cells: b.cells}
		for _, r := range b.rivals {
			named.Rivals = append(named.Rivals, r.name)
		}
		told.Blocks = append(told.Blocks, named)
	}
	return told
}

// block is what is measured with Temporal in one setting.
type block struct {
	setting temporalSetting
	rivals  []rival
	cells   []report.PlannedCell
}

// callerCounts are how many ask at once.
var callerCounts = []int{1, 8, 32, 128}

// shortPlan is for a CI: every part is used, and nothing is measured well.
func shortPlan(rivals []rival) plan {
	setting := temporalSettings()[0]
	return plan{
		warmUp: time.Second / 2, length: time.Second, fleet: 100, timeout: 5 * time.Minute, scale: shortScale(),
		blocks: []block{{setting, rivals, planned(cells(setting, []int{1, 8}, 0), 1, 1)}},
	}
}

// usualPlan has what the ratios need: all callers without a delay, and one and
// many with it, since beyond a delay of 200 ms nothing but the number of callers
// decides. The other ways to run Temporal are for the rivals that use it, at one
// caller and at many. What is judged has more rounds: enough that a few disturbed
// ones do not move the median.
func usualPlan(rivals []rival) plan {
	p := plan{warmUp: 1500 * time.Millisecond, length: 5 * time.Second, fleet: 1000, timeout: time.Hour, scale: usualScale(0)}
	temporal := slices.DeleteFunc(slices.Clone(rivals), func(r rival) bool { return r.workflowID == nil })
	for i, setting := range temporalSettings() {
		if i == 0 {
			all := append(cells(setting, callerCounts, 0), cells(setting, []int{1, 32}, report.ManagerDelay)...)
			p.blocks = append(p.blocks, block{setting, rivals, planned(all, judgedRounds, usualRounds)})
			continue
		}
		if len(temporal) > 0 {
			p.blocks = append(p.blocks, block{setting, temporal, planned(cells(setting, []int{1, 32}, 0), usualRounds, usualRounds)})
		}
	}
	return p
}

// judgedPlan is what the ratios are judged by and nothing else, in each setting of
// Temporal.
func judgedPlan(rivals []rival) plan {
	p := usualPlan(rivals)
	p.blocks = nil
	for _, setting := range temporalSettings() {
		all := append(cells(setting, callerCounts, 0), cells(setting, callerCounts, report.ManagerDelay)...)
		all = slices.DeleteFunc(all, func(c report.Cell) bool { return !report.Judged(c) })
		p.blocks = append(p.blocks, block{setting, rivals, planned(all, judgedRounds, usualRounds)})
	}
	return p
}

// fullPlan is the whole cross product.
func fullPlan(rivals []rival) plan {
	p := usualPlan(rivals)
	p.blocks, p.timeout = nil, 6*time.Hour
	p.steady, p.fleets, p.open, p.scale.many = 5*time.Minute, manyFleets, manyOpen, scaleMany
	for i, setting := range temporalSettings() {
		all, judged := append(cells(setting, callerCounts, 0), cells(setting, callerCounts, report.ManagerDelay)...), usualRounds
		if i == 0 {
			judged = judgedRounds
		}
		p.blocks = append(p.blocks, block{setting, rivals, planned(all, judged, usualRounds)})
	}
	return p
}

func cells(setting temporalSetting, callers []int, delay time.Duration) []report.Cell {
	var list []report.Cell
	for _, n := range callers {
		list = append(list, report.Cell{Temporal: setting.name, Delay: delay, Callers: n})
	}
	return list
}

// Rounds of the windows that ratios are judged by, and of the others.
const (
	judgedRounds = 7
	usualRounds  = 2
)

// planned says how often the rivals are measured at each cell.
func planned(cells []report.Cell, judged, others int) []report.PlannedCell {
	var list []report.PlannedCell
	for _, c := range cells {
		rounds := others
		if report.Judged(c) {
			rounds = judged
		}
		list = append(list, report.PlannedCell{Cell: c, Rounds: rounds})
	}
	return list
}

// manyFleets are what growth is measured between.
var manyFleets = []int{100, 100_000}

// manyOpen is how many patches are open at once where that is measured.
const manyOpen = 10_000

// growthCallers ask meanwhile: enough to keep all of a rival busy, and not so many
// that their own memory is most of it.
const growthCallers = 8

// steadyCallers ask while the product is measured at a stretch.
const steadyCallers = 8
