package activities_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/adapters/mocks"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// rig runs single activities in the SDK's activity environment over mocked
// ports. Attempts beyond the first are covered by the workflow's matrix, whose
// environment counts them.
type rig struct {
	runtimes *mocks.MockRuntimeRecordStore
	versions *mocks.MockEngineVersionStore
	log      *mocks.MockOperationLogStore
	fences   *mocks.MockFenceStore
	rtm      *mocks.MockRTMClient
	steps    *activities.Activities
	env      *testsuite.TestActivityEnvironment
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ctrl := gomock.NewController(t)
	r := &rig{
		runtimes: mocks.NewMockRuntimeRecordStore(ctrl), versions: mocks.NewMockEngineVersionStore(ctrl),
		log: mocks.NewMockOperationLogStore(ctrl), fences: mocks.NewMockFenceStore(ctrl), rtm: mocks.NewMockRTMClient(ctrl),
	}
	var err error
	r.steps, err = activities.New(activities.Dependencies{
		RuntimeRecords: r.runtimes, EngineVersions: r.versions, OperationLogs: r.log, Fences: r.fences, RTM: r.rtm,
	})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r.env = suite.NewTestActivityEnvironment()
	r.env.RegisterActivity(r.steps)
	return r
}

func (r *rig) do(activity, input any) (converter.EncodedValue, error) {
	return r.env.ExecuteActivity(activity, input)
}

func request(version string) patch.Request {
	return patch.Request{PatchID: "g.aaaaaaaaaaaaaaaaaaaaaaaaaa", GameID: "g", Version: version}
}

// testRun is the run id of the SDK's activity environment.
const testRun = "default-test-run-id"

var (
	errDown = errors.New("connection refused")
	running = runtime.RuntimeRecord{
		GameID: "g", Status: runtime.StatusRunning, CurrentEngineVersion: "1.4.2", CurrentImageRef: "old",
	}
	plan = patch.Plan{
		Kind: patch.KindUpgrade,
		From: patch.Image{Version: "1.4.2", ImageRef: "old"}, To: patch.Image{Version: "1.4.3", ImageRef: "new"},
	}
)

// failure is what an activity's error carries besides its type.
type failure struct {
	message string
	delay   time.Duration
	details activities.FailureDetails
}

// requireFailure proves the type of an activity's error, whether it is retried,
// and that it is Benign exactly when it was to be expected.
func requireFailure(t *testing.T, err error, code patch.Code, retried, benign bool) failure {
	t.Helper()
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	require.Equal(t, string(code), application.Type(), application.Message())
	require.Equal(t, !retried, application.NonRetryable())
	require.Equal(t, benign, application.Category() == temporal.ApplicationErrorCategoryBenign)
	var details activities.FailureDetails
	require.NoError(t, application.Details(&details))
	require.Equal(t, 1, details.Attempt)
	return failure{application.Message(), application.NextRetryDelay(), details}
}

// TestNewNamesWhatIsMissing proves that no step is built over a nil port.
func TestNewNamesWhatIsMissing(t *testing.T) {
	r := newRig(t)
	full := activities.Dependencies{RuntimeRecords: r.runtimes, EngineVersions: r.versions, OperationLogs: r.log, Fences: r.fences, RTM: r.rtm}
	for want, spoil := range map[string]func(*activities.Dependencies){
		"nil runtime records": func(d *activities.Dependencies) { d.RuntimeRecords = nil },
		"nil engine versions": func(d *activities.Dependencies) { d.EngineVersions = nil },
		"nil operation logs":  func(d *activities.Dependencies) { d.OperationLogs = nil },
		"nil fences":          func(d *activities.Dependencies) { d.Fences = nil },
		"nil rtm client":      func(d *activities.Dependencies) { d.RTM = nil },
	} {
		deps := full
		spoil(&deps)
		_, err := activities.New(deps)
		require.ErrorContains(t, err, want)
	}
}

// TestErrorsOfPorts proves what each port's error becomes on its way to the
// workflow.
func TestErrorsOfPorts(t *testing.T) {
	for _, row := range []struct {
		name    string
		err     error
		code    patch.Code
		retried bool
		benign  bool
	}{
		{"no row", runtime.ErrNotFound, patch.CodeRuntimeNotFound, false, true},
		{"store down", errDown, patch.CodeServiceUnavailable, true, false},
		{"a bug of ours", ports.ErrInvalidInput, patch.CodeInternalError, false, false},
		{"statement timeout", context.DeadlineExceeded, patch.CodeServiceUnavailable, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(runtime.RuntimeRecord{}, row.err)
			_, err := r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: request("1.4.3"), WorkflowID: "patch-runtime/g"})
			requireFailure(t, err, row.code, row.retried, row.benign)
		})
	}
}

