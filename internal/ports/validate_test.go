package ports_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

func ptr[T any](v T) *T { return &v }

// TestValidate proves that every input refuses what its document says it must,
// in the specification's words.
func TestValidate(t *testing.T) {
	now := time.Now()
	status := ports.UpdateStatusInput{GameID: "g", ExpectedFrom: runtime.StatusRunning, To: runtime.StatusStopped, Now: now}
	scheduling := ports.UpdateSchedulingInput{GameID: "g", Now: now}
	image := ports.UpdateImageInput{
		GameID: "g", ExpectedStatus: runtime.StatusRunning, CurrentImageRef: "i", CurrentEngineVersion: "1.4.2", Now: now,
	}
	health := ports.UpdateEngineHealthInput{GameID: "g", Now: now}
	call := ports.RTMPatchInput{GameID: "g", ImageRef: "i", IdempotencyKey: "k", Fence: 1}
	fence := ports.RTMFenceInput{GameID: "g", Fence: 1<<53 - 1}
	register := ports.RegisterInput{GameID: "g", EngineVersion: "1.4.2", Status: runtime.StatusRunning, Now: now}
	put := ports.PutImageInput{Version: "1.4.2", ImageRef: "i", Now: now}
	deprecate := ports.SetVersionStatusInput{Version: "1.4.2", Status: engineversion.StatusDeprecated, Now: now}
	claim := ports.ClaimInput{Caller: "c", Key: "k", Fingerprint: make([]byte, 32), PatchID: "p", Lease: time.Nanosecond}
	settle := ports.SettleInput{Caller: "c", Key: "k", PatchID: "p", RunID: "r"}
	for _, good := range []interface{ Validate() error }{
		status, scheduling, image, health, call, fence, register, put, deprecate, claim, settle,
	} {
		require.NoError(t, good.Validate())
	}

	for _, row := range []struct {
		want string
		bad  func() error
	}{
		{"game id must not be empty", func() error { in := status; in.GameID = " "; return in.Validate() }},
		{"expected from status", func() error { in := status; in.ExpectedFrom = "x"; return in.Validate() }},
		{"to status", func() error { in := status; in.To = "x"; return in.Validate() }},
		{"now must not be zero", func() error { in := status; in.Now = time.Time{}; return in.Validate() }},
		{"image ref must not be empty when set", func() error { in := status; in.CurrentImageRef = ptr(" "); return in.Validate() }},
		{"engine version must not be empty when set", func() error { in := status; in.CurrentEngineVersion = ptr(""); return in.Validate() }},
		{"game id must not be empty", func() error { in := scheduling; in.GameID = ""; return in.Validate() }},
		{"current turn must not be negative", func() error { in := scheduling; in.CurrentTurn = -1; return in.Validate() }},
		{"next generation at must not be zero when set", func() error { in := scheduling; in.NextGenerationAt = &time.Time{}; return in.Validate() }},
		{"now must not be zero", func() error { in := scheduling; in.Now = time.Time{}; return in.Validate() }},
		{"game id must not be empty", func() error { in := image; in.GameID = ""; return in.Validate() }},
		{"expected status", func() error { in := image; in.ExpectedStatus = ""; return in.Validate() }},
		{"image ref must not be empty", func() error { in := image; in.CurrentImageRef = "\t"; return in.Validate() }},
		{"engine version must not be empty", func() error { in := image; in.CurrentEngineVersion = ""; return in.Validate() }},
		{"now must not be zero", func() error { in := image; in.Now = time.Time{}; return in.Validate() }},
		{"game id must not be empty", func() error { in := health; in.GameID = ""; return in.Validate() }},
		{"now must not be zero", func() error { in := health; in.Now = time.Time{}; return in.Validate() }},
		{"game id must not be empty", func() error { in := call; in.GameID = ""; return in.Validate() }},
		{"image ref must not be empty", func() error { in := call; in.ImageRef = ""; return in.Validate() }},
		{"game id", func() error { in := register; in.GameID = "Game"; return in.Validate() }},
		{"engine version must not be empty", func() error { in := register; in.EngineVersion = " "; return in.Validate() }},
		{"status", func() error { in := register; in.Status = ""; return in.Validate() }},
		{"now must not be zero", func() error { in := register; in.Now = time.Time{}; return in.Validate() }},
		{"not a semantic version", func() error { in := put; in.Version = "1.4"; return in.Validate() }},
		{"image ref must not be empty", func() error { in := put; in.ImageRef = "\n"; return in.Validate() }},
		{"now must not be zero", func() error { in := put; in.Now = time.Time{}; return in.Validate() }},
		{"status", func() error { in := deprecate; in.Status = "retired"; return in.Validate() }},
		{"now must not be zero", func() error { in := deprecate; in.Now = time.Time{}; return in.Validate() }},
		{"caller must not be empty", func() error { in := claim; in.Caller = " "; return in.Validate() }},
		{"key is 0 bytes long", func() error { in := claim; in.Key = ""; return in.Validate() }},
		{"key is 256 bytes long", func() error { in := claim; in.Key = strings.Repeat("k", 256); return in.Validate() }},
		{"fingerprint is 31 bytes long", func() error { in := claim; in.Fingerprint = make([]byte, 31); return in.Validate() }},
		{"patch id must not be empty", func() error { in := claim; in.PatchID = ""; return in.Validate() }},
		{"lease is 0s", func() error { in := claim; in.Lease = 0; return in.Validate() }},
		{"patch id must not be empty", func() error { in := settle; in.PatchID = ""; return in.Validate() }},
		{"run id must not be empty", func() error { in := settle; in.RunID = " "; return in.Validate() }},
		{"idempotency key must not be empty", func() error { in := call; in.IdempotencyKey = ""; return in.Validate() }},
		{"fencing number is 0", func() error { in := call; in.Fence = 0; return in.Validate() }},
		{"fencing number is -1", func() error { in := call; in.Fence = -1; return in.Validate() }},
		{"fencing number is 9007199254740992", func() error { in := call; in.Fence = 1 << 53; return in.Validate() }},
		{"game id must not be empty", func() error { in := fence; in.GameID = " "; return in.Validate() }},
		{"fencing number is 0", func() error { in := fence; in.Fence = 0; return in.Validate() }},
		{"fencing number is 9007199254740992", func() error { in := fence; in.Fence = 1 << 53; return in.Validate() }},
	} {
		require.ErrorContains(t, row.bad(), row.want)
	}

	put.Version = "v1.4.2"
	require.ErrorIs(t, put.Validate(), engineversion.ErrInvalidSemver)
	status.To = runtime.StatusStarting
	require.ErrorIs(t, status.Validate(), runtime.ErrInvalidTransition)
}

