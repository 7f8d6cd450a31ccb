package drill_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/drill"
)

// TestWholeEvidence proves that evidence in which every promise was kept breaks
// none.
func TestWholeEvidence(t *testing.T) {
	for name, make := range kept() {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, drill.Check(*make().evidence))
		})
	}
}

// kept are stories that look odd and are in order.
func kept() map[string]func() *story {
	return map[string]func() *story{
		"whole":   whole,
		"nothing": told,
		"a workflow task that got no processor": func() *story {
			s := whole()
			s.Runs[1].Failures = []drill.TaskFailure{{
				Cause: "WorkflowWorkerUnhandledFailure", Message: "[TMPRL1101] Potential deadlock detected: didn't yield for over 1s",
			}}
			return s
		},
		"a turn that began under a recreate": func() *story {
			s := whole()
			s.Turns = []drill.Turn{{From: s.Calls[1].Arrival, To: s.Calls[2].Arrival - 1}}
			return s
		},
		"terminated, with the record moved": func() *story {
			s := told()
			s.moved(1, "1.4.2", "1.4.3")
			s.ended()
			s.moved(2, "1.4.3", "1.4.4")
			return s
		},
		"terminated, with the container moved": func() *story {
			s := told()
			s.moved(1, "1.4.2", "1.4.3")
			s.ended()
			s.record("1.4.2")
			s.Expect.Differs = true
			return s
		},
		"terminated, and the watch has passed": func() *story {
			s := told()
			s.moved(1, "1.4.2", "1.4.3")
			s.ended()
			s.Rows = append(s.Rows, operation.OperationEntry{
				PatchID: "patch-1", RunID: "run-1", Outcome: operation.OutcomeFailure, ErrorCode: string(patch.CodeTerminated),
			})
			s.record("1.4.2")
			s.Findings = []drift.Finding{{Kind: drift.ImageDrift}}
			s.evidence.Watched, s.Expect.Differs = true, true
			return s
		},
		"a reset after the end": func() *story {
			s := whole()
			run := s.run(4, "1.4.5", "1.4.5", "")
			run.ResetOf, run.PatchID, run.Result.Noop = "run-3", "patch-3", true
			row := &s.Rows[len(s.Rows)-1]
			row.PatchID, row.Noop = "patch-3", true
			s.Asks, s.Keys = s.Asks[:3], s.Keys[:3]
			return s
		},
		"a patch that needs an operator": func() *story {
			s := whole()
			s.Expect.NeedsOperator, s.Expect.Differs = true, true
			s.recreate("patch-4/run-4/patch", "1.4.6", 4*patch.FenceStep)
			s.Runs = append(s.Runs, drill.Run{RunID: "run-4", PatchID: "patch-4", Version: "1.4.6", Status: drill.RunOpen, NeedsOperator: true})
			return s
		},
		"an abandoned patch": func() *story {
			s := whole()
			s.Expect.Differs = true
			s.recreate("patch-4/run-4/patch", "1.4.6", 4*patch.FenceStep)
			s.run(4, "1.4.5", "1.4.6", patch.CodeServiceUnavailable)
			s.undo(patch.Undo{Line: patch.LineAbandoned})
			return s
		},
		"a stopped game": func() *story {
			s := whole()
			s.Expect.Differs = true
			s.Record.Status = runtime.StatusStopped
			s.recreate("patch-4/run-4/patch", "1.4.6", 4*patch.FenceStep)
			s.run(4, "1.4.5", "1.4.6", patch.CodeConflict)
			s.undo(patch.Undo{Line: patch.LineLeftAlone, RowStatus: runtime.StatusStopped, Container: image("1.4.6").ImageRef})
			return s
		},
		"no container": func() *story {
			s := told()
			s.Expect.Differs = true
			s.Container = drift.Container{}
			s.run(1, "1.4.2", "1.4.3", patch.CodeServiceUnavailable)
			s.undo(patch.Undo{Line: patch.LineMissing, RowStatus: runtime.StatusRunning, Row: image("1.4.2")})
			return s
		},
		"another writer": func() *story {
			s := told()
			s.Moves = []drill.Move{{To: image("1.4.7"), Container: true}}
			s.record("1.4.7")
			s.Container.ImageRef = image("1.4.7").ImageRef
			return s
		},
		"a slow recreate that was fenced off": func() *story {
			s := whole()
			s.Calls = append(s.Calls, drill.Call{
				Op: drill.OpPatch, Key: "patch-2/run-2/patch", Fence: 1, Effect: drill.EffectRefused, Arrival: 1, Fault: "slow",
			})
			return s
		},
		"a Runtime Manager that knows no fences": func() *story {
			s := whole()
			s.Expect.Unfenced = true
			s.Calls[1].Fence, s.Calls[2].Fence, s.Calls[1].Arrival = 0, 0, s.Calls[0].Arrival
			return s
		},
		"a request that may have happened": func() *story {
			s := whole()
			s.Asks[0] = drill.Ask{Version: "1.4.3", Answer: drill.AnswerUnknown, PatchID: "patch-9"}
			return s
		},
		"a task that a signal overtook": func() *story {
			s := whole()
			s.Runs[0].Failures = []drill.TaskFailure{{EventID: 4, Cause: "UnhandledCommand"}}
			return s
		},
	}
}

