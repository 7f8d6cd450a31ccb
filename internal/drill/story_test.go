package drill_test

import (
	"fmt"
	"time"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/drill"
)

const (
	gameID = "game"
	secret = "swordfish"
)

func image(version string) patch.Image {
	return patch.Image{Version: version, ImageRef: "registry.example/engine:" + version}
}

// story is evidence by hand: runs in a row, of one game.
type story struct {
	*drill.GameEvidence
	evidence *drill.Evidence
	moment   int64
	clock    time.Time
}

// told begins a game on 1.4.2 with nothing asked yet.
func told() *story {
	s := &story{clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.evidence = &drill.Evidence{
		Games: []drill.GameEvidence{{
			GameID: gameID, Initial: image("1.4.2"),
			Record:    &runtime.RuntimeRecord{GameID: gameID, Status: runtime.StatusRunning},
			Container: drift.Container{Status: "running", Running: true},
		}},
		Secrets: []drill.Secret{{Name: "token", Value: secret}},
		Logs:    []drill.Log{{Process: "worker", Text: "all is well"}},
	}
	s.GameEvidence = &s.evidence.Games[0]
	s.record("1.4.2")
	s.Container.ImageRef = image("1.4.2").ImageRef
	return s
}

func (s *story) record(version string) {
	s.Record.CurrentEngineVersion, s.Record.CurrentImageRef = version, image(version).ImageRef
}

func (s *story) tick() time.Time {
	s.clock = s.clock.Add(time.Second)
	return s.clock
}

// recreate has the container recreated under key.
func (s *story) recreate(key, version string, fence int64) {
	s.Calls = append(s.Calls, drill.Call{
		Seq: int64(len(s.Calls) + 1), Op: drill.OpPatch, Key: key, Fence: fence, Image: image(version).ImageRef,
		Arrival: s.moment + 1, Landing: s.moment + 2, Effect: drill.EffectApplied,
	})
	s.moment += 2
	s.Container.ImageRef = image(version).ImageRef
	s.Fence = max(s.Fence, fence)
}

// run adds run n, of a patch of its own, with its row, and the answer to it.
func (s *story) run(n int, from, to string, code patch.Code) *drill.Run {
	patchID, runID := fmt.Sprintf("patch-%d", n), fmt.Sprintf("run-%d", n)
	began, ended := s.tick(), s.tick()
	result := patch.Result{
		PatchID: patchID, GameID: gameID, RunID: runID, Outcome: operation.OutcomeSuccess,
		From: image(from), To: image(to), StartedAt: began, FinishedAt: ended,
	}
	if code != "" {
		result.Outcome, result.Code = operation.OutcomeFailure, code
	} else {
		result.Runtime = &runtime.RuntimeRecord{CurrentImageRef: image(to).ImageRef}
	}
	s.Runs = append(s.Runs, drill.Run{
		RunID: runID, PatchID: patchID, Version: to, Status: drill.RunStatus(code.Closing()), Result: &result,
		StartedAt: began, EndedAt: ended, Raw: []byte("a history"),
	})
	row := patch.Entry(patch.Request{}, result)
	row.ID = int64(n)
	s.Rows = append(s.Rows, row)
	s.Asks = append(s.Asks, drill.Ask{
		Version: to, Key: "key-" + patchID, Answer: drill.AnswerEnded, PatchID: patchID, RunID: runID,
		Outcome: result.Outcome, Code: code,
	})
	s.Keys = append(s.Keys, drill.Key{Key: "key-" + patchID, PatchID: patchID, RunID: runID})
	return &s.Runs[len(s.Runs)-1]
}

// moved adds a patch that succeeded.
func (s *story) moved(n int, from, to string) *drill.Run {
	s.recreate(fmt.Sprintf("patch-%d/run-%d/patch", n, n), to, int64(n)*patch.FenceStep)
	s.record(to)
	return s.run(n, from, to, "")
}

// undone adds a patch that lost its swap and put the container back.
func (s *story) undone(n int, from, to string) *drill.Run {
	s.recreate(fmt.Sprintf("patch-%d/run-%d/patch", n, n), to, int64(n)*patch.FenceStep)
	s.recreate(fmt.Sprintf("patch-%d/run-%d/restore", n, n), from, int64(n)*patch.FenceStep+1)
	run := s.run(n, from, to, patch.CodeConflict)
	s.undo(patch.Undo{Line: patch.LineRecreated, RowStatus: runtime.StatusRunning, Row: image(from), Container: image(to).ImageRef})
	return run
}

// undo gives the last run its undo, and its row the sentence.
func (s *story) undo(undo patch.Undo) {
	s.Runs[len(s.Runs)-1].Result.Undo = &undo
	s.Rows[len(s.Rows)-1].Undo = undo.Sentence()
}

// ended makes the last run one that was ended from outside.
func (s *story) ended() *drill.Run {
	run := &s.Runs[len(s.Runs)-1]
	run.Status, run.Result = drill.RunTerminated, nil
	s.Terminations++
	s.Rows = s.Rows[:len(s.Rows)-1]
	s.Asks[len(s.Asks)-1].Answer = drill.AnswerOpen
	return run
}

// whole is a story with a success, an undo and another success.
func whole() *story {
	s := told()
	s.moved(1, "1.4.2", "1.4.3")
	s.undone(2, "1.4.3", "1.4.4")
	s.moved(3, "1.4.3", "1.4.5")
	return s
}
