package workflows_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/workflows"
)

// metadataOf is what the UI shows of the run: the page and what it can be asked.
func metadataOf(t *testing.T, env *testsuite.TestWorkflowEnvironment) *sdkpb.WorkflowMetadata {
	t.Helper()
	value, err := env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	metadata := &sdkpb.WorkflowMetadata{}
	require.NoError(t, value.Get(metadata))
	return metadata
}

func pageOf(t *testing.T, env *testsuite.TestWorkflowEnvironment) string {
	t.Helper()
	return metadataOf(t, env).GetCurrentDetails()
}

// TestPageFollowsThePhases proves what the page of a run tells in each phase, by
// having every store and Runtime Manager stay away there, and that the state
// which the query answers has the same times.
func TestPageFollowsThePhases(t *testing.T) {
	down := act{err: errStoreDown, forever: true}
	for _, row := range []struct {
		name    string
		arrange func(*world)
		// at is when somebody looks.
		at     time.Duration
		phase  patch.Phase
		step   string
		budget time.Duration
		want   []string
	}{
		{"validating", func(w *world) { w.on("Get", down) }, time.Second, patch.PhaseValidating, "LoadRecord", time.Minute, []string{
			"**Validating:** game `game-1`, to `1.4.3`", "`read the record of game-1` (step `LoadRecord`)",
		}},
		{"taking a fence", func(w *world) { w.on("NextFence", down) }, time.Second, patch.PhasePatching, "TakeFence", time.Minute, []string{
			"**Patching:** game `game-1`, from `1.4.2` to `1.4.3`", "(step `TakeFence`)", "(ValidateVersion): 0s, attempts: 1\n",
		}},
		{"patching", func(w *world) { w.on("Patch", act{err: errRTMDown, forever: true}) }, 10 * time.Second,
			patch.PhasePatching, "PatchContainer", 2 * time.Minute, []string{
				"`recreate on 1.4.3` (step `PatchContainer`)", "(LoadRecord): 0s, attempts: 1\n",
			}},
		{"recording", func(w *world) { w.on("UpdateImage", down) }, time.Second, patch.PhaseRecording, "UpdateImage", time.Minute, []string{
			"`rotate the record to 1.4.3`", "`recreate on 1.4.3` (PatchContainer): ",
		}},
		{"compensating", func(w *world) {
			w.on("Patch", act{err: errRTMNo, applied: true}, act{err: errRTMDown, forever: true})
		}, time.Minute, patch.PhaseCompensating, "RestoreContainer", 15 * time.Minute, []string{
			"**Putting the container back:**", "**Because:** `service_unavailable: ", "(PatchContainer): 0s, attempts: 1, failed: `service_unavailable",
		}},
		{"a turn is waited for", func(w *world) {
			w.on("Patch", act{after: func(w *world) { w.row.Status = runtime.StatusGenerationInProgress }})
		}, time.Minute, patch.PhaseCompensating, "RestoreContainer", 15 * time.Minute, []string{"**Because:** `conflict: ", "a turn that is being generated"}},
		{"a late recreate is waited for", func(w *world) {
			w.unfenced = true
			w.on("Patch", act{err: errRTMDown, forever: true})
		}, 125 * time.Second, patch.PhaseCompensating, "", 30 * time.Second, []string{"`a recreate that was given up on may still land`", "looked at once more"}},
		{"in doubt", func(w *world) {
			w.on("Patch", act{err: errRTMNo, applied: true})
			w.on("Inspect", act{err: errRTMDown, forever: true})
		}, time.Hour, patch.PhaseNeedsOperator, "", 0, []string{
			"**Waiting for an operator:**", "`an operator's decision: retry or abandon`", "**The undo failed with:** `", "HTTP 503", "`retry`", "for 15m0s",
		}},
		{"auditing", func(w *world) { w.on("Append", down) }, time.Hour, patch.PhaseAuditing, "AppendOperationLog", 0, []string{
			"**Writing the audit row:**", "for as long as it takes", "`rotate the record to 1.4.3` (UpdateImage): ",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			row.arrange(w)
			looked := false
			w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
				env.RegisterDelayedCallback(func() {
					looked = true
					state := queryState(t, env)
					require.Equal(t, row.phase, state.Phase)
					require.Equal(t, row.step, state.Step)
					require.False(t, state.Since.IsZero())
					require.False(t, state.Since.After(env.Now()))
					if row.budget == 0 {
						require.True(t, state.Until.IsZero())
					} else {
						require.Equal(t, row.budget, state.Until.Sub(state.Since))
					}
					page := pageOf(t, env)
					for _, part := range append(row.want, "**Do:**", "**Leave alone:**") {
						require.Contains(t, page, part)
					}
					w.heal()
					env.UpdateWorkflow(workflows.RetryUpdate, "u1", &answer{}, patch.Command{Actor: "ann", Reason: "mended"})
				}, row.at)
			})
			require.True(t, looked)
		})
	}
}