// broken are stories in which one promise was broken, each under its name.
func broken() map[string][]func(*story) {
	return map[string][]func(*story){
		"accepted_has_one_row": {
			func(s *story) { s.Rows = s.Rows[1:] },
			func(s *story) { s.Rows = append(s.Rows, s.Rows[0]) },
			func(s *story) { s.Asks = append(s.Asks, drill.Ask{Answer: drill.AnswerOpen, PatchID: "patch-9"}) },
			func(s *story) { s.ended(); s.evidence.Watched = true },
			func(s *story) { s.Runs[2].Status = drill.RunOpen },
		},
		"row_has_run": {
			func(s *story) { s.Runs = s.Runs[1:] },
			func(s *story) { s.Rows[0].PatchID = "patch-2" },
		},
		"direction_once": {
			func(s *story) { s.recreate("patch-3/run-3/patch", "1.4.5", 9*patch.FenceStep) },
			func(s *story) { s.recreate("patch-3/run-9/patch", "1.4.5", 9*patch.FenceStep) },
			func(s *story) { s.recreate("somebody", "1.4.5", 9*patch.FenceStep) },
		},
		"record_container_agree": {
			func(s *story) { s.Container.ImageRef = image("1.4.9").ImageRef },
			func(s *story) { s.Container = drift.Container{} },
			func(s *story) { s.Record.Status = runtime.StatusFinished },
			func(s *story) {
				s.Container.ImageRef = image("1.4.9").ImageRef
				s.Findings = []drift.Finding{{Kind: drift.Extra}}
			},
			func(s *story) { // a flag that a later success has taken down
				s.Rows[0].Undo = patch.Undo{Line: patch.LineAbandoned}.Sentence()
				s.Container.ImageRef = image("1.4.9").ImageRef
			},
			func(s *story) { // ended from outside, and the watch saw nothing
				s.ended()
				s.evidence.Watched = true
				s.Container.ImageRef = image("1.4.9").ImageRef
			},
		},
		"chain_unbroken": {
			func(s *story) { s.record("1.4.4") },
			func(s *story) { s.Rows[2].FromVersion = "1.4.4" },
			func(s *story) { s.Rows[0].FromVersion = "1.4.1" },
			func(s *story) { // one step of a terminated run does not stand for two
				s.run(4, "1.4.5", "1.4.6", "")
				s.ended()
				s.record("1.4.7")
			},
		},
		"recreates_never_overlap": {
			func(s *story) { s.Calls[1].Arrival = s.Calls[0].Arrival },
			func(s *story) { s.Calls[0].Landing = 99 },
		},
		"nothing_stuck": {
			func(s *story) { s.Runs[2].Status = drill.RunOpen },
			func(s *story) { s.Runs[2].Status, s.Runs[2].NeedsOperator = drill.RunOpen, true },
			func(s *story) {
				s.Expect.NeedsOperator = true
				s.Runs[2].Status, s.Runs[2].NeedsOperator = drill.RunOpen, true
				s.Runs[2].Pending = []string{"RestoreContainer"}
			},
		},
		"ends_by_itself": {
			func(s *story) { s.ended(); s.Terminations = 0 },
			func(s *story) { s.ended().Status = drill.RunTimedOut; s.Terminations = 0 },
		},
		"no_nondeterminism": {
			func(s *story) { s.Runs[1].Failures = []drill.TaskFailure{{Cause: "NonDeterministicError"}} },
			func(s *story) { s.Runs[1].Failures = []drill.TaskFailure{{Cause: "Unspecified", Message: "Panic: oh"}} },
		},
		"outcome_told_true": {
			func(s *story) { s.Asks[0].Outcome = operation.OutcomeFailure },
			func(s *story) { s.Asks[1].Code = patch.CodeCancelled },
			func(s *story) { s.Asks[1].RunID = "run-9" },
			func(s *story) { s.Runs[0].Result.Outcome = operation.OutcomeFailure },
			func(s *story) { s.Runs[1].Status = drill.RunFailed },
			func(s *story) { s.Runs[1].Result = nil },
			func(s *story) { s.Runs[1].Result.Undo = nil },
			func(s *story) { s.Runs[1].Result.Undo.Row = image("1.4.8") },
			func(s *story) { s.Runs[0].Result.Runtime = nil },
			func(s *story) { s.Calls = s.Calls[1:] },
		},
		"fence_rises": {
			func(s *story) { s.Calls[1].Fence = 1 },
			func(s *story) { s.Calls[1].Fence = s.Calls[0].Fence },
			func(s *story) { s.Calls[1].Fence = 0 },
			func(s *story) { s.Fence = 2 * patch.FenceStep },
			func(s *story) {
				s.Fence = 9 * patch.FenceStep
				s.Calls = append(s.Calls, drill.Call{Op: drill.OpFence, Fence: s.Fence, Effect: drill.EffectApplied, Landing: 1})
			},
			func(s *story) { // seen at its arrival, though nothing came of it
				s.Fence = 9 * patch.FenceStep
				s.Calls = append(s.Calls, drill.Call{Op: drill.OpPatch, Fence: s.Fence, Effect: drill.EffectNone, Arrival: 1})
			},
		},
		"turn_uninterrupted": {
			func(s *story) { s.Turns = []drill.Turn{{From: s.Calls[1].Arrival - 1, To: s.Calls[1].Arrival}} },
		},
		"key_one_patch": {
			func(s *story) { s.Asks[1].Key = s.Asks[0].Key },
			func(s *story) { s.Keys[0].PatchID = "patch-2" },
			func(s *story) { s.Keys[0].RunID = "run-9" },
		},
		"as_expected": {
			func(s *story) { s.Expect = drill.Success("1.4.5") },
			func(s *story) { s.Expect = drill.Failure("1.4.2") },
			func(s *story) { s.Expect = drill.Expect{}.After(3) },
			func(s *story) { s.ended(); s.record("1.4.3") },
		},
		"fault_fired": {
			func(s *story) { s.evidence.Faults = []drill.PlannedFault{{Name: "reset", Layer: drill.LayerManager}} },
		},
		"no_crash": {
			func(s *story) { s.evidence.Logs[0].Text = "all is well\npanic: it is not\n" },
			func(s *story) { s.evidence.Logs[0].Text = "WARNING: DATA RACE\n" },
		},
		"no_secret": {
			func(s *story) { s.evidence.Logs[0].Text = "token=" + secret },
			func(s *story) { s.Runs[0].Raw = []byte("{" + secret + "}") },
			func(s *story) { s.Rows[0].Reason = secret },
			func(s *story) { s.evidence.Secrets[0].Value = "" },
		},
	}
}

// TestBrokenEvidence proves of every check that it sees what it is there for.
func TestBrokenEvidence(t *testing.T) {
	stories := broken()
	for _, name := range drill.Checks() {
		require.NotEmpty(t, stories[name], "nothing proves that %s can fail", name)
		for i, breakIt := range stories[name] {
			t.Run(fmt.Sprint(name, i), func(t *testing.T) {
				s := whole()
				breakIt(s)
				found := drill.Check(*s.evidence)
				require.True(t, slices.ContainsFunc(found, func(violation drill.Violation) bool { return violation.Check == name }),
					"found only:\n%s", drill.Tell(found))
			})
		}
	}
}
