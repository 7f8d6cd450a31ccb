package api_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

const audit = "/api/v1/internal/operations"

// recordsFrom are n records, the first of game-<first>; each is a minute older
// than the one before and due a minute later.
func recordsFrom(first, n int) []runtime.RuntimeRecord {
	all := make([]runtime.RuntimeRecord, 0, n)
	for i := range n {
		row := record(fmt.Sprintf("game-%d", first+i))
		row.CreatedAt = moment.Add(-time.Duration(first+i) * time.Minute)
		due := moment.Add(time.Duration(first+i) * time.Minute)
		row.NextGenerationAt = &due
		all = append(all, row)
	}
	return all
}

// entriesFrom are n audit rows that go down from id.
func entriesFrom(id int64, n int) []operation.OperationEntry {
	all := make([]operation.OperationEntry, 0, n)
	for i := range int64(n) {
		all = append(all, operation.OperationEntry{
			ID: id - i, GameID: "demo-1", OpKind: operation.OpKindPatch, OpSource: operation.OpSourceAdminRest,
			Outcome: operation.OutcomeSuccess, StartedAt: moment.Add(time.Duration(id-i) * time.Second),
		})
	}
	return all
}

// next returns the cursor of the answer; empty when there is none, also not an
// empty one.
func (r reply) next(t *testing.T) string {
	t.Helper()
	var page map[string]any
	r.decode(t, &page)
	cursor, given := page["next_cursor"]
	if !given {
		return ""
	}
	require.NotEmpty(t, cursor)
	return cursor.(string)
}

// The list is asked for one record more than it shows, behind the last one of
// the page before; there is a cursor only when there is more.
func TestListRuntimes(t *testing.T) {
	h := build(t)
	h.pages.EXPECT().PageRuntimes(gomock.Any(), ports.RuntimePageInput{Limit: 3}).Return(recordsFrom(1, 3), nil)
	got := h.call(t, http.MethodGet, games+"?limit=2", "")
	require.Equal(t, http.StatusOK, got.status, got.body)
	var page contract.RuntimePage
	got.decode(t, &page)
	require.Len(t, page.Runtimes, 2)
	require.Equal(t, "game-1", page.Runtimes[0].GameID)
	require.Equal(t, "game-2", page.Runtimes[1].GameID)

	h.pages.EXPECT().PageRuntimes(gomock.Any(), ports.RuntimePageInput{
		Limit: 3, After: &ports.RuntimePosition{CreatedAt: moment.Add(-2 * time.Minute), GameID: "game-2"},
	}).Return(recordsFrom(3, 2), nil)
	got = h.call(t, http.MethodGet, games+"?limit=2&cursor="+got.next(t), "")
	require.Contains(t, got.body, "game-4")
	require.Empty(t, got.next(t), "two were all that was left")

	h.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).Return(nil, errors.New("canary"))
	got = h.call(t, http.MethodGet, games, "")
	got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
	require.NotContains(t, got.body, "canary")
}

// Every status can be asked for, a page has a hundred records unless it is said
// and a thousand at most, and an empty list is a list.
func TestListRuntimesByStatus(t *testing.T) {
	h := build(t)
	for _, status := range runtime.Statuses() {
		h.pages.EXPECT().PageRuntimes(gomock.Any(), ports.RuntimePageInput{Status: status, Limit: 101})
		got := h.call(t, http.MethodGet, games+"?status="+string(status), "")
		require.JSONEq(t, `{"runtimes":[]}`, got.body)
	}
	h.pages.EXPECT().PageRuntimes(gomock.Any(), ports.RuntimePageInput{Limit: ports.MaxPage})
	require.Equal(t, http.StatusOK, h.call(t, http.MethodGet, games+"?limit=1000", "").status)
}