// heal has everything work again, and the turn be done.
func (w *world) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.script)
	w.row.Status = runtime.StatusRunning
}

// TestPageTellsTheEnd proves that a run which has ended tells how, and what every
// step took.
func TestPageTellsTheEnd(t *testing.T) {
	w := newWorld()
	o := w.run(t, input())
	page := pageOf(t, o.env)
	require.Contains(t, page, "**Done:** `game-1` moved from `1.4.2` to `1.4.3`")
	require.Equal(t, 4, strings.Count(page, "attempts: 1\n"), page)

	w = newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true})
	o = w.run(t, input())
	page = pageOf(t, o.env)
	require.Contains(t, page, "**Failed:** game `game-1`, code `service_unavailable`")
	require.Contains(t, page, "**What was undone:** `container recreated on "+oldImage)

	w = newWorld()
	w.container.ImageRef = newImage
	o = w.reconcile(t, reconcileInput(patch.ModeAdopt))
	require.Contains(t, pageOf(t, o.env), "**Done:** record and container of `game-1` are on `1.4.3`")
}

// TestPageOfAReconciliation proves that a reconciliation which waits says so in
// words of its own.
func TestPageOfAReconciliation(t *testing.T) {
	w := newWorld()
	w.container.ImageRef = newImage
	w.on("Patch", act{err: errRTMDown, forever: true})
	w.execute(t, patch.WorkflowID(gameID), workflows.ReconcileRuntimeType, reconcileInput(patch.ModeEnforce),
		func(env *testsuite.TestWorkflowEnvironment) {
			env.RegisterDelayedCallback(func() {
				page := pageOf(t, env)
				require.Contains(t, page, "**Reconciling:** game `game-1`\n")
				require.Contains(t, page, "`have the container follow the record` (step `RestoreContainer`)")
				require.Contains(t, page, "waits for nobody")
			}, time.Minute)
		})
}

// TestPageOfAPass proves what the page of a pass tells while Postgres is away, when
// it is done, and when Runtime Manager does not answer.
func TestPageOfAPass(t *testing.T) {
	f := newFleet(3)
	f.seen[f.game(0)] = newImage
	page := pageOf(t, f.watch(t, workflows.WatchInput{}).env)
	require.Contains(t, page, "**Done**")
	require.Contains(t, page, "gamemaster drift")
	require.Contains(t, page, "- image drift: 1\n")

	f = newFleet(3)
	f.faults["PageRuntimes"] = slices.Repeat([]error{errStoreDown}, 1000)
	var shown string
	p := f.watch(t, workflows.WatchInput{}, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { shown = pageOf(t, env) }, time.Minute)
	})
	require.Error(t, p.err)
	require.Contains(t, shown, "**Watching:** compare page 1\n")
	require.Contains(t, shown, " at the latest\n")
	require.Contains(t, shown, "**Leave alone:** nothing")
	require.Contains(t, pageOf(t, p.env), "**Failed:** `")
}

// TestPageExplainsItsForms proves that every query and update which the UI offers
// says what it does, what it takes, and when.
func TestPageExplainsItsForms(t *testing.T) {
	o := newWorld().run(t, input())
	definition := metadataOf(t, o.env).GetDefinition()
	told := map[string]string{}
	for _, group := range [][]*sdkpb.WorkflowInteractionDefinition{
		definition.GetQueryDefinitions(), definition.GetUpdateDefinitions(), definition.GetSignalDefinitions(),
	} {
		for _, one := range group {
			require.NotEmpty(t, one.GetDescription(), one.GetName())
			told[one.GetName()] = one.GetDescription()
		}
	}
	require.Contains(t, told[workflows.StateQuery], "Takes no input")
	for _, update := range []string{workflows.RetryUpdate, workflows.AbandonUpdate} {
		require.Contains(t, told[update], `{"actor":"your name","reason":"why"}`)
		require.Contains(t, told[update], "only while the phase is needs_operator")
		require.Contains(t, told[update], "Effect:")
	}
}

