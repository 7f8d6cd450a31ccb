package workflows_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
	"galaxy/gamemaster/workflows"
)

type converterValues = converter.EncodedValues

var (
	errStoreDown = errors.New("connection refused")
	errRTMDown   = &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: http.StatusServiceUnavailable}
	errRTMNo     = &ports.RTMError{Kind: ports.ErrRTMRejected, Status: http.StatusUnprocessableEntity, Code: "image_unknown"}
)

const (
	validated = "LoadRecord ValidateVersion "
	rotated   = validated + "PatchContainer UpdateImage AppendOperationLog"
)

// matrixRow is one run: what is broken, and what must come of it.
type matrixRow struct {
	name    string
	arrange func(*world)
	input   func(*workflows.Input)
	// cancelAt cancels the run during the first call of that port.
	cancelAt string

	code patch.Code
	// steps are the exact activity calls.
	steps string
	// recreates are the images that Runtime Manager put the container on.
	recreates []string
	// row is the version that the row ends on; empty means there is no row.
	row string
	// apart says that container and row may differ: a stopped or missing game.
	apart bool
	undo  patch.Line
	noop  bool
	// atLeast and atMost bound the run in virtual time.
	atLeast, atMost time.Duration
}

// setStatus is another writer who moves the game to status.
func setStatus(status runtime.Status) func(*world) {
	return func(w *world) { w.row.Status = status }
}

// movedTo is another writer who puts the record on version.
func movedTo(version string) func(*world) {
	return func(w *world) {
		w.row.CurrentEngineVersion, w.row.CurrentImageRef = version, "registry.example/engine:"+version
	}
}