// What is due is asked for at the instant that was given, or now; a cursor needs
// the instant of its first page.
func TestListDueRuntimes(t *testing.T) {
	h := build(t)
	h.pages.EXPECT().PageDueRunning(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ any, input ports.DuePageInput) ([]runtime.RuntimeRecord, error) {
			require.WithinDuration(t, time.Now(), input.At, time.Minute)
			require.Equal(t, time.UTC, input.At.Location())
			require.Equal(t, ports.DuePageInput{At: input.At, Limit: 101}, input)
			return recordsFrom(1, 101), nil
		})
	got := h.call(t, http.MethodGet, games+"/due", "")
	require.Equal(t, 100, strings.Count(got.body, `"game_id"`))
	cursor := got.next(t)
	h.call(t, http.MethodGet, games+"/due?cursor="+cursor, "").blames(t, "at")

	at := "&at=2026-03-01T14:00:00%2B02:00"
	h.pages.EXPECT().PageDueRunning(gomock.Any(), ports.DuePageInput{
		At: moment, Limit: 2, After: &ports.DuePosition{NextGenerationAt: moment.Add(100 * time.Minute), GameID: "game-100"},
	}).Return(recordsFrom(101, 1), nil)
	got = h.call(t, http.MethodGet, games+"/due?limit=1&cursor="+cursor+at, "")
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.Contains(t, got.body, "game-101")
	require.Empty(t, got.next(t))
}

// The audit rows of a game, and of all of them, page by page; an empty list is a
// list.
func TestListOperations(t *testing.T) {
	for path, gameID := range map[string]string{demo + "/operations": "demo-1", audit: ""} {
		h := build(t)
		h.audit.EXPECT().PageOperations(gomock.Any(), ports.OperationPageInput{GameID: gameID, Limit: 2}).Return(entriesFrom(7, 2), nil)
		got := h.call(t, http.MethodGet, path+"?limit=1", "")
		require.Equal(t, http.StatusOK, got.status, got.body)
		require.JSONEq(t, `{"next_cursor":"`+got.next(t)+`","operations":[{"id":7,"game_id":"demo-1","op_kind":"patch",`+
			`"op_source":"admin_rest","source_ref":"","actor":"","outcome":"success","error_code":"","error_message":"",`+
			`"started_at":"2026-03-01T12:00:07Z","finished_at":null,"patch_id":"","run_id":"","reason":"","noop":false,`+
			`"from_version":"","from_image_ref":"","to_version":"","to_image_ref":"","undo":""}]}`, got.body)
		h.audit.EXPECT().PageOperations(gomock.Any(), ports.OperationPageInput{
			GameID: gameID, Limit: 101, After: &ports.OperationPosition{StartedAt: moment.Add(7 * time.Second), ID: 7},
		})
		got = h.call(t, http.MethodGet, path+"?cursor="+got.next(t), "")
		require.JSONEq(t, `{"operations":[]}`, got.body)
		h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).Return(nil, errors.New("canary"))
		h.call(t, http.MethodGet, path, "").refused(t, http.StatusServiceUnavailable, "service_unavailable")
	}
}

// All filters of the audit log reach the store, in UTC; a span that holds
// nothing is refused.
func TestFilterOperations(t *testing.T) {
	h := build(t)
	later := moment.Add(time.Hour)
	h.audit.EXPECT().PageOperations(gomock.Any(), ports.OperationPageInput{
		Outcome: operation.OutcomeFailure, ErrorCode: "conflict", Since: &moment, Until: &later, Limit: 101,
	})
	got := h.call(t, http.MethodGet, audit+"?outcome=failure&error_code=conflict&since=2026-03-01T12:00:00Z&until=2026-03-01T14:00:00%2B01:00", "")
	require.Equal(t, http.StatusOK, got.status, got.body)
	for _, until := range []string{"2026-03-01T12:00:00Z", "2026-03-01T11:59:59.999999Z", "2026-03-01T13:00:00%2B02:00"} {
		h.call(t, http.MethodGet, audit+"?since=2026-03-01T12:00:00Z&until="+until, "").blames(t, "until")
	}
}

