package patch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// told writes the checks in their order as letters: passed, failed, skipped.
func told(preview patch.Preview) string {
	var b strings.Builder
	for _, check := range preview.Checks {
		b.WriteString(string(check.Status)[:1])
	}
	return b.String()
}

// TestPreviewOf proves, for each way to go wrong, every check's verdict: all
// that can be told is told at once, and the first failure gives the code.
func TestPreviewOf(t *testing.T) {
	stopped, unreadable := record("1.4.2"), record("latest")
	stopped.Status = runtime.StatusStopped
	running, deprecated := record("1.4.2"), registered("1.4.1")
	deprecated.Status = engineversion.StatusDeprecated
	version := func(v string) *engineversion.EngineVersion { r := registered(v); return &r }
	for _, row := range []struct {
		name     string
		record   *runtime.RuntimeRecord
		target   *engineversion.EngineVersion
		version  string
		expected string
		force    bool
		// want has a letter for: request, runtime_exists, runtime_running,
		// expected_version, version_registered, version_active, same_major_minor.
		want string
		code patch.Code
		kind patch.Kind
	}{
		{name: "upgrade", record: &running, target: version("1.4.3"), want: "pppsppp", kind: patch.KindUpgrade},
		{name: "expected", record: &running, target: version("1.4.3"), expected: "1.4.2", want: "ppppppp", kind: patch.KindUpgrade},
		{name: "rollback", record: &running, target: version("1.4.0"), want: "pppsppp", kind: patch.KindRollback},
		{name: "noop", record: &running, target: version("1.4.2"), want: "pppsppp", kind: patch.KindNoop},
		{name: "force", record: &running, target: version("1.4.2"), force: true, want: "pppsppp", kind: patch.KindRecreate},
		{name: "no version", record: &running, target: version("1.4.3"), version: "v1", want: "fssssss", code: patch.CodeInvalidRequest},
		{name: "no expected version", record: &running, target: version("1.4.3"), expected: "v1", want: "fssssss", code: patch.CodeInvalidRequest},
		{name: "no runtime", target: version("1.4.3"), want: "pfsspps", code: patch.CodeRuntimeNotFound},
		{name: "no runtime, no version", version: "1.4.9", want: "pfssfss", code: patch.CodeRuntimeNotFound},
		{name: "stopped", record: &stopped, target: version("1.4.3"), want: "ppfsppp", code: patch.CodeRuntimeNotRunning},
		{name: "stopped, all else wrong", record: &stopped, target: &deprecated, expected: "1.4.1", want: "ppffpfp", code: patch.CodeRuntimeNotRunning},
		{name: "another version runs", record: &running, target: version("1.4.3"), expected: "1.4.1", want: "pppfppp", code: patch.CodePreconditionFailed},
		{name: "not registered", record: &running, version: "1.4.9", want: "pppsfss", code: patch.CodeEngineVersionNotFound},
		{name: "deprecated", record: &running, target: &deprecated, want: "pppspfp", code: patch.CodeEngineVersionNotFound},
		{name: "other minor", record: &running, target: version("1.5.0"), force: true, want: "pppsppf", code: patch.CodeSemverPatchOnly},
		{name: "unreadable stored version", record: &unreadable, target: version("1.4.3"), want: "pppsppf", code: patch.CodeInvalidRequest},
	} {
		t.Run(row.name, func(t *testing.T) {
			request := patch.Request{GameID: "g", Version: row.version, ExpectedVersion: row.expected, Force: row.force}
			if request.Version == "" {
				request.Version = row.target.Version
			}
			preview := patch.PreviewOf(request, row.record, row.target)
			require.Equal(t, row.want, told(preview), preview.Checks)
			require.Equal(t, row.code, preview.Code)
			require.Equal(t, row.code == "", preview.Allowed)
			if row.kind == "" {
				require.Nil(t, preview.Plan)
				return
			}
			require.NotNil(t, preview.Plan)
			require.Equal(t, row.kind, preview.Plan.Kind)
			require.Equal(t, patch.ImageOf(*row.record), preview.Plan.From)
			require.Equal(t, row.target.Version, preview.Plan.To.Version)
		})
	}
}

// TestPreviewTellsWhy proves that what did not pass says why, and the names on
// the wire.
func TestPreviewTellsWhy(t *testing.T) {
	running := record("1.4.2")
	preview := patch.PreviewOf(patch.Request{GameID: "g", Version: "1.4.9", ExpectedVersion: "1.4.1"}, &running, nil)
	var names []string
	for _, check := range preview.Checks {
		names = append(names, check.Name)
		require.Equal(t, check.Status == patch.CheckPassed, check.Detail == "", check.Name)
		require.Equal(t, check.Status == patch.CheckFailed, check.Code != "", check.Name)
	}
	require.Equal(t, []string{
		"request", "runtime_exists", "runtime_running", "expected_version",
		"version_registered", "version_active", "same_major_minor",
	}, names)
	text, err := json.Marshal(patch.Preview{Code: preview.Code, Checks: preview.Checks[3:4]})
	require.NoError(t, err)
	require.JSONEq(t, `{"allowed":false,"code":"precondition_failed","checks":[{"name":"expected_version","status":"failed",
		"code":"precondition_failed","detail":"the runtime is not on expected_version: it is on \"1.4.2\", want \"1.4.1\""}]}`, string(text))
}