func matrix() []matrixRow {
	// A Runtime Manager that knows no fencing numbers.
	unfenced := func(w *world) { w.unfenced = true }
	return []matrixRow{
		// Success, in its forms.
		{name: "upgrade", steps: rotated, recreates: []string{newImage}, row: "1.4.3"},
		{name: "rollback", arrange: func(w *world) {
			w.row.CurrentEngineVersion, w.row.CurrentImageRef = "1.4.9", "registry.example/engine:1.4.9"
			w.container.ImageRef = "registry.example/engine:1.4.9"
		}, steps: rotated, recreates: []string{newImage}, row: "1.4.3"},
		{name: "noop recreates nothing", input: func(i *workflows.Input) { i.Request.Version = "1.4.2" },
			steps: "LoadRecord ValidateVersion×2 AppendOperationLog", row: "1.4.2", noop: true},
		{name: "force recreates the version that runs", input: func(i *workflows.Input) {
			i.Request.Version, i.Request.Force = "1.4.2", true
		}, steps: rotated, recreates: []string{oldImage}, row: "1.4.2"},
		{name: "unknown op source counts as admin_rest", input: func(i *workflows.Input) { i.Request.OpSource = "martian" },
			steps: rotated, recreates: []string{newImage}, row: "1.4.3"},

		// LoadRecord.
		{name: "load: not a semver", input: func(i *workflows.Input) { i.Request.Version = "v1.4" },
			code: patch.CodeInvalidRequest, steps: "LoadRecord×2 AppendOperationLog", row: "1.4.2"},
		{name: "load: no row", arrange: func(w *world) { w.row = nil },
			code: patch.CodeRuntimeNotFound, steps: "LoadRecord×2 AppendOperationLog", apart: true},
		{name: "load: stopped", arrange: setStatus(runtime.StatusStopped),
			code: patch.CodeRuntimeNotRunning, steps: "LoadRecord×2 AppendOperationLog", row: "1.4.2"},
		{name: "load: not on the expected version", input: func(i *workflows.Input) { i.Request.ExpectedVersion = "1.4.1" },
			code: patch.CodePreconditionFailed, steps: "LoadRecord×2 AppendOperationLog", row: "1.4.2"},
		{name: "load: stopped, and not on the expected version", arrange: setStatus(runtime.StatusStopped),
			input: func(i *workflows.Input) { i.Request.ExpectedVersion = "1.4.1" },
			code:  patch.CodeRuntimeNotRunning, steps: "LoadRecord×2 AppendOperationLog", row: "1.4.2"},
		{name: "load: expected version is not a semver", input: func(i *workflows.Input) { i.Request.ExpectedVersion = "v1" },
			code: patch.CodeInvalidRequest, steps: "LoadRecord×2 AppendOperationLog", row: "1.4.2"},
		{name: "load: on the expected version", input: func(i *workflows.Input) { i.Request.ExpectedVersion = "1.4.2" },
			steps: rotated, recreates: []string{newImage}, row: "1.4.3"},
		{name: "load: transient, then fine", arrange: func(w *world) { w.on("Get", act{err: errStoreDown}, act{err: errStoreDown}) },
			steps:     "LoadRecord×3 ValidateVersion PatchContainer UpdateImage AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3", atMost: 5 * time.Second},
		{name: "load: budget exhausted", arrange: func(w *world) { w.on("Get", act{err: errStoreDown, forever: true}) },
			code: patch.CodeServiceUnavailable, row: "1.4.2", atLeast: 50 * time.Second, atMost: time.Minute},
		{name: "load: cancelled", cancelAt: "Get",
			code: patch.CodeCancelled, steps: "LoadRecord AppendOperationLog", row: "1.4.2"},

		// ValidateVersion.
		{name: "validate: not registered", input: func(i *workflows.Input) { i.Request.Version = "1.4.8" },
			code: patch.CodeEngineVersionNotFound, steps: "LoadRecord ValidateVersion×2 AppendOperationLog", row: "1.4.2"},
		{name: "validate: deprecated", input: func(i *workflows.Input) { i.Request.Version = "1.4.1" },
			code: patch.CodeEngineVersionNotFound, steps: "LoadRecord ValidateVersion×2 AppendOperationLog", row: "1.4.2"},
		{name: "validate: other minor", input: func(i *workflows.Input) { i.Request.Version = "1.5.0" },
			code: patch.CodeSemverPatchOnly, steps: "LoadRecord ValidateVersion×2 AppendOperationLog", row: "1.4.2"},
		{name: "validate: unreadable stored version", arrange: func(w *world) { w.row.CurrentEngineVersion = "latest" },
			code: patch.CodeInvalidRequest, steps: "LoadRecord ValidateVersion×2 AppendOperationLog", row: "latest"},
		{name: "validate: transient, then fine", arrange: func(w *world) { w.on("GetVersion", act{err: errStoreDown}) },
			steps:     "LoadRecord ValidateVersion×2 PatchContainer UpdateImage AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3", atMost: 5 * time.Second},
		{name: "validate: budget exhausted", arrange: func(w *world) { w.on("GetVersion", act{err: errStoreDown, forever: true}) },
			code: patch.CodeServiceUnavailable, row: "1.4.2", atLeast: 50 * time.Second, atMost: time.Minute},
		{name: "validate: cancelled", cancelAt: "GetVersion",
			code: patch.CodeCancelled, steps: validated + "AppendOperationLog", row: "1.4.2"},

		// PatchContainer.
		{name: "patch: refused for good", arrange: func(w *world) { w.on("Patch", act{err: errRTMNo}) },
			code:  patch.CodeServiceUnavailable,
			steps: validated + "PatchContainer RestoreContainer AppendOperationLog", row: "1.4.2", undo: patch.LineInLine},
		{name: "patch: no container to recreate", arrange: func(w *world) {
			w.container = nil
			w.on("Patch", act{err: errRTMNo})
		}, code: patch.CodeServiceUnavailable,
			steps: validated + "PatchContainer RestoreContainer AppendOperationLog", row: "1.4.2", apart: true, undo: patch.LineMissing},
		{name: "patch: transient, then fine", arrange: func(w *world) { w.on("Patch", act{err: errRTMDown}, act{err: errRTMDown}) },
			steps:     validated + "PatchContainer×3 UpdateImage AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3", atMost: 10 * time.Second},
		{name: "patch: Retry-After is kept", arrange: func(w *world) {
			w.on("Patch", act{err: &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 429, RetryAfter: 40 * time.Second}})
		}, steps: validated + "PatchContainer×2 UpdateImage AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3", atLeast: 40 * time.Second, atMost: 42 * time.Second},
		{name: "patch: budget exhausted", arrange: func(w *world) { w.on("Patch", act{err: errRTMDown, forever: true}) },
			code: patch.CodeServiceUnavailable, row: "1.4.2", undo: patch.LineInLine,
			atLeast: 100 * time.Second, atMost: 2 * time.Minute},
		{name: "patch: budget exhausted, unfenced", arrange: func(w *world) {
			unfenced(w)
			w.on("Patch", act{err: errRTMDown, forever: true})
		}, code: patch.CodeServiceUnavailable, row: "1.4.2", undo: patch.LineInLine,
			atLeast: 130 * time.Second, atMost: 150 * time.Second},
		{name: "patch: cancelled, cannot land late", cancelAt: "Patch", arrange: func(w *world) {
			w.on("Patch", act{err: errRTMDown})
			w.on("Inspect", act{after: func(w *world) {
				if w.admit(patch.Fence(patch.FenceStep, 1)) == nil {
					w.container.ImageRef = newImage
				}
			}})
		}, code: patch.CodeCancelled,
			steps: validated + "PatchContainer RestoreContainer AppendOperationLog",
			row:   "1.4.2", undo: patch.LineInLine, atMost: time.Second},
		{name: "patch: cancelled, lands late, put back", cancelAt: "Patch", arrange: func(w *world) {
			unfenced(w)
			w.on("Patch", act{err: errRTMDown})
			w.on("Inspect", act{after: func(w *world) { w.container.ImageRef = newImage }})
		}, code: patch.CodeCancelled,
			steps:     validated + "PatchContainer RestoreContainer×2 AppendOperationLog",
			recreates: []string{oldImage}, row: "1.4.2", undo: patch.LineRecreated, atLeast: 30 * time.Second, atMost: 31 * time.Second},
		{name: "patch: done but timed out", arrange: func(w *world) { w.on("Patch", act{err: errRTMDown, applied: true}) },
			steps:     validated + "PatchContainer×2 UpdateImage AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3"},
		{name: "patch: said to be done but was not", arrange: func(w *world) { w.on("Patch", act{lie: true}) },
			steps:     validated + "PatchContainer×2 UpdateImage AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3"},
		{name: "patch: done, but the look at it failed", arrange: func(w *world) { w.on("Inspect", act{err: errRTMDown}) },
			steps:     validated + "PatchContainer×2 UpdateImage AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3"},
		{name: "patch: done but refused, put back", arrange: func(w *world) { w.on("Patch", act{err: errRTMNo, applied: true}) },
			code:      patch.CodeServiceUnavailable,
			steps:     validated + "PatchContainer RestoreContainer AppendOperationLog",
			recreates: []string{newImage, oldImage}, row: "1.4.2", undo: patch.LineRecreated},
		{name: "patch: stopped during the retries, not started again", arrange: func(w *world) {
			w.on("Patch", act{err: errRTMDown, before: setStatus(runtime.StatusStopped)})
		}, code: patch.CodeConflict,
			steps: validated + "PatchContainer×2 RestoreContainer AppendOperationLog",
			row:   "1.4.2", undo: patch.LineLeftAlone},
		{name: "patch: a turn began during the retries, not interrupted", arrange: func(w *world) {
			w.on("Patch", act{err: errRTMDown, before: setStatus(runtime.StatusGenerationInProgress)})
			w.onGet(5, act{before: setStatus(runtime.StatusRunning)})
		}, code: patch.CodeConflict,
			steps: validated + "PatchContainer×2 RestoreContainer×2 AppendOperationLog",
			row:   "1.4.2", undo: patch.LineInLine},
		{name: "patch: another writer came first, as after a reset", arrange: func(w *world) {
			w.onGet(2, act{before: movedTo("1.4.7")})
		}, code: patch.CodeConflict, recreates: []string{"registry.example/engine:1.4.7"}, row: "1.4.7", undo: patch.LineRecreated},
		{name: "patch: cancelled before it happened", cancelAt: "Patch", arrange: func(w *world) {
			unfenced(w)
			w.on("Patch", act{err: errRTMDown})
		}, code: patch.CodeCancelled,
			steps: validated + "PatchContainer RestoreContainer×2 AppendOperationLog", row: "1.4.2", undo: patch.LineInLine,
			atLeast: 30 * time.Second, atMost: 31 * time.Second},
		{name: "patch: cancelled after it happened", cancelAt: "Patch",
			code:      patch.CodeCancelled,
			steps:     validated + "PatchContainer RestoreContainer AppendOperationLog",
			recreates: []string{newImage, oldImage}, row: "1.4.2", undo: patch.LineRecreated},
		{name: "patch: cancelled, put back, lands late all the same", cancelAt: "Patch", arrange: func(w *world) {
			unfenced(w)
			w.on("Inspect", act{}, act{}, act{after: func(w *world) { w.container.ImageRef = newImage }})
		}, code: patch.CodeCancelled,
			steps:     validated + "PatchContainer RestoreContainer×2 AppendOperationLog",
			recreates: []string{newImage, oldImage, oldImage}, row: "1.4.2", undo: patch.LineRecreated},
		{name: "patch: a turn began before the first call", arrange: func(w *world) {
			w.onGet(2, act{before: setStatus(runtime.StatusGenerationInProgress)})
		}, code: patch.CodeConflict,
			steps: validated + "PatchContainer RestoreContainer AppendOperationLog", row: "1.4.2", undo: patch.LineLeftAlone},

		// UpdateImage.
		{name: "record: stopped meanwhile", arrange: func(w *world) { w.on("UpdateImage", act{before: setStatus(runtime.StatusStopped)}) },
			code:      patch.CodeConflict,
			steps:     validated + "PatchContainer UpdateImage×2 RestoreContainer AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.2", apart: true, undo: patch.LineLeftAlone},
		{name: "record: unreachable meanwhile", arrange: func(w *world) {
			w.on("UpdateImage", act{before: setStatus(runtime.StatusEngineUnreachable)})
		}, code: patch.CodeConflict,
			steps:     validated + "PatchContainer UpdateImage×2 RestoreContainer AppendOperationLog",
			recreates: []string{newImage, oldImage}, row: "1.4.2", undo: patch.LineRecreated},
		{name: "record: another writer came first", arrange: func(w *world) {
			w.onGet(3, act{before: movedTo("1.4.7")})
		}, code: patch.CodeConflict,
			steps:     validated + "PatchContainer UpdateImage×2 RestoreContainer AppendOperationLog",
			recreates: []string{newImage, "registry.example/engine:1.4.7"}, row: "1.4.7", undo: patch.LineRecreated},
		{name: "record: a forced recreate whose swap lost is no success", input: func(i *workflows.Input) {
			i.Request.Version, i.Request.Force = "1.4.2", true
		}, arrange: func(w *world) {
			w.on("UpdateImage", act{before: setStatus(runtime.StatusEngineUnreachable)})
		}, code: patch.CodeConflict, recreates: []string{oldImage}, row: "1.4.2", undo: patch.LineInLine},
		{name: "record: row gone meanwhile", arrange: func(w *world) {
			w.on("UpdateImage", act{before: func(w *world) { w.row = nil }})
		}, code: patch.CodeRuntimeNotFound,
			steps:     validated + "PatchContainer UpdateImage×2 RestoreContainer AppendOperationLog",
			recreates: []string{newImage}, apart: true, undo: patch.LineLeftAlone},
		{name: "record: transient, then fine", arrange: func(w *world) { w.on("UpdateImage", act{err: errStoreDown}) },
			steps:     validated + "PatchContainer UpdateImage×2 AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3", atMost: 5 * time.Second},
		{name: "record: budget exhausted, put back", arrange: func(w *world) { w.on("UpdateImage", act{err: errStoreDown, forever: true}) },
			code: patch.CodeServiceUnavailable, recreates: []string{newImage, oldImage}, row: "1.4.2",
			undo: patch.LineRecreated, atLeast: 50 * time.Second, atMost: time.Minute},
		{name: "record: committed but the reply was lost", arrange: func(w *world) { w.on("UpdateImage", act{err: errStoreDown, applied: true}) },
			steps:     validated + "PatchContainer UpdateImage×2 AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3"},
		{name: "record: reply lost, then the status moved on", arrange: func(w *world) {
			w.on("UpdateImage", act{err: errStoreDown, applied: true, after: setStatus(runtime.StatusGenerationInProgress)})
		}, steps: validated + "PatchContainer UpdateImage×2 AppendOperationLog",
			recreates: []string{newImage}, row: "1.4.3"},
		{name: "record: every reply lost, the patch stands", arrange: func(w *world) {
			w.on("UpdateImage", act{err: errStoreDown, applied: true})
			w.onGet(4, act{err: errStoreDown, forever: true})
			w.on("Fence", act{before: func(w *world) { w.script["Get"] = nil }})
		}, recreates: []string{newImage}, row: "1.4.3", undo: patch.LineInLine, atLeast: 50 * time.Second},
		{name: "record: cancelled too late", cancelAt: "UpdateImage",
			steps: rotated, recreates: []string{newImage}, row: "1.4.3"},

		// RestoreContainer.
		{name: "undo: transient, then fine", arrange: func(w *world) {
			w.on("UpdateImage", act{before: setStatus(runtime.StatusGenerationFailed)})
			w.on("Inspect", act{}, act{err: errRTMDown}, act{err: errRTMDown})
		}, code: patch.CodeConflict,
			steps:     validated + "PatchContainer UpdateImage×2 RestoreContainer×3 AppendOperationLog",
			recreates: []string{newImage, oldImage}, row: "1.4.2", undo: patch.LineRecreated},
		{name: "undo: done but timed out", arrange: func(w *world) {
			w.on("UpdateImage", act{before: setStatus(runtime.StatusEngineUnreachable)})
			w.on("Patch", act{}, act{err: errRTMDown, applied: true})
		}, code: patch.CodeConflict,
			steps:     validated + "PatchContainer UpdateImage×2 RestoreContainer×2 AppendOperationLog",
			recreates: []string{newImage, oldImage}, row: "1.4.2", undo: patch.LineInLine},
		{name: "undo: waits for the turn", arrange: func(w *world) {
			w.on("UpdateImage", act{before: setStatus(runtime.StatusGenerationInProgress)})
			w.onGet(9, act{before: setStatus(runtime.StatusRunning)})
		}, code: patch.CodeConflict,
			steps:     validated + "PatchContainer UpdateImage×2 RestoreContainer×4 AppendOperationLog",
			recreates: []string{newImage, oldImage}, row: "1.4.2", undo: patch.LineRecreated,
			atLeast: 15 * time.Second, atMost: 16 * time.Second},
		{name: "undo: game stopped while the turn was waited for", arrange: func(w *world) {
			w.on("UpdateImage", act{before: setStatus(runtime.StatusGenerationInProgress)})
			w.onGet(7, act{before: setStatus(runtime.StatusStopped)})
		}, code: patch.CodeConflict, recreates: []string{newImage}, row: "1.4.2", apart: true, undo: patch.LineLeftAlone},
		{name: "undo: follows another writer's row", arrange: func(w *world) {
			w.on("UpdateImage", act{before: setStatus(runtime.StatusEngineUnreachable), after: movedTo("1.4.7")})
		}, code: patch.CodeConflict, recreates: []string{newImage, "registry.example/engine:1.4.7"}, row: "1.4.7", undo: patch.LineRecreated},
		{name: "undo: store down, then fine", arrange: func(w *world) {
			w.on("Patch", act{err: errRTMNo})
			w.onGet(3, act{err: errStoreDown}, act{err: errStoreDown})
		}, code: patch.CodeServiceUnavailable,
			steps: validated + "PatchContainer RestoreContainer×3 AppendOperationLog", row: "1.4.2", undo: patch.LineInLine},
		{name: "undo: cancelled meanwhile, goes on", cancelAt: "Inspect", arrange: func(w *world) {
			w.on("Patch", act{err: errRTMNo, applied: true})
		}, code: patch.CodeServiceUnavailable,
			steps:     validated + "PatchContainer RestoreContainer AppendOperationLog",
			recreates: []string{newImage, oldImage}, row: "1.4.2", undo: patch.LineRecreated},

		// AppendOperationLog.
		{name: "audit: down for long, written in the end", arrange: func(w *world) {
			for range 12 {
				w.on("Append", act{err: errStoreDown})
			}
		}, steps: validated + "PatchContainer UpdateImage AppendOperationLog×14",
			recreates: []string{newImage}, row: "1.4.3", atLeast: 2 * time.Minute},
		{name: "audit: written but the reply was lost", arrange: func(w *world) { w.on("Append", act{err: errStoreDown, applied: true}) },
			steps:     validated + "PatchContainer UpdateImage AppendOperationLog×3",
			recreates: []string{newImage}, row: "1.4.3"},
		{name: "audit: cancelled too late", cancelAt: "Append", steps: rotated, recreates: []string{newImage}, row: "1.4.3"},
	}
}