// A cursor that nobody gave out, or that is of another list, is refused by name;
// no store is asked.
func TestBadCursors(t *testing.T) {
	byTime := api.EncodeCursor(api.Cursor{Time: moment, Key: "demo-1", List: "runtimes"})
	due := api.EncodeCursor(api.Cursor{Time: moment, Key: "demo-1", List: "due"})
	byID := api.EncodeCursor(api.Cursor{Time: moment, ID: 7, List: "operations"})
	token := api.EncodeCursor(api.Cursor{Page: []byte("next"), List: "open"})
	finding := api.EncodeCursor(api.Cursor{ID: 7, List: "drift"})
	at := "&at=2026-03-01T12:00:00Z"
	for path, fit := range map[string]string{
		games + "?cursor=": byTime, games + "/due?limit=1" + at + "&cursor=": due, demo + "/operations?cursor=": byID,
		audit + "?cursor=": byID, patches + "?cursor=": token, patches + "?state=closed&cursor=": byID, drifts + "?cursor=": finding,
	} {
		everything := api.Cursor{Time: moment, Key: "demo-1", ID: 7, Page: []byte("next"), List: listOf(t, fit)}
		for _, cursor := range []string{
			"x", "e30", "bnVsbA", fit + "=", fit[:len(fit)-2], "%20" + fit, reencoded(t, fit, `{"x":1,`, ""), reencoded(t, fit, "{", "{}"), api.EncodeCursor(everything),
			api.EncodeCursor(api.Cursor{List: listOf(t, fit)}), byTime, due, byID, token, finding,
		} {
			h := build(t)
			if cursor == fit {
				h.willing()
				require.Equal(t, http.StatusOK, h.call(t, http.MethodGet, path+cursor, "").status)
				continue
			}
			h.call(t, http.MethodGet, path+cursor, "").blames(t, "cursor")
			h.patcher.untouched(t)
		}
	}
}

func listOf(t *testing.T, cursor string) string {
	t.Helper()
	read, err := api.DecodeCursor(cursor)
	require.NoError(t, err)
	return read.List
}

// reencoded is the cursor with another beginning of its JSON, and another end.
func reencoded(t *testing.T, cursor, begin, end string) string {
	t.Helper()
	encoded, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString([]byte(begin + string(encoded[1:]) + end))
}

// Open patches are listed as the patcher has them, with its own token for a
// cursor.
func TestListOpenPatches(t *testing.T) {
	h := build(t)
	handle := handleFor(somePatch)
	h.patcher.list = func(_ context.Context, query patch.OpenQuery) (patch.OpenPage, error) {
		if len(query.PageToken) > 0 {
			return patch.OpenPage{}, nil
		}
		return patch.OpenPage{
			Patches: []patch.Open{
				{Handle: handle, Version: "1.4.3", Phase: patch.PhaseNeedsOperator, Actor: "ops", StartedAt: moment},
				{Handle: patch.Handle{GameID: "by-hand", WorkflowID: "patch-runtime/by-hand", RunID: "run-2"}, Version: "1.4.4"},
				{Handle: handleFor(somePatch), Reconciles: true, Mode: patch.ModeAdopt, StartedAt: moment},
				{Handle: handleFor(somePatch), Reconciles: true},
			},
			NextPageToken: []byte{0, 255},
		}, nil
	}
	got := h.call(t, http.MethodGet, patches+"?limit=2&game_id=demo-1&state=open", "")
	require.Equal(t, http.StatusOK, got.status, got.body)
	cursor := got.next(t)
	require.JSONEq(t, `{"next_cursor":"`+cursor+`","patches":[`+
		`{"patch_id":"`+somePatch+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1","state":"open",`+
		`"to":{"version":"1.4.3","image_ref":""},"actor":"ops","phase":"needs_operator","started_at":"2026-03-01T12:00:00Z"},`+
		`{"patch_id":"","workflow_id":"patch-runtime/by-hand","run_id":"run-2","game_id":"by-hand","state":"open",`+
		`"to":{"version":"1.4.4","image_ref":""}},`+
		`{"patch_id":"`+somePatch+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1","state":"open",`+
		`"kind":"reconcile","mode":"adopt","started_at":"2026-03-01T12:00:00Z"},`+
		`{"patch_id":"`+somePatch+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1","state":"open",`+
		`"kind":"reconcile"}]}`, got.body)
	got = h.call(t, http.MethodGet, patches+"?limit=1000&cursor="+cursor, "")
	require.JSONEq(t, `{"patches":[]}`, got.body)
	require.Equal(t, []patch.OpenQuery{
		{GameID: "demo-1", Limit: 2}, {Limit: 1000, PageToken: []byte{0, 255}},
	}, h.patcher.queries)
}

