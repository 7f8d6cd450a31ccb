package drift_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/runtime"
)

// TestJudge proves, for every status, what a game's container may be: a table
// that has to be extended when a status is added.
func TestJudge(t *testing.T) {
	containers := map[string]drift.Container{
		"none":           {},
		"stopped":        {ImageRef: "engine:1", Status: "exited"},
		"stopped other":  {ImageRef: "engine:2", Status: "exited"},
		"running":        {ImageRef: "engine:1", Status: "running", Running: true},
		"running other":  {ImageRef: "engine:2", Status: "running", Running: true},
		"running letter": {ImageRef: "Engine:1", Status: "running", Running: true},
	}
	serving := map[string]drift.Kind{
		"none": drift.Missing, "stopped": drift.Missing, "stopped other": drift.Missing,
		"running": drift.InSync, "running other": drift.ImageDrift, "running letter": drift.ImageDrift,
	}
	starting := map[string]drift.Kind{
		"none": drift.InSync, "stopped": drift.InSync, "stopped other": drift.InSync,
		"running": drift.InSync, "running other": drift.ImageDrift, "running letter": drift.ImageDrift,
	}
	ended := map[string]drift.Kind{
		"none": drift.InSync, "stopped": drift.InSync, "stopped other": drift.InSync,
		"running": drift.Extra, "running other": drift.Extra, "running letter": drift.Extra,
	}
	want := map[runtime.Status]map[string]drift.Kind{
		runtime.StatusStarting:             starting,
		runtime.StatusRunning:              serving,
		runtime.StatusGenerationInProgress: serving,
		runtime.StatusGenerationFailed:     serving,
		runtime.StatusEngineUnreachable:    serving,
		runtime.StatusStopped:              ended,
		runtime.StatusFinished:             ended,
	}
	for _, status := range runtime.Statuses() {
		require.Contains(t, want, status)
		for name, container := range containers {
			record := runtime.RuntimeRecord{GameID: "g", Status: status, CurrentImageRef: "engine:1", CurrentEngineVersion: "1.0.0"}
			require.Equal(t, want[status][name], drift.Judge(record, container), "%s, %s", status, name)
		}
	}
}

// TestKinds proves that exactly the kinds of a difference are differences.
func TestKinds(t *testing.T) {
	require.Equal(t, []drift.Kind{drift.ImageDrift, drift.Missing, drift.Extra}, drift.Kinds())
	for _, kind := range drift.Kinds() {
		require.True(t, kind.IsDifference(), kind)
	}
	for _, kind := range []drift.Kind{drift.InSync, "", "martian"} {
		require.False(t, kind.IsDifference(), kind)
	}
}

// TestCount proves that every verdict has a count of its own, and that the
// records that were compared are the sum of them.
func TestCount(t *testing.T) {
	var counts drift.Counts
	for times, kind := range append(drift.Kinds(), drift.InSync) {
		for range times + 1 {
			counts.Count(kind)
		}
	}
	require.Equal(t, drift.Counts{Checked: 10, ImageDrift: 1, Missing: 2, Extra: 3, InSync: 4}, counts)
}

// TestAdd proves that no count is left out of a sum, not even one that is added
// to the struct one day, and that the summands stay as they are.
func TestAdd(t *testing.T) {
	var left, right, want drift.Counts
	for n := range reflect.TypeFor[drift.Counts]().NumField() {
		reflect.ValueOf(&left).Elem().Field(n).SetInt(int64(n + 1))
		reflect.ValueOf(&right).Elem().Field(n).SetInt(int64(100 * (n + 1)))
		reflect.ValueOf(&want).Elem().Field(n).SetInt(int64(101 * (n + 1)))
	}
	before := left
	require.Equal(t, want, left.Add(right))
	require.Equal(t, want, right.Add(left))
	require.Equal(t, before, left)
	require.Equal(t, left, left.Add(drift.Counts{}))
}

// TestJSON proves the shapes that answers and histories have: the counts of a
// pass beside its times, and nothing of a container that is not there.
func TestJSON(t *testing.T) {
	at := time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)
	pass, err := json.Marshal(drift.Pass{ID: "run", StartedAt: at, FinishedAt: &at, Counts: drift.Counts{Checked: 3, InSync: 2, Extra: 1}})
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"run","started_at":"2031-04-05T06:07:08Z","finished_at":"2031-04-05T06:07:08Z",
		"checked":3,"in_sync":2,"image_drift":0,"missing":0,"extra":1,"skipped":0,"unknown":0}`, string(pass))

	finding, err := json.Marshal(drift.Finding{
		ID: 7, GameID: "g", Kind: drift.Missing, RecordStatus: runtime.StatusRunning, RecordVersion: "1.0.0", RecordImageRef: "engine:1",
		FirstSeenAt: at, LastSeenAt: at,
	})
	require.NoError(t, err)
	require.JSONEq(t, `{"id":7,"game_id":"g","kind":"missing","record_status":"running","record_version":"1.0.0",
		"record_image_ref":"engine:1","container":{},"first_seen_at":"2031-04-05T06:07:08Z","last_seen_at":"2031-04-05T06:07:08Z"}`, string(finding))
}