// TestLoadRecord proves the order of its checks: a bad request is refused
// before the store is asked, and names the field; a game that is not running
// before one that is not on the expected version.
func TestLoadRecord(t *testing.T) {
	r := newRig(t)
	_, err := r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: request("next")})
	require.Equal(t, "version", requireFailure(t, err, patch.CodeInvalidRequest, false, true).details.Field)

	_, err = r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: request("1.4.3"), WorkflowID: "by-hand"})
	requireFailure(t, err, patch.CodeInvalidRequest, false, true)

	stopped := running
	stopped.Status = runtime.StatusStopped
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(stopped, nil)
	_, err = r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: request("1.4.3"), WorkflowID: "patch-runtime/g"})
	requireFailure(t, err, patch.CodeRuntimeNotRunning, false, true)

	elsewhere := request("1.4.3")
	elsewhere.ExpectedVersion = "1.4.1"
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(stopped, nil)
	_, err = r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: elsewhere, WorkflowID: "patch-runtime/g"})
	requireFailure(t, err, patch.CodeRuntimeNotRunning, false, true)
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil)
	_, err = r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: elsewhere, WorkflowID: "patch-runtime/g"})
	requireFailure(t, err, patch.CodePreconditionFailed, false, true)

	elsewhere.ExpectedVersion = "latest"
	_, err = r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: elsewhere, WorkflowID: "patch-runtime/g"})
	require.Equal(t, "expected_version", requireFailure(t, err, patch.CodeInvalidRequest, false, true).details.Field)
}

// TestValidateVersion proves that the registry's and the rules' refusals keep
// their codes.
func TestValidateVersion(t *testing.T) {
	r := newRig(t)
	r.versions.EXPECT().Get(gomock.Any(), "1.4.9").Return(engineversion.EngineVersion{}, engineversion.ErrNotFound)
	_, err := r.do(r.steps.ValidateVersion, activities.ValidateVersionInput{Record: running, Version: "1.4.9"})
	requireFailure(t, err, patch.CodeEngineVersionNotFound, false, true)

	r.versions.EXPECT().Get(gomock.Any(), "1.5.0").Return(
		engineversion.EngineVersion{Version: "1.5.0", ImageRef: "x", Status: engineversion.StatusActive}, nil)
	_, err = r.do(r.steps.ValidateVersion, activities.ValidateVersionInput{Record: running, Version: "1.5.0"})
	requireFailure(t, err, patch.CodeSemverPatchOnly, false, true)
}

// TestPatchContainer proves that the first attempt asks nothing before the call,
// believes no answer to it, and what the Runtime Manager's answers become.
func TestPatchContainer(t *testing.T) {
	in := activities.PatchContainerInput{GameID: "g", Plan: plan, IdempotencyKey: "p/r/patch", Fence: 7, FirstRunID: testRun}
	want := ports.RTMPatchInput{GameID: "g", ImageRef: "new", IdempotencyKey: "p/r/patch", Fence: 7}

	r := newRig(t)
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(running, nil).Times(6)
	on := func(image, status string) ports.Container {
		return ports.Container{GameID: "g", ImageRef: image, Status: status}
	}
	r.rtm.EXPECT().Patch(gomock.Any(), want).Return(nil).Times(4)
	gomock.InOrder(
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new", "running"), nil),
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("old", "running"), nil),
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(on("new", "exited"), nil),
		r.rtm.EXPECT().Inspect(gomock.Any(), "g").Return(ports.Container{}, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 500}),
	)
	value, err := r.do(r.steps.PatchContainer, in)
	require.NoError(t, err)
	var result activities.PatchContainerResult
	require.NoError(t, value.Get(&result))
	require.WithinDuration(t, time.Now(), result.At, time.Hour, "by the worker's clock")
	result.At = time.Time{}
	require.Equal(t, activities.PatchContainerResult{RunID: testRun, Attempt: 1}, result)

	for _, said := range []string{"old", "exited", "500"} {
		_, err = r.do(r.steps.PatchContainer, in)
		lied := requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
		require.Contains(t, lied.message, said)
		require.False(t, lied.details.Settled, "the call may have been carried out")
		require.False(t, lied.details.Untouched)
	}

	r.rtm.EXPECT().Patch(gomock.Any(), want).Return(&ports.RTMError{Kind: ports.ErrRTMRejected, Status: 404})
	_, err = r.do(r.steps.PatchContainer, in)
	requireFailure(t, err, patch.CodeServiceUnavailable, false, false)

	r.rtm.EXPECT().Patch(gomock.Any(), want).Return(&ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 429, RetryAfter: 7 * time.Second})
	_, err = r.do(r.steps.PatchContainer, in)
	require.Equal(t, 7*time.Second, requireFailure(t, err, patch.CodeServiceUnavailable, true, false).delay)
}

