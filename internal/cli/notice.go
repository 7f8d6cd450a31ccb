package cli

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"galaxy/gamemaster/client"
)

// readNotice is after how long a read that has no answer yet is told of: the API
// answers within a second as a rule, and nobody should wonder for longer than
// that a few times over.
const readNotice = 3 * time.Second

// notifier tells a person at a terminal for what a read waits, when it takes
// long. It says nothing elsewhere, nor while a frame is drawn, which has its own
// words and would be broken by a line in between.
type notifier struct {
	http.RoundTripper
	p      *process
	server string
}

// RoundTrip sends the request as the transport below does.
func (n *notifier) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodGet || !n.p.tells {
		return n.RoundTripper.RoundTrip(request)
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(cmp.Or(n.p.noticeAfter, readNotice))
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			if !n.p.drawing.Load() {
				fmt.Fprintf(n.p.stderr, "no answer from %s yet, waiting for up to %s\n", printable(n.server), cmp.Or(n.p.reads, client.ReadTimeout))
			}
		}
	}()
	// Nothing is written once the command goes on.
	defer func() { close(done); <-ended }()
	return n.RoundTripper.RoundTrip(request)
}
