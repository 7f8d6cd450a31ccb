package ports_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	call := ports.RTMPatchInput{GameID: "g", ImageRef: "i", IdempotencyKey: "k"}
	for _, good := range []interface{ Validate() error }{status, scheduling, image, health, call} {
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
		{"idempotency key must not be empty", func() error { in := call; in.IdempotencyKey = ""; return in.Validate() }},
	} {
		require.ErrorContains(t, row.bad(), row.want)
	}

	status.To = runtime.StatusStarting
	require.ErrorIs(t, status.Validate(), runtime.ErrInvalidTransition)
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
