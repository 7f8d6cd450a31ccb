package cli

import (
	"bytes"

	"galaxy/gamemaster/internal/drill"
)

// DrillFrames are what is shown of a drill's progress, one after another.
func DrillFrames(screen bool, n int) (frames []string) {
	var out bytes.Buffer
	view := newDrillView(&out, screen)
	for i := range n {
		out.Reset()
		progress := drill.Progress{Stage: "patching", Ended: i + 1}
		progress.Report.Patches.Planned = 10
		progress.Report.Faults = []drill.FaultCount{{Layer: drill.LayerManager, Kind: "slow", Put: 1}}
		view.show(progress)
		frames = append(frames, out.String())
	}
	return frames
}

// DrillJSON is a report as --json prints it.
func DrillJSON() string {
	var out bytes.Buffer
	if err := printJSON(&out, drill.RandomReport{Seed: 1, Verdict: drill.Pass}); err != nil {
		return err.Error()
	}
	return out.String()
}
