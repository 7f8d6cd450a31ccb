package cli_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"galaxy/gamemaster/internal/cli"
)

// encodings keeps what the calls that come are compressed with.
type encodings struct {
	mu   sync.Mutex
	seen []string
}

func (e *encodings) HandleRPC(_ context.Context, s stats.RPCStats) {
	if header, ok := s.(*stats.InHeader); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.seen = append(e.seen, header.Compression)
	}
}

func (e *encodings) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (e *encodings) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (e *encodings) HandleConn(context.Context, stats.ConnStats) {}

// Proves that calls to Temporal are sent as they are, which the SDK does not do by
// itself.
func TestCallsAreNotCompressed(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e := &encodings{}
	server := grpc.NewServer(grpc.StatsHandler(e))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	cli.Shell{Environ: map[string]string{"TEMPORAL_ADDRESS": listener.Addr().String()}}.Run("doctor", "--for", "worker")
	e.mu.Lock()
	defer e.mu.Unlock()
	require.NotEmpty(t, e.seen)
	for _, encoding := range e.seen {
		require.Empty(t, encoding)
	}
}