// TestValidateDrift proves that the watch can only note differences of games that
// have a name, at a time, and only finish a pass that has an end.
func TestValidateDrift(t *testing.T) {
	now := time.Now()
	finding := drift.Finding{GameID: "g", Kind: drift.Missing}
	page := ports.NoteDriftInput{Found: []drift.Finding{finding}, InSync: []string{"h"}, Now: now}
	end := ports.FinishPassInput{Pass: drift.Pass{ID: "run", StartedAt: now, FinishedAt: &now}, KeepSince: now}
	require.NoError(t, page.Validate())
	require.NoError(t, ports.NoteDriftInput{Now: now}.Validate())
	require.NoError(t, end.Validate())
	for _, row := range []struct {
		want string
		bad  func() error
	}{
		{"game id must not be empty", func() error {
			in := page
			in.Found = []drift.Finding{finding, {Kind: drift.Extra}}
			return in.Validate()
		}},
		{`kind "in_sync" is no difference`, func() error {
			in := page
			in.Found = []drift.Finding{finding, {GameID: "i", Kind: drift.InSync}}
			return in.Validate()
		}},
		{"game id must not be empty", func() error { in := page; in.InSync = []string{"h", "	"}; return in.Validate() }},
		{"now must not be zero", func() error { in := page; in.Now = time.Time{}; return in.Validate() }},
		{"pass id must not be empty", func() error { in := end; in.Pass.ID = " "; return in.Validate() }},
		{"started at and finished at", func() error { in := end; in.Pass.StartedAt = time.Time{}; return in.Validate() }},
		{"started at and finished at", func() error { in := end; in.Pass.FinishedAt = nil; return in.Validate() }},
		{"started at and finished at", func() error { in := end; in.Pass.FinishedAt = &time.Time{}; return in.Validate() }},
		{"must not be zero", func() error { in := end; in.KeepSince = time.Time{}; return in.Validate() }},
	} {
		require.ErrorContains(t, row.bad(), row.want)
	}
}

