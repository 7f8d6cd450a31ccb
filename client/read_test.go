package client_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

// mute takes requests and answers no read, or begins to only; another request it
// answers long after a read is given up on.
type mute struct {
	begins bool
	asked  int
}

// RoundTrip waits as a network would.
func (m *mute) RoundTrip(r *http.Request) (*http.Response, error) {
	m.asked++
	answer := &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {kindJSON}}, Body: io.NopCloser(strings.NewReader(closedPatch)),
	}
	switch {
	case r.Method != http.MethodGet:
		select {
		case <-time.After(2 * client.ReadTimeout):
			return answer, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	case m.begins:
		answer.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), untilDone{r}))
		return answer, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// untilDone is the rest of an answer that never comes.
type untilDone struct{ *http.Request }

func (u untilDone) Read([]byte) (int, error) {
	<-u.Context().Done()
	return 0, u.Context().Err()
}

// TestReadTimeout proves that a read of a server which takes connections and
// says nothing, or not all of it, ends within its bound, once, as one that may be
// answered later, and that what waits for a patch is not bounded by it.
func TestReadTimeout(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]*mute{"silent": {}, "begun": {begins: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				games, err := client.New("http://127.0.0.1:1", client.WithHTTPClient(&http.Client{Transport: server}))
				require.NoError(t, err)
				began := time.Now()
				_, err = games.GetPatch(t.Context(), "demo-1.x")
				require.Equal(t, client.ReadTimeout, time.Since(began))
				require.ErrorIs(t, err, client.ErrNoAnswer)
				require.ErrorContains(t, err, "none within 30s")
				require.True(t, client.IsTemporary(err))
				require.Equal(t, 1, server.asked, "it is not sent again")
				_, err = games.Patch(t.Context(), "demo-1", client.PatchRequest{Version: "1.4.3"}, client.PatchOptions{})
				require.NoError(t, err)
			})
		})
	}
	_, err := client.New("http://127.0.0.1", client.WithReadTimeout(0))
	require.ErrorContains(t, err, "read timeout")
}
