package drill_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/drill"
)

// TestToxicMeetsItsDirection proves that a toxic on the way back has met nothing
// as long as only requests went up, and that one on the way to the server has not
// met the answers.
func TestToxicMeetsItsDirection(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	link, closeLink, err := drill.OpenLink(listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closeLink()) })
	caller, err := net.Dial("tcp", link.Address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = caller.Close() })
	server, err := listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })

	up, err := link.Put(drill.Latency(time.Millisecond).OnRequests())
	require.NoError(t, err)
	down, err := link.Put(drill.Latency(time.Millisecond))
	require.NoError(t, err)
	pass := func(from, to net.Conn, text string) {
		_, err := io.WriteString(from, text)
		require.NoError(t, err)
		_, err = io.ReadFull(to, make([]byte, len(text)))
		require.NoError(t, err)
	}
	pass(caller, server, "request")
	require.Equal(t, len("request"), link.Met(up))
	require.Zero(t, link.Met(down))
	pass(server, caller, "the answer")
	require.Equal(t, len("request"), link.Met(up))
	require.Equal(t, len("the answer"), link.Met(down))
	require.NoError(t, link.Take(t.Context(), down))
	pass(server, caller, "more")
	require.Equal(t, len("the answer"), link.Met(down))
	require.EqualValues(t, len("request"+"the answer"+"more"), link.Carried())
}