// upserts runs a patch that was started as the API does, and returns what it made
// of its search attributes, one text for each event.
func upserts(t *testing.T, w *world, arrange ...func(*testsuite.TestWorkflowEnvironment)) []string {
	t.Helper()
	var all []string
	w.run(t, input(), append(arrange, func(env *testsuite.TestWorkflowEnvironment) {
		require.NoError(t, env.SetTypedSearchAttributesOnStart(workflows.Attributes(input().Request)))
		env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
			all = append(all, told(t, args.Get(0).(temporal.SearchAttributes)))
		})
	})...)
	return all
}

// told writes search attributes as "outcome phase code", with how many others
// there are.
func told(t *testing.T, attributes temporal.SearchAttributes) string {
	t.Helper()
	var parts []string
	for _, key := range []temporal.SearchAttributeKeyKeyword{workflows.PatchOutcomeKey, workflows.PhaseKey, workflows.ErrorCodeKey} {
		if value, set := attributes.GetKeyword(key); set {
			parts = append(parts, value)
		}
	}
	if _, set := attributes.GetKeyword(workflows.GameIDKey); set {
		parts = append(parts, "and who asked")
	}
	return strings.Join(parts, " ")
}

// TestUpsertsAreFew proves what each kind of run makes of its search attributes,
// event by event: one that goes well pays for one.
func TestUpsertsAreFew(t *testing.T) {
	require.Equal(t, []string{"success done"}, upserts(t, newWorld()))

	w := newWorld()
	w.row = nil
	require.Equal(t, []string{"failure done runtime_not_found"}, upserts(t, w))

	w = newWorld()
	w.on("Patch", act{err: errRTMNo, applied: true})
	require.Equal(t, []string{"open compensating service_unavailable", "failure done service_unavailable"}, upserts(t, w))

	w = newWorld()
	w.on("UpdateImage", act{err: errStoreDown, applied: true, forever: true})
	w.onGet(4, act{err: errStoreDown, forever: true})
	lost := upserts(t, w, func(env *testsuite.TestWorkflowEnvironment) { env.RegisterDelayedCallback(w.heal, 70*time.Second) })
	require.Equal(t, []string{"open compensating service_unavailable", "success done"}, lost, "the undo found the rotation done")

	w = newWorld()
	w.on("Append", act{err: errStoreDown}, act{err: errStoreDown})
	require.Equal(t, []string{"open auditing", "success done"}, upserts(t, w))

	decide := func(w *world, update string) func(*testsuite.TestWorkflowEnvironment) {
		return func(env *testsuite.TestWorkflowEnvironment) {
			env.RegisterDelayedCallback(func() {
				w.heal()
				env.UpdateWorkflow(update, "u1", &answer{}, patch.Command{Actor: "ann", Reason: "mended"})
			}, time.Hour)
		}
	}
	for update, want := range map[string][]string{
		workflows.RetryUpdate: {
			"open compensating service_unavailable", "needs_operator needs_operator service_unavailable",
			"open compensating service_unavailable", "failure done service_unavailable",
		},
		workflows.AbandonUpdate: {
			"open compensating service_unavailable", "needs_operator needs_operator service_unavailable", "failure done service_unavailable",
		},
	} {
		w = newWorld()
		w.on("Patch", act{err: errRTMNo, applied: true})
		w.on("Inspect", act{err: errRTMDown, forever: true})
		require.Equal(t, want, upserts(t, w, decide(w, update)), update)
	}
}

// TestByHandIsFound proves that a run which was started by hand, without any
// search attribute, has all of them once it has ended.
func TestByHandIsFound(t *testing.T) {
	w := newWorld()
	var all []string
	w.run(t, input(), func(env *testsuite.TestWorkflowEnvironment) {
		env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
			all = append(all, told(t, args.Get(0).(temporal.SearchAttributes)))
		})
	})
	require.Equal(t, []string{"success done and who asked"}, all)
}
