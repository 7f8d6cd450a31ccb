package main

import (
	"time"

	"galaxy/gamemaster/bench/report"
)

// Window is one of a block, as the plan has it.
type Window struct {
	Cell  report.Cell
	Round int
	Rival string
}

// Windows are those of a block of the given rivals and cells, in order.
func Windows(rivals []string, cells []report.PlannedCell) []Window {
	b := block{cells: cells}
	for _, name := range rivals {
		b.rivals = append(b.rivals, rival{name: name})
	}
	return b.windows()
}

func (b block) windows() []Window {
	var list []Window
	for _, r := range b.rounds() {
		for _, on := range r.order {
			list = append(list, Window{r.cell.Cell, r.number, b.rivals[on].name})
		}
	}
	return list
}

// Planned is what the command line comes to: of each block its windows, and how
// long each of them takes.
func Planned(args ...string) (blocks [][]Window, each time.Duration, err error) {
	o, err := parseOptions(args)
	for _, b := range o.plan.blocks {
		blocks = append(blocks, b.windows())
	}
	return blocks, o.plan.warmUp + o.plan.length, err
}
