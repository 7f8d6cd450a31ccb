package rtmsim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"galaxy/gamemaster/internal/devstack/rtmsim"
)

// log is the whole log, as far as one page goes.
func (b *bench) log() []rtmsim.LogEntry {
	b.Helper()
	page, err := b.sim.Log(rtmsim.LogQuery{Limit: 10_000})
	b.must(err)
	return page.Entries
}

// Each call leaves one entry that says what was asked, what became of it and
// what was answered, in order of arrival; probes and the control API leave none.
func TestLog(t *testing.T) {
	b := running(t)
	b.ask("GET", contract+"_", "")
	b.ask("GET", "/sim/runtimes", "")
	b.patch(game, newImage, "k0")
	b.put("patch", "applied_then_status", `,"status":503,"name":"lost answer"`)
	b.patchAs(5, newImage, "k1")
	b.patchAs(5, newImage, "k1")
	b.patchAs(5, oldImage, "k1")
	b.patchAs(4, newImage, "k2")
	b.patch("nobody", newImage, "k3")
	b.ask("GET", contract+game, "")
	b.fence(game, 6)
	b.put("fence", "reset", "")
	_, _ = b.try("PUT", contract+game+"/fence", `{"fence":7}`)
	b.ask("POST", contract+game+"/patch", "garbage", "Idempotency-Key", strings.Repeat("k", 300))
	b.put("patch", "lie", "")
	b.patchAs(7, oldImage, "k4")

	const none, applied, replayed, refused = rtmsim.EffectNone, rtmsim.EffectApplied, rtmsim.EffectReplayed, rtmsim.EffectRefused
	patch := func(image, key string, fence int64) rtmsim.LogEntry {
		return rtmsim.LogEntry{GameID: game, Op: rtmsim.OpPatch, ImageRef: image, IdempotencyKey: key, Fence: fence}
	}
	ended := func(entry rtmsim.LogEntry, effect rtmsim.Effect, status int) rtmsim.LogEntry {
		entry.Effect, entry.Status = effect, status
		return entry
	}
	lost, lied, nobody := patch(newImage, "k1", 5), patch(oldImage, "k4", 7), patch(newImage, "k3", 0)
	lost.Fault, lost.FaultName, lied.Fault, nobody.GameID = rtmsim.ModeAppliedThenStatus, "lost answer", rtmsim.ModeLie, "nobody"
	look := rtmsim.LogEntry{GameID: game, Op: rtmsim.OpInspect}
	cut := rtmsim.LogEntry{GameID: game, Op: rtmsim.OpFence, Fence: 7, Fault: rtmsim.ModeReset}
	b.wantLog([]rtmsim.LogEntry{
		ended(patch(newImage, "k0", 0), applied, 200),
		ended(lost, applied, 503),
		ended(patch(newImage, "k1", 5), replayed, 200),
		ended(patch(oldImage, "k1", 5), refused, 422),
		ended(patch(newImage, "k2", 4), refused, 412),
		ended(nobody, refused, 404),
		ended(look, none, 200),
		ended(rtmsim.LogEntry{GameID: game, Op: rtmsim.OpFence, Fence: 6}, applied, 200),
		ended(cut, none, 0),
		ended(patch("", strings.Repeat("k", 255), 0), refused, 400),
		ended(lied, none, 200),
	})
}

// wantLog compares the log with want, whose numbers and times are filled in as
// they have to be when one call follows the other.
func (b *bench) wantLog(want []rtmsim.LogEntry) {
	b.Helper()
	got := b.log()
	if len(got) != len(want) {
		b.Fatalf("%d entries, want %d: %+v", len(got), len(want), got)
	}
	order := int64(0)
	next := func() int64 { order++; return order }
	for i, entry := range got {
		expected := want[i]
		expected.Seq, expected.ArrivedOrder = int64(i+1), next()
		if expected.Effect == rtmsim.EffectApplied {
			expected.LandedOrder = next()
		}
		expected.EndedOrder = next()
		age := time.Since(entry.ArrivedAt)
		if landed := entry.LandedAt != nil; age < 0 || age > time.Minute || landed != (expected.LandedOrder > 0) {
			b.Errorf("entry %d: arrived %s, landed %v", i, entry.ArrivedAt, entry.LandedAt)
		}
		entry.ArrivedAt, entry.LandedAt = time.Time{}, nil
		if entry != expected {
			b.Errorf("entry %d = %+v\nwant %+v", i, entry, expected)
		}
	}
}