// A token that the patcher does not take is the cursor's fault; when it cannot
// be reached, that is told without its words.
func TestListOpenPatchesInVain(t *testing.T) {
	cursor := api.EncodeCursor(api.Cursor{Page: []byte("old"), List: "open"})
	h := build(t)
	h.patcher.list = func(context.Context, patch.OpenQuery) (patch.OpenPage, error) {
		return patch.OpenPage{}, &patch.Refusal{Code: patch.CodeInvalidRequest, Field: "page_token", Message: "page_token: canary"}
	}
	require.NotContains(t, h.call(t, http.MethodGet, patches+"?cursor="+cursor, "").blames(t, "cursor").Detail, "canary")
	for _, err := range []error{
		errors.New("canary"), &patch.Refusal{Code: patch.CodeServiceUnavailable, Message: "canary"},
	} {
		h.patcher.list = func(context.Context, patch.OpenQuery) (patch.OpenPage, error) { return patch.OpenPage{}, err }
		got := h.call(t, http.MethodGet, patches, "")
		got.refused(t, http.StatusServiceUnavailable, "service_unavailable")
		require.NotContains(t, got.body, "canary")
	}
}

// Closed patches are told from their audit rows, one for each run, with who
// asked for them.
func TestListClosedPatches(t *testing.T) {
	h := build(t)
	finished := moment.Add(time.Minute)
	rows := []operation.OperationEntry{
		{
			ID: 2, GameID: "demo-1", OpKind: operation.OpKindPatch, PatchID: somePatch, RunID: "run-2", Actor: "ops", Outcome: operation.OutcomeFailure,
			ErrorCode: "conflict", ErrorMessage: "it changed", StartedAt: moment, FinishedAt: &finished,
			FromVersion: "1.4.2", FromImageRef: "engine:1.4.2", ToVersion: "1.4.3", ToImageRef: "engine:1.4.3", Undo: "put back",
		},
		{ID: 1, GameID: "demo-1", OpKind: operation.OpKindReconcile, PatchID: somePatch, RunID: "run-1", Outcome: operation.OutcomeSuccess, Noop: true, StartedAt: moment, FinishedAt: &finished},
	}
	h.audit.EXPECT().PageOperations(gomock.Any(), ports.OperationPageInput{GameID: "demo-1", Limit: 2}).Return(rows, nil)
	got := h.call(t, http.MethodGet, patches+"?state=closed&game_id=demo-1&limit=1", "")
	require.Equal(t, http.StatusOK, got.status, got.body)
	times := `"started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:01:00Z"`
	require.JSONEq(t, `{"next_cursor":"`+got.next(t)+`","patches":[`+
		`{"patch_id":"`+somePatch+`","workflow_id":"patch-runtime/demo-1","run_id":"run-2","game_id":"demo-1","state":"closed",`+
		`"outcome":"failure","code":"conflict","message":"it changed","noop":false,"actor":"ops",`+imagesJSON+`,`+
		`"undo":{"told":"put back"},`+times+`}]}`, got.body)
	h.audit.EXPECT().PageOperations(gomock.Any(), ports.OperationPageInput{
		Limit: 101, After: &ports.OperationPosition{StartedAt: moment, ID: 2},
	}).Return(rows[1:], nil)
	got = h.call(t, http.MethodGet, patches+"?state=closed&cursor="+got.next(t), "")
	require.JSONEq(t, `{"patches":[{"patch_id":"`+somePatch+`","workflow_id":"patch-runtime/demo-1","run_id":"run-1","game_id":"demo-1",`+
		`"state":"closed","kind":"reconcile","outcome":"success","noop":true,`+times+`}]}`, got.body)
	h.patcher.untouched(t)
}

// Limits are told in words that mend them.
func TestLimitIsTold(t *testing.T) {
	h := build(t)
	for _, limit := range []string{"0", "1001", "-1", "+5", "1.0", "0x10", strconv.FormatUint(1<<63, 10), "%D9%A1"} {
		problem := h.call(t, http.MethodGet, games+"?limit="+strings.Replace(limit, "+", "%2B", 1), "").blames(t, "limit")
		require.Equal(t, "limit: want a whole number from 1 to 1000", problem.Detail)
	}
}