// TestPatchContainerReadsTheRow proves that no container is recreated for a row
// that has moved since the plan was made.
func TestPatchContainerReadsTheRow(t *testing.T) {
	in := activities.PatchContainerInput{GameID: "g", Plan: plan, IdempotencyKey: "p/r/patch"}
	stopped, elsewhere := running, running
	stopped.Status = runtime.StatusStopped
	elsewhere.CurrentEngineVersion, elsewhere.CurrentImageRef = "1.4.7", "newer"
	for _, row := range []struct {
		record  runtime.RuntimeRecord
		err     error
		code    patch.Code
		retried bool
	}{
		{record: stopped, code: patch.CodeConflict},
		{record: elsewhere, code: patch.CodeConflict},
		{err: runtime.ErrNotFound, code: patch.CodeRuntimeNotFound},
		{err: errDown, code: patch.CodeServiceUnavailable, retried: true},
	} {
		r := newRig(t)
		r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(row.record, row.err)
		_, err := r.do(r.steps.PatchContainer, in)
		requireFailure(t, err, row.code, row.retried, !row.retried)
	}
}

// TestUpdateImage proves the reading of a swap that changed nothing.
func TestUpdateImage(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	in := activities.UpdateImageInput{Record: running, Plan: plan, PatchedBy: testRun, Now: now}
	swap := ports.UpdateImageInput{
		GameID: "g", ExpectedStatus: runtime.StatusRunning, CurrentImageRef: "new", CurrentEngineVersion: "1.4.3",
		Now: now,
	}
	rotated := running
	rotated.CurrentEngineVersion, rotated.CurrentImageRef, rotated.Status = "1.4.3", "new", runtime.StatusStopped

	for _, row := range []struct {
		name      string
		in        activities.UpdateImageInput
		reread    runtime.RuntimeRecord
		rereadErr error
		code      patch.Code
	}{
		{name: "mine already", in: in, reread: rotated},
		{name: "somebody else's", in: in, reread: running, code: patch.CodeConflict},
		{name: "gone", in: in, rereadErr: runtime.ErrNotFound, code: patch.CodeRuntimeNotFound},
		{name: "unreadable", in: in, rereadErr: errDown, code: patch.CodeServiceUnavailable},
		{
			name: "a forced recreate cannot tell its own write", reread: rotated, code: patch.CodeConflict,
			in: activities.UpdateImageInput{Record: running, Plan: patch.Plan{Kind: patch.KindRecreate, From: plan.To, To: plan.To}, PatchedBy: testRun, Now: now},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			before := row.in.Record
			before.CurrentEngineVersion, before.CurrentImageRef = row.in.Plan.From.Version, row.in.Plan.From.ImageRef
			gomock.InOrder(
				r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(before, nil),
				r.runtimes.EXPECT().UpdateImage(gomock.Any(), expecting(swap, row.in.Plan.From)).Return(runtime.ErrConflict),
				r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(row.reread, row.rereadErr),
			)
			value, err := r.do(r.steps.UpdateImage, row.in)
			if row.code != "" {
				requireFailure(t, err, row.code, row.code == patch.CodeServiceUnavailable, row.code != patch.CodeServiceUnavailable)
				return
			}
			require.NoError(t, err)
			var result activities.UpdateImageResult
			require.NoError(t, value.Get(&result))
			require.True(t, result.FoundDone)
			require.Equal(t, row.reread, result.Record)
		})
	}
}

// expecting is swap with what it expects to be stored.
func expecting(swap ports.UpdateImageInput, from patch.Image) ports.UpdateImageInput {
	swap.ExpectedImageRef, swap.ExpectedEngineVersion = from.ImageRef, from.Version
	return swap
}

// TestUpdateImageLeavesOthersAlone proves that the image of another writer is
// not overwritten, and that an own write is known again before the swap.
func TestUpdateImageLeavesOthersAlone(t *testing.T) {
	in := activities.UpdateImageInput{Record: running, Plan: plan, PatchedBy: testRun, Now: time.Now()}
	r := newRig(t)
	elsewhere := running
	elsewhere.CurrentEngineVersion, elsewhere.CurrentImageRef = "1.4.7", "newer"
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(elsewhere, nil)
	_, err := r.do(r.steps.UpdateImage, in)
	requireFailure(t, err, patch.CodeConflict, false, true)

	written := running
	written.CurrentEngineVersion, written.CurrentImageRef, written.Status = "1.4.3", "new", runtime.StatusGenerationInProgress
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(written, nil)
	_, err = r.do(r.steps.UpdateImage, in)
	require.NoError(t, err)
}