// The entry is there while its call is under way, and completed as it goes on:
// first the effect, then the end. The control API says it in the same words.
func TestLogOfACallUnderWay(t *testing.T) {
	b := running(t)
	stopped := b.stopClock()
	b.put("patch", "slow", `,"delay_ms":2500,"name":"late"`)
	b.put("patch", "applied_then_hang", "")
	slow := b.send("slow")
	defer slow.leave()
	<-stopped.waits
	hang := b.send("hang")
	<-stopped.waits
	entries := b.log()
	if entry := entries[0]; entry.EndedOrder != 0 || entry.LandedOrder != 0 || entry.Effect != rtmsim.EffectNone || entry.FaultName != "late" {
		t.Errorf("slow = %+v, want it under way", entry)
	}
	if entry := entries[1]; entry.EndedOrder != 0 || entry.LandedOrder != 3 || entry.Effect != rtmsim.EffectApplied {
		t.Errorf("hang = %+v, want it landed and under way", entry)
	}
	found, _ := b.sim.Runtime(game)
	if !entries[1].LandedAt.Equal(found.History[0].At) {
		t.Errorf("landed at %s, recreated at %s", entries[1].LandedAt, found.History[0].At)
	}
	var said rtmsim.LogPage
	b.must(json.Unmarshal([]byte(b.ask("GET", "/sim/log", "").body), &said))
	if !reflect.DeepEqual(said.Entries[0], entries[0]) {
		t.Errorf("the control API says %+v of %+v", said.Entries[0], entries[0])
	}
	if body := b.ask("GET", "/sim/log?limit=1", "").body; !strings.Contains(body, `"landed_at":null,"arrived_order":1,"landed_order":0,"ended_order":0,"status":0,"effect":"none"`) {
		t.Errorf("on the wire: %s", body)
	}
	close(stopped.over)
	b.must(<-slow.ended)
	hang.leave()
	<-hang.ended
	b.server.Close() // returns when the handlers have
	entries = b.log()
	if entry := entries[0]; entry.Status != 200 || entry.Effect != rtmsim.EffectApplied || entry.LandedOrder >= entry.EndedOrder || entry.LandedOrder < 4 {
		t.Errorf("slow = %+v, want it landed last and answered", entry)
	}
	if entry := entries[1]; entry.Status != 0 || entry.EndedOrder == 0 {
		t.Errorf("hang = %+v, want it cut", entry)
	}
	if !overlapped(entries[0], entries[1]) || !overlapped(entries[1], entries[0]) {
		t.Error("the log does not show that the recreates overlapped")
	}
}

// reader is a client that reads the log before the first byte of its answer.
type reader struct {
	nowhere
	read func(status int)
}

func (r reader) WriteHeader(status int) { r.read(status) }

// An entry is complete before anybody can have its answer.
func TestLogKnowsWhatAClientKnows(t *testing.T) {
	b := running(t)
	read := 0
	for i, request := range []*http.Request{
		b.request("PUT", contract+game+"/fence", `{"fence":5}`),
		b.request("PUT", contract+game+"/fence", `{"fence":4}`),
		b.request("POST", contract+game+"/patch", `{"image_ref":"`+newImage+`"}`, "Idempotency-Key", "k", "Fencing-Token", "5"),
		b.request("GET", contract+game, ""),
	} {
		b.sim.ServeHTTP(reader{read: func(status int) {
			if entry := b.log()[i]; entry.Status != status || entry.EndedOrder == 0 {
				t.Errorf("answering %d, the log has %+v", status, entry)
			}
			read++
		}}, request)
	}
	if read != 4 {
		t.Errorf("%d answers, want 4", read)
	}
}

// overlapped is the rule of the package's documentation.
func overlapped(a, b rtmsim.LogEntry) bool {
	return a.GameID == b.GameID && a.Effect == rtmsim.EffectApplied && b.Effect == rtmsim.EffectApplied &&
		a.Op == rtmsim.OpPatch && b.Op == rtmsim.OpPatch &&
		a.ArrivedOrder < b.LandedOrder && b.ArrivedOrder < a.LandedOrder
}

// The log is read page by page, of all games or of one, to an end that a reader
// can tell.
func TestLogPages(t *testing.T) {
	b := newBench(t)
	for i := range 7 {
		b.ask("GET", contract+fmt.Sprintf("game-%d", i%2), "")
	}
	for _, test := range []struct {
		query rtmsim.LogQuery
		path  string
		want  []int64
		last  int64
	}{
		{rtmsim.LogQuery{}, "", []int64{1, 2, 3, 4, 5, 6, 7}, 7},
		{rtmsim.LogQuery{Limit: 3}, "?limit=3", []int64{1, 2, 3}, 3},
		{rtmsim.LogQuery{Limit: 3, After: 6}, "?limit=3&after=6", []int64{7}, 7},
		{rtmsim.LogQuery{After: 7}, "?after=7", []int64{}, 7},
		{rtmsim.LogQuery{After: 70}, "?after=70", []int64{}, 7},
		{rtmsim.LogQuery{GameID: "game-1"}, "?game_id=game-1", []int64{2, 4, 6}, 7},
		{rtmsim.LogQuery{GameID: "game-1", Limit: 1, After: 2}, "?game_id=game-1&limit=1&after=2", []int64{4}, 4},
		{rtmsim.LogQuery{GameID: "nobody"}, "?game_id=nobody", []int64{}, 7},
	} {
		page, err := b.sim.Log(test.query)
		b.must(err)
		seqs := []int64{}
		for _, entry := range page.Entries {
			seqs = append(seqs, entry.Seq)
		}
		if !reflect.DeepEqual(seqs, test.want) || page.Last != test.last || page.Dropped != 0 {
			t.Errorf("%+v = %v, last %d, dropped %d, want %v and %d", test.query, seqs, page.Last, page.Dropped, test.want, test.last)
		}
		same, err := json.Marshal(page)
		b.must(err)
		b.wantAnswer(b.ask("GET", "/sim/log"+test.path, ""), 200, string(same))
	}
	for query, field := range map[string]string{
		"after=-1": "after", "after=x": "after", "limit=-1": "limit", "limit=10001": "limit", "limit=1.5": "limit",
		"limit=": "limit", "after=1&after=2": "after", "game=game-1": "game", "game_id=%zz": "query",
		"limit=99999999999999999999": "limit",
	} {
		b.wantError(b.ask("GET", "/sim/log?"+query, ""), 400, "invalid_request", field+": ")
	}
}

