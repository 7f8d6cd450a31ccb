package drill

import (
	"galaxy/gamemaster/internal/domain/patch"
)

// Layer is where a fault strikes.
type Layer string

// The layers.
const (
	LayerManager  Layer = "manager"
	LayerStore    Layer = "store"
	LayerWorker   Layer = "worker"
	LayerAPI      Layer = "api"
	LayerTemporal Layer = "temporal"
	LayerNetwork  Layer = "network"
	LayerOperator Layer = "operator"
	LayerWriter   Layer = "writer"
	LayerNone     Layer = "none"
)

// Room is what a case needs to itself.
type Room string

// The rooms.
const (
	// RoomShared: the faults concern one game and leave the processes alone, so
	// that all such cases share one cell and run side by side.
	RoomShared Room = ""
	// RoomRough: the faults kill workers. All such cases share one cell, and have
	// to keep their promises while the others' faults strike them too.
	RoomRough Room = "rough"
	// RoomCell: a cell of its own, for faults of links and processes.
	RoomCell Room = "cell"
	// RoomStack: nobody else may use the servers, for faults of Postgres,
	// Temporal and the simulator themselves. Such cases run one after another.
	RoomStack Room = "stack"
)

// Case is one thing that goes wrong, and how it has to end.
type Case struct {
	// Name is unique; letters, digits and underscores.
	Name  string
	Layer Layer
	Room  Room
	// From is the version that the game is put on; empty means 1.4.2.
	From string
	// Run makes it go wrong. The verbs of game and cell keep the first error, and
	// do nothing after it. Whatever is still open when it returns is waited for.
	Run    func(c *Cell, g *Game)
	Expect Expect
}

// Expect is what a case allows. The zero value allows every code, and neither a
// difference between record and container nor a run that needs an operator.
type Expect struct {
	// Codes are those that a run may end with; the empty code is a success. None
	// allows all.
	Codes []patch.Code
	// Version is what the record has to be on in the end; empty allows any.
	Version string
	// Recreates is how often the container was recreated; nil allows any number.
	Recreates *int
	// Differs allows record and container to differ in the end. Whether that is
	// told by name is checked all the same.
	Differs bool
	// Unfenced says that Runtime Manager knows no fencing numbers, so that a call
	// which was given up on may land at any time.
	Unfenced bool
	// NeedsOperator allows a run to be left open in needs_operator.
	NeedsOperator bool
}

// Success expects that the game ends on version, and that every run succeeds.
func Success(version string) Expect { return Expect{Codes: []patch.Code{""}, Version: version} }

// Failure expects that every run ends with one of codes, and that the record
// stays on version.
func Failure(version string, codes ...patch.Code) Expect {
	return Expect{Codes: codes, Version: version}
}

// After is expect with the number of recreates that took place, undo included.
func (expect Expect) After(recreates int) Expect {
	expect.Recreates = &recreates
	return expect
}

// Differing is expect that allows record and container to differ.
func (expect Expect) Differing() Expect {
	expect.Differs = true
	return expect
}

// LeftOpen is expect that allows a run to wait for an operator in the end.
func (expect Expect) LeftOpen() Expect {
	expect.NeedsOperator = true
	return expect
}
