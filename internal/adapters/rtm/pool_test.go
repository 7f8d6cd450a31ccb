package rtm_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"galaxy/gamemaster/internal/adapters/rtm"
)

// As many connections are kept as calls are made at once: calls that came to their
// end together do not have the next ones dial anew.
func TestConnectionsAreKept(t *testing.T) {
	const calls = rtm.DefaultCalls + 36
	var dialled atomic.Int64
	var together sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		together.Done()
		together.Wait()
		w.WriteHeader(http.StatusNotFound)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client, err := rtm.New(rtm.Options{BaseURL: server.URL, Calls: calls})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 3 {
		together.Add(calls)
		var group sync.WaitGroup
		for range calls {
			group.Go(func() { _, _ = client.Inspect(t.Context(), "game-1") })
		}
		group.Wait()
	}
	if got := dialled.Load(); got != calls {
		t.Errorf("%d connections were made for %d calls at once", got, calls)
	}
}
