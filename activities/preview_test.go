package activities_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/activities"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// situation is a request, and what the stores have for it.
type situation struct {
	request patch.Request
	record  *runtime.RuntimeRecord
	target  *engineversion.EngineVersion
}

// situations are all combinations of what a dry run looks at.
func situations() []situation {
	var all []situation
	for _, status := range append(runtime.Statuses(), "") { // no row
		for _, current := range []string{"1.4.2", "1.4.9", "latest"} {
			for _, registered := range []engineversion.Status{engineversion.StatusActive, engineversion.StatusDeprecated, ""} { // not registered
				for _, version := range []string{"1.4.2", "1.4.3", "1.4.2+b1", "1.5.0", "newest"} {
					for _, expected := range []string{"", "1.4.2", "1.4.1", "v1"} {
						for _, force := range []bool{false, true} {
							s := situation{request: request(version)}
							s.request.ExpectedVersion, s.request.Force = expected, force
							if status != "" {
								s.record = &runtime.RuntimeRecord{
									GameID: "g", Status: status, CurrentEngineVersion: current, CurrentImageRef: "engine:" + current,
								}
							}
							if registered != "" {
								s.target = &engineversion.EngineVersion{Version: version, ImageRef: "engine:" + version, Status: registered}
							}
							all = append(all, s)
						}
					}
				}
			}
		}
	}
	return all
}

// TestPreviewAgreesWithThePatch proves that a dry run and the steps of a patch
// come to the same code and the same plan, whatever is asked of whatever there
// is.
func TestPreviewAgreesWithThePatch(t *testing.T) {
	r := newRig(t)
	var now situation
	r.runtimes.EXPECT().Get(gomock.Any(), "g").DoAndReturn(func(context.Context, string) (runtime.RuntimeRecord, error) {
		if now.record == nil {
			return runtime.RuntimeRecord{}, runtime.ErrNotFound
		}
		return *now.record, nil
	}).AnyTimes()
	r.versions.EXPECT().Get(gomock.Any(), gomock.Any()).DoAndReturn(func(context.Context, string) (engineversion.EngineVersion, error) {
		if now.target == nil {
			return engineversion.EngineVersion{}, engineversion.ErrNotFound
		}
		return *now.target, nil
	}).AnyTimes()
	codes := map[patch.Code]int{}
	for _, now = range situations() {
		code, plan := r.validate(t, now.request)
		preview := patch.PreviewOf(now.request, now.record, now.target)
		require.Equal(t, code, preview.Code, "%+v: %+v", now, preview.Checks)
		require.Equal(t, code == "", preview.Allowed)
		require.Equal(t, plan, preview.Plan)
		codes[code]++
	}
	for _, code := range []patch.Code{
		"", patch.CodeInvalidRequest, patch.CodeRuntimeNotFound, patch.CodeRuntimeNotRunning,
		patch.CodePreconditionFailed, patch.CodeEngineVersionNotFound, patch.CodeSemverPatchOnly,
	} {
		require.NotZero(t, codes[code], "no situation comes to %q", code)
	}
}

// validate does the validating steps of a patch, and returns what they come to.
func (r *rig) validate(t *testing.T, request patch.Request) (patch.Code, *patch.Plan) {
	t.Helper()
	value, err := r.do(r.steps.LoadRecord, activities.LoadRecordInput{Request: request, WorkflowID: patch.WorkflowID(request.GameID)})
	if err != nil {
		return typeOf(t, err), nil
	}
	var loaded activities.LoadRecordResult
	require.NoError(t, value.Get(&loaded))
	value, err = r.do(r.steps.ValidateVersion, activities.ValidateVersionInput{
		Record: loaded.Record, Version: request.Version, Force: request.Force,
	})
	if err != nil {
		return typeOf(t, err), nil
	}
	var validated activities.ValidateVersionResult
	require.NoError(t, value.Get(&validated))
	return "", &validated.Plan
}

func typeOf(t *testing.T, err error) patch.Code {
	t.Helper()
	var application *temporal.ApplicationError
	require.True(t, errors.As(err, &application))
	return patch.Code(application.Type())
}
