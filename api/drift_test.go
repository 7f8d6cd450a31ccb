package api_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// somePass is a pass with something in every count.
func somePass() drift.Pass {
	return drift.Pass{ID: "run-9", StartedAt: moment, FinishedAt: later(1), Counts: drift.Counts{
		Checked: 120, InSync: 111, ImageDrift: 4, Missing: 3, Extra: 2, Skipped: 1, Unknown: 5,
	}}
}

const (
	passTimes = `{"id":"run-9","started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:01:00Z"`
	passJSON  = passTimes + `,"counts":{"checked":120,"in_sync":111,"image_drift":4,"missing":3,"extra":2,"skipped":1,"unknown":5}}`
)

// findingsFrom are n open findings that go down from id.
func findingsFrom(id int64, n int) []drift.Finding {
	all := make([]drift.Finding, 0, n)
	for i := range int64(n) {
		all = append(all, drift.Finding{
			ID: id - i, GameID: "demo-1", Kind: drift.Missing, RecordStatus: runtime.StatusRunning, FirstSeenAt: moment, LastSeenAt: moment,
		})
	}
	return all
}

// Every field of a finding and of a pass is told, key by key, also those of a
// container that is not there.
func TestDriftIsToldWhole(t *testing.T) {
	finding := drift.Finding{
		ID: 7, GameID: "demo-1", Kind: drift.ImageDrift, RecordStatus: runtime.StatusRunning, RecordVersion: "1.4.3",
		RecordImageRef: "engine:1.4.3", Container: drift.Container{ImageRef: "engine:1.4.2", Status: "up", Running: true},
		FirstSeenAt: moment, LastSeenAt: *later(1), ResolvedAt: later(2),
	}
	requireWhole(t, finding)
	requireWhole(t, somePass())
	requireWhole(t, somePass().Counts)
	h := build(t)
	h.drift.EXPECT().LastPass(gomock.Any()).Return(somePass(), nil)
	h.drift.EXPECT().PageDrift(gomock.Any(), ports.DriftPageInput{Limit: 101}).Return(append([]drift.Finding{finding}, findingsFrom(6, 1)...), nil)
	got := h.call(t, http.MethodGet, drifts, "")
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.JSONEq(t, `{"findings":[`+
		`{"id":7,"game_id":"demo-1","kind":"image_drift","record":{"status":"running","version":"1.4.3","image_ref":"engine:1.4.3"},`+
		`"container":{"image_ref":"engine:1.4.2","status":"up","running":true},"first_seen_at":"2026-03-01T12:00:00Z",`+
		`"last_seen_at":"2026-03-01T12:01:00Z","resolved_at":"2026-03-01T12:02:00Z"},`+
		`{"id":6,"game_id":"demo-1","kind":"missing","record":{"status":"running","version":"","image_ref":""},`+
		`"container":{"image_ref":"","status":"","running":false},"first_seen_at":"2026-03-01T12:00:00Z",`+
		`"last_seen_at":"2026-03-01T12:00:00Z","resolved_at":null}],"last_pass":`+passJSON+`}`, got.body)
}

// The list is asked for one finding more than it shows, below the last one of the
// page before, with all conditions.
func TestListDrift(t *testing.T) {
	h := build(t)
	h.drift.EXPECT().LastPass(gomock.Any()).Return(somePass(), nil).AnyTimes()
	asked := ports.DriftPageInput{GameID: "demo-1", Kind: drift.Missing, Resolved: true, Limit: 3}
	require.NoError(t, asked.Validate())
	h.drift.EXPECT().PageDrift(gomock.Any(), asked).Return(findingsFrom(9, 3), nil)
	target := drifts + "?game_id=demo-1&kind=missing&resolved=true&limit=2"
	got := h.call(t, http.MethodGet, target, "")
	require.Contains(t, got.body, `"id":8`)
	require.NotContains(t, got.body, `"id":7`)

	asked.BelowID = 8
	h.drift.EXPECT().PageDrift(gomock.Any(), asked).Return(findingsFrom(7, 2), nil)
	got = h.call(t, http.MethodGet, target+"&cursor="+got.next(t), "")
	require.Contains(t, got.body, `"id":6`)
	require.Empty(t, got.next(t), "two were all that was left")

	largest := ports.DriftPageInput{Limit: ports.MaxPage}
	require.NoError(t, largest.Validate())
	h.drift.EXPECT().PageDrift(gomock.Any(), largest)
	require.Equal(t, http.StatusOK, h.call(t, http.MethodGet, drifts+"?limit=1000&resolved=false", "").status)
}

// A watch that has never come to an end is told from one that found nothing, and
// a pass over no record at all from one whose counts are kept back.
func TestDriftTellsOfTheWatch(t *testing.T) {
	h := build(t)
	h.drift.EXPECT().PageDrift(gomock.Any(), gomock.Any()).AnyTimes()
	gomock.InOrder(
		h.drift.EXPECT().LastPass(gomock.Any()).Return(drift.Pass{}, drift.ErrNotFound),
		h.drift.EXPECT().LastPass(gomock.Any()).Return(somePass(), nil),
		h.drift.EXPECT().LastPass(gomock.Any()).Return(drift.Pass{ID: "run-9", StartedAt: moment, FinishedAt: later(1)}, nil),
	)
	require.JSONEq(t, `{"findings":[]}`, h.call(t, http.MethodGet, drifts, "").body)
	require.JSONEq(t, `{"findings":[],"last_pass":`+passJSON+`}`, h.call(t, http.MethodGet, drifts, "").body)
	require.JSONEq(t, `{"findings":[],"last_pass":`+passTimes+
		`,"counts":{"checked":0,"in_sync":0,"image_drift":0,"missing":0,"extra":0,"skipped":0,"unknown":0}}}`,
		h.call(t, http.MethodGet, drifts, "").body)
}

// A caller who is limited to some games sees the findings of those, and when the
// watch last ran, but not what it came to in the whole fleet.
func TestDriftKeepsToTheCallersGames(t *testing.T) {
	const token = "token-of-a-guest"
	h := build(t, passing(t, limited("guest", token, "demo-")))
	h.drift.EXPECT().LastPass(gomock.Any()).Return(somePass(), nil)
	h.drift.EXPECT().PageDrift(gomock.Any(), ports.DriftPageInput{GamePrefixes: []string{"demo-"}, Limit: 101})
	got := h.call(t, http.MethodGet, drifts, "", "Authorization", "Bearer "+token)
	require.JSONEq(t, `{"findings":[],"last_pass":`+passTimes+`}}`, got.body)
}

// A store that does not answer is a 503 without its words, and never an empty
// list.
func TestListDriftInVain(t *testing.T) {
	h := build(t)
	h.drift.EXPECT().LastPass(gomock.Any()).Return(drift.Pass{}, errors.New("canary"))
	got := h.call(t, http.MethodGet, drifts, "")
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
	h.drift.EXPECT().LastPass(gomock.Any()).Return(somePass(), nil)
	h.drift.EXPECT().PageDrift(gomock.Any(), gomock.Any()).Return(nil, errors.New("canary"))
	got = h.call(t, http.MethodGet, drifts, "")
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
}