// TestAppendOperationLog proves that the entry reaches the log as it is, and that
// a failure is not told over a success that the log has of the run.
func TestAppendOperationLog(t *testing.T) {
	r := newRig(t)
	entry := operation.OperationEntry{GameID: "g", PatchID: "p", RunID: "r", Outcome: operation.OutcomeSuccess}
	r.log.EXPECT().Append(gomock.Any(), entry).Return(int64(7), nil)
	value, err := r.do(r.steps.AppendOperationLog, activities.AppendOperationLogInput{Entry: entry})
	require.NoError(t, err)
	var result activities.AppendOperationLogResult
	require.NoError(t, value.Get(&result))
	require.Equal(t, activities.AppendOperationLogResult{ID: 7, Attempt: 1}, result)

	failure, other := entry, entry
	failure.Outcome, other.RunID = operation.OutcomeFailure, "r0"
	for stands, rows := range map[*operation.OperationEntry][]operation.OperationEntry{nil: {other, failure}, &entry: {other, entry}} {
		r.log.EXPECT().Append(gomock.Any(), failure).Return(int64(7), nil)
		r.log.EXPECT().ListByPatch(gomock.Any(), "p").Return(rows, nil)
		value, err = r.do(r.steps.AppendOperationLog, activities.AppendOperationLogInput{Entry: failure})
		require.NoError(t, err)
		result = activities.AppendOperationLogResult{}
		require.NoError(t, value.Get(&result))
		require.Equal(t, activities.AppendOperationLogResult{ID: 7, Stands: stands, Attempt: 1}, result)
	}

	r.log.EXPECT().Append(gomock.Any(), failure).Return(int64(7), nil)
	r.log.EXPECT().ListByPatch(gomock.Any(), "p").Return(nil, errors.New("down"))
	_, err = r.do(r.steps.AppendOperationLog, activities.AppendOperationLogInput{Entry: failure})
	requireFailure(t, err, patch.CodeServiceUnavailable, true, false)
}

// TestMessagesAreBounded proves that a long error cannot swell the history, and
// that the detail of an internal error does not get into it.
func TestMessagesAreBounded(t *testing.T) {
	r := newRig(t)
	r.log.EXPECT().Append(gomock.Any(), gomock.Any()).Return(int64(0), errors.New(strings.Repeat("ä", 4000)))
	_, err := r.do(r.steps.AppendOperationLog, activities.AppendOperationLogInput{})
	require.Less(t, len(requireFailure(t, err, patch.CodeServiceUnavailable, true, false).message), 600)

	r.log.EXPECT().Append(gomock.Any(), gomock.Any()).Return(int64(0), errors.Join(ports.ErrInvalidInput, errors.New("secret detail")))
	_, err = r.do(r.steps.AppendOperationLog, activities.AppendOperationLogInput{})
	require.NotContains(t, requireFailure(t, err, patch.CodeInternalError, false, false).message, "secret detail")
}

// TestUpdateImageBesideTheRegistry proves that a target whose image was changed
// meanwhile is a conflict, which is final and says so.
func TestUpdateImageBesideTheRegistry(t *testing.T) {
	r := newRig(t)
	before := running
	before.CurrentEngineVersion, before.CurrentImageRef = plan.From.Version, plan.From.ImageRef
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(before, nil)
	r.runtimes.EXPECT().UpdateImage(gomock.Any(), gomock.Any()).Return(engineversion.ErrConflict)
	_, err := r.do(r.steps.UpdateImage, activities.UpdateImageInput{Record: before, Plan: plan, PatchedBy: testRun, Now: time.Now()})
	requireFailure(t, err, patch.CodeConflict, false, true)
	require.ErrorContains(t, err, "another image")
}

// TestUpdateImageOfAnotherGame proves that a record which was deleted and
// registered anew during the patch is not moved: it is another game's.
func TestUpdateImageOfAnotherGame(t *testing.T) {
	r := newRig(t)
	before := running
	before.CurrentEngineVersion, before.CurrentImageRef = plan.From.Version, plan.From.ImageRef
	anew := before
	anew.CreatedAt = before.CreatedAt.Add(time.Second)
	r.runtimes.EXPECT().Get(gomock.Any(), "g").Return(anew, nil)
	_, err := r.do(r.steps.UpdateImage, activities.UpdateImageInput{Record: before, Plan: plan, PatchedBy: testRun, Now: time.Now()})
	requireFailure(t, err, patch.CodeConflict, false, true)
	require.ErrorContains(t, err, "registered anew")
}
