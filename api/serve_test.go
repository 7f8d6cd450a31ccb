package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/patch"
)

// pipes is a listener in memory, so that a whole server runs on the bubble's
// clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, errors.New("refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// running is a house whose server serves on pipes.
type running struct {
	*house
	client *http.Client
	pipes  *pipes
	stop   context.CancelFunc
	ended  chan error
}

func run(t *testing.T, change ...func(*api.Options)) *running {
	t.Helper()
	r := &running{house: build(t, change...), pipes: newPipes(), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	r.client = &http.Client{Transport: &http.Transport{DialContext: r.pipes.dial}}
	go func() { r.ended <- r.server.Serve(ctx, r.pipes) }()
	return r
}

// end stops the server and returns what Serve returned.
func (r *running) end() error {
	r.stop()
	err := <-r.ended
	r.client.CloseIdleConnections()
	return err
}

// post sends a good request in the background.
func (r *running) post(t *testing.T, headers ...string) <-chan reply {
	t.Helper()
	answers := make(chan reply, 1)
	go func() {
		defer close(answers)
		request := ask(t, http.MethodPost, "http://localhost"+patchPath, goodBody, headers...)
		response, err := r.client.Do(request)
		if err != nil {
			return
		}
		answers <- readReply(t, request, response)
	}()
	return answers
}

// The longest wait is within every timeout of the connection.
func TestLongestWaitIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		r.patcher.await = untilDone
		began := time.Now()
		got, answered := <-r.post(t, "Prefer", "wait=60")
		require.True(t, answered)
		require.Equal(t, http.StatusAccepted, got.status)
		require.Equal(t, time.Minute, time.Since(began))
		require.NoError(t, r.end())
	})
}

// Who waits when the server stops gets a 202 at once, with the place to look.
func TestDrainSendsWaitersAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		r.patcher.await = untilDone
		var answers []<-chan reply
		for range 20 {
			answers = append(answers, r.post(t, "Prefer", "wait=60"))
		}
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.end())
		require.Less(t, time.Since(began), time.Second)
		for _, answer := range answers {
			got := <-answer
			require.Equal(t, http.StatusAccepted, got.status)
			require.NotEmpty(t, got.header.Get("Location"))
		}
		got := r.probe(t, "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, got.status)
		require.Contains(t, got.body, "draining")
		require.Equal(t, http.StatusOK, r.probe(t, "/healthz").status)
		_, answered := <-r.post(t)
		require.False(t, answered)
	})
}

// What is under way when the server stops is finished: the start that had
// begun is told by a 202.
func TestDrainFinishesStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		r.patcher.await = untilDone
		r.patcher.start = func(ctx context.Context, request patch.Request) (patch.Handle, error) {
			select {
			case <-time.After(5 * time.Second):
				return handleFor(request.PatchID), nil
			case <-ctx.Done():
				return patch.Handle{}, ctx.Err()
			}
		}
		answer := r.post(t)
		synctest.Wait()
		require.NoError(t, r.end())
		require.Equal(t, http.StatusAccepted, (<-answer).status)
	})
}

// What does not end is cut off in the end, and that is told.
func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		release := make(chan struct{})
		r.patcher.start = func(_ context.Context, request patch.Request) (patch.Handle, error) {
			<-release
			return handleFor(request.PatchID), nil
		}
		answer := r.post(t)
		synctest.Wait()
		began := time.Now()
		require.ErrorContains(t, r.end(), "cut off")
		require.Equal(t, 28*time.Second, time.Since(began))
		_, answered := <-answer
		require.False(t, answered)
		close(release)
	})
}

// During the lame duck time the server still serves, says so, and keeps no
// waiter.
func TestLameDuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(o *api.Options) { o.LameDuck = 3 * time.Second })
		r.patcher.await = untilDone
		began := time.Now()
		r.stop()
		synctest.Wait()
		require.Contains(t, r.probe(t, "/readyz").body, "draining")
		got := <-r.post(t)
		require.Equal(t, http.StatusAccepted, got.status)
		require.True(t, got.closes)
		require.Zero(t, time.Since(began))
		require.NoError(t, r.end())
		require.GreaterOrEqual(t, time.Since(began), 3*time.Second)
		_, answered := <-r.post(t)
		require.False(t, answered)
	})
}

// A listener that fails is told, and its server drains.
func TestServeTellsALostListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t)
		r.patcher.await = untilDone
		answer := r.post(t)
		synctest.Wait()
		require.NoError(t, r.pipes.Close())
		synctest.Wait()
		require.ErrorIs(t, r.end(), net.ErrClosed)
		require.Equal(t, http.StatusAccepted, (<-answer).status)
	})
}

// Drop by drop neither headers nor body hold a connection for long, and an
// idle one is closed.
func TestSlowClientsAreCutOff(t *testing.T) {
	head := "POST " + patchPath + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + secret +
		"\r\nContent-Type: application/json\r\nContent-Length: 19\r\n"
	for name, test := range map[string]struct {
		sent   string
		after  time.Duration
		answer string
	}{
		"nothing":          {"", 5 * time.Second, ""},
		"headers":          {head, 5 * time.Second, ""},
		"body":             {head + "\r\n{", 10 * time.Second, "408"},
		"idle":             {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 75 * time.Second, "200"},
		"too many headers": {"GET /healthz HTTP/1.1\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 0, "431"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t)
				conn, err := r.pipes.dial(t.Context(), "", "")
				require.NoError(t, err)
				go func() { _, _ = io.WriteString(conn, test.sent) }()
				began := time.Now()
				got, _ := io.ReadAll(conn)
				// The server lingers half a second after some answers.
				require.Equal(t, test.after, time.Since(began).Truncate(time.Second))
				require.Contains(t, string(got), test.answer)
				require.NoError(t, conn.Close())
				require.NoError(t, r.end())
				r.patcher.untouched(t)
			})
		})
	}
}

// A server whose token is no secret is not served where others can reach it.
func TestLoopbackOnlyIsNotServedToOthers(t *testing.T) {
	h := build(t, loopbackOnly)
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	require.ErrorContains(t, h.server.Serve(t.Context(), listener), "loopback")
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)

	listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.server.Serve(ctx, listener) }()
	h.url = "http://" + listener.Addr().String()
	require.Equal(t, http.StatusOK, h.do(t, http.MethodGet, "/healthz", "").status)
	stop()
	require.NoError(t, <-ended)
}