// TestMatrix proves, for every step and every way in which it can go wrong,
// which activities run, how the run closes, with which code, what Runtime
// Manager did, and that container and row end up together with one audit row
// written.
func TestMatrix(t *testing.T) {
	for _, row := range matrix() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.check(t)
		})
	}
}

func (row matrixRow) check(t *testing.T) {
	w := newWorld()
	in := input()
	if row.input != nil {
		row.input(&in)
	}
	if row.arrange != nil {
		row.arrange(w)
	}
	o := w.run(t, in, func(env *testsuite.TestWorkflowEnvironment) {
		if row.cancelAt != "" {
			w.cancelDuring(row.cancelAt, env)
		}
	})

	require.Equal(t, row.code, o.result.Code, o.result.Message)
	require.Equal(t, row.code.Closing(), closing(o.err))
	require.Equal(t, row.code == "", o.result.IsSuccess())
	if row.steps != "" {
		require.Equal(t, row.steps, w.stepsRun())
	}
	require.Equal(t, row.recreates, w.recreatedOn())
	require.Equal(t, row.noop, o.result.Noop)
	if row.row == "" {
		require.Nil(t, w.row)
	} else {
		require.Equal(t, row.row, w.row.CurrentEngineVersion)
	}
	if !row.apart {
		require.True(t, w.inLine(), "container %v, row %v", w.container, w.row)
	}
	if row.undo == "" {
		require.Nil(t, o.result.Undo)
	} else {
		require.NotNil(t, o.result.Undo)
		require.Equal(t, row.undo, o.result.Undo.Line)
	}
	require.GreaterOrEqual(t, o.elapsed, row.atLeast)
	if row.atMost != 0 {
		require.LessOrEqual(t, o.elapsed, row.atMost)
	}
	checkAudit(t, w, o.result)
}