// TestValidatePages proves that no page is larger than the bound, and that a
// page's conditions are such that a row can meet them.
func TestValidatePages(t *testing.T) {
	now := time.Now()
	withLimit := map[string]func(limit int) error{
		"runtimes":   func(limit int) error { return ports.RuntimePageInput{Limit: limit}.Validate() },
		"due":        func(limit int) error { return ports.DuePageInput{At: now, Limit: limit}.Validate() },
		"operations": func(limit int) error { return ports.OperationPageInput{Limit: limit}.Validate() },
		"drift":      func(limit int) error { return ports.DriftPageInput{Limit: limit}.Validate() },
		"users":      func(limit int) error { return ports.VersionUsersInput{Version: "1.4.2", Limit: limit}.Validate() },
	}
	for name, validate := range withLimit {
		for _, limit := range []int{1, ports.MaxPage} {
			require.NoError(t, validate(limit), name)
		}
		for _, limit := range []int{-1, 0, ports.MaxPage + 1} {
			require.ErrorContains(t, validate(limit), "limit is", name)
		}
	}
	later := now.Add(1)
	require.NoError(t, ports.RuntimePageInput{Status: runtime.StatusFinished, Limit: 1}.Validate())
	require.ErrorContains(t, ports.RuntimePageInput{Status: "paused", Limit: 1}.Validate(), "status")
	require.ErrorContains(t, ports.DuePageInput{Limit: 1}.Validate(), "at must not be zero")
	require.NoError(t, ports.DriftPageInput{Kind: drift.Extra, BelowID: 1, Limit: 1}.Validate())
	require.ErrorContains(t, ports.DriftPageInput{Kind: drift.InSync, Limit: 1}.Validate(), "kind")
	require.ErrorContains(t, ports.DriftPageInput{BelowID: -1, Limit: 1}.Validate(), "below id must not be negative")
	require.NoError(t, ports.OperationPageInput{Outcome: operation.OutcomeFailure, Since: &now, Until: &later, Limit: 1}.Validate())
	require.ErrorContains(t, ports.OperationPageInput{Outcome: "perhaps", Limit: 1}.Validate(), "outcome")
	require.ErrorContains(t, ports.OperationPageInput{Since: &now, Until: &now, Limit: 1}.Validate(), "since must be before until")
}

// TestRTMError proves that an error shows its kind to errors.Is and its cause
// as well.
func TestRTMError(t *testing.T) {
	cause := errors.New("connection reset")
	for _, row := range []struct {
		err  *ports.RTMError
		want string
	}{
		{&ports.RTMError{Kind: ports.ErrRTMUnavailable, Err: cause}, "runtime manager unavailable: connection reset"},
		{&ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: http.StatusBadGateway}, "runtime manager unavailable: HTTP 502"},
		{
			&ports.RTMError{Kind: ports.ErrRTMUnavailable, Status: 503, Code: "busy", Message: "later"},
			"runtime manager unavailable: HTTP 503: busy: later",
		},
	} {
		require.ErrorIs(t, row.err, ports.ErrRTMUnavailable)
		require.Equal(t, row.want, row.err.Error())
	}
	require.ErrorIs(t, &ports.RTMError{Kind: ports.ErrRTMUnavailable, Err: cause}, cause)
	require.NotErrorIs(t, &ports.RTMError{Kind: ports.ErrRTMUnavailable}, ports.ErrRTMRejected)
}

// TestContainerRuns proves that only a running container on the image counts.
func TestContainerRuns(t *testing.T) {
	require.True(t, ports.Container{ImageRef: "i", Status: "running"}.Runs("i"))
	require.False(t, ports.Container{ImageRef: "i", Status: "exited"}.Runs("i"))
	require.False(t, ports.Container{ImageRef: "j", Status: "running"}.Runs("i"))
}