// The log has a bound. What it loses are the oldest entries, which it counts;
// also an entry whose call is still under way.
func TestLogIsBounded(t *testing.T) {
	b := running(t)
	b.sim.SetLogLimit(3)
	stopped := b.stopClock()
	b.put("patch", "slow", `,"delay_ms":2500`)
	call := b.send("k")
	defer call.leave()
	<-stopped.waits
	for i := range 7 {
		b.ask("GET", contract+fmt.Sprintf("game-%d", i+2), "")
	}
	close(stopped.over)
	b.must(<-call.ended)
	page, err := b.sim.Log(rtmsim.LogQuery{After: 1})
	b.must(err)
	if len(page.Entries) != 3 || page.Dropped != 5 || page.Last != 8 {
		t.Fatalf("page = %+v, want the last 3 of 8", page)
	}
	for i, entry := range page.Entries {
		if entry.Seq != int64(i+6) || entry.GameID != fmt.Sprintf("game-%d", i+6) || entry.Op != rtmsim.OpInspect || entry.Status != 404 {
			t.Errorf("entry %d = %+v", i, entry)
		}
	}
}

// However many calls race, with numbers that rise while slow recreates are under
// way: what has an answer is in the log, what the log says landed is what the
// simulator recreated, nothing lands below a number that was seen before, and no
// two recreates of different numbers overlap.
func TestLogUnderRace(t *testing.T) {
	const callers, calls = 8, 30
	b := running(t)
	b.must(b.sim.PutFault(fault(`{"game_id":"*","op":"patch","mode":"slow","delay_ms":1,"times":120}`)))
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range calls {
				key, number := fmt.Sprintf("k-%d-%d", caller, i), int64(1+i*callers+caller*7)
				var got answer
				if i%10 == 9 {
					got = b.fence(game, number)
				} else {
					got = b.patchAs(number, newImage, key)
				}
				if got.status != 200 && got.status != 412 {
					t.Errorf("answer = %d %s", got.status, got.body)
				}
				for _, entry := range b.log() {
					if entry.IdempotencyKey == key && entry.Status != got.status {
						t.Errorf("answered %d, the log has %+v", got.status, entry)
					}
				}
			}
		})
	}
	all.Wait()
	entries := b.log()
	if len(entries) != callers*calls {
		t.Errorf("%d entries for %d calls", len(entries), callers*calls)
	}
	found, _ := b.sim.Runtime(game)
	wantFencedLog(t, entries, found)
}

// wantFencedLog checks the promises of the log for the calls of one game.
func wantFencedLog(t *testing.T, entries []rtmsim.LogEntry, found rtmsim.Runtime) {
	t.Helper()
	recreates, orders := map[string]bool{}, map[int64]bool{}
	for _, entry := range entries {
		for _, order := range []int64{entry.ArrivedOrder, entry.LandedOrder, entry.EndedOrder} {
			if order != 0 && orders[order] {
				t.Errorf("two events have number %d", order)
			}
			orders[order] = true
		}
		if entry.Effect != rtmsim.EffectApplied {
			continue
		}
		if entry.Op == rtmsim.OpPatch {
			recreates[entry.IdempotencyKey] = true
		}
		for _, other := range entries {
			seen := other.ArrivedOrder // of a fence, the number is seen when it lands
			if other.Op == rtmsim.OpFence {
				seen = other.LandedOrder
			}
			if seen != 0 && other.Fence > entry.Fence && seen < entry.LandedOrder {
				t.Errorf("%+v landed although %+v had been seen", entry, other)
			}
			if other.Fence != entry.Fence && overlapped(entry, other) {
				t.Errorf("%+v and %+v overlapped", entry, other)
			}
		}
	}
	if len(recreates) != found.Recreates || found.Recreates == 0 {
		t.Errorf("%d recreates in the log, %d at the container", len(recreates), found.Recreates)
	}
	for _, done := range found.History {
		if !recreates[done.IdempotencyKey] {
			t.Errorf("the log does not know the recreate of %s", done.IdempotencyKey)
		}
	}
}
