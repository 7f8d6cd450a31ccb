package client_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

// TestNew proves which servers and tokens are refused before anything is sent,
// with the reason and without what is secret.
func TestNew(t *testing.T) {
	t.Parallel()
	withToken := client.WithToken(token)
	for _, row := range []struct {
		server  string
		options []client.Option
		says    string
	}{
		{"https://gamemaster.example", []client.Option{withToken}, ""},
		{"https://gamemaster.example/below/", []client.Option{withToken}, ""},
		{"http://127.0.0.1:8080", []client.Option{withToken}, ""},
		{"http://[::1]:8080", []client.Option{withToken}, ""},
		{"http://localhost:8080", []client.Option{withToken}, ""},
		{"http://gamemaster.example", nil, ""},
		{"http://gamemaster.example", []client.Option{client.WithToken("")}, ""},
		{"http://gamemaster.example", []client.Option{withToken, client.WithInsecureToken()}, ""},

		{"http://gamemaster.example", []client.Option{withToken}, "want https"},
		{"http://127.0.0.1.example", []client.Option{withToken}, "want https"},
		{"http://localhost.example", []client.Option{withToken}, "want https"},
		{"http://gamemaster.example", []client.Option{client.WithTokenSource(func(context.Context) (string, error) { return token, nil })}, "want https"},
		{"nowhere", nil, `"nowhere": want an absolute URL`},
		{"", nil, "want an absolute URL"},
		{"127.0.0.1:8080", nil, "want an absolute URL"},
		{"ftp://gamemaster.example", nil, "want an absolute URL"},
		{"https://:8080", nil, "want an absolute URL"},
		{"https://u:s3cret@gamemaster.example", nil, "credentials"},
		{"https://u:s3cret@%zz", nil, "credentials"},
		{"https://gamemaster.example/?a=b", nil, "without query"},
		{"https://gamemaster.example/?", nil, "without query"},
		{"https://gamemaster.example/#a", nil, "without query"},
		{"https://gamemaster.example", []client.Option{client.WithToken("s3cret\n")}, "visible ASCII"},
		{"https://gamemaster.example", []client.Option{client.WithRetries(-1)}, "retries"},
		{"https://gamemaster.example", []client.Option{client.WithBackoff(0, 0)}, "backoff"},
		{"https://gamemaster.example", []client.Option{client.WithBackoff(2, 1)}, "backoff"},
	} {
		c, err := client.New(row.server, row.options...)
		if row.says == "" {
			require.NoError(t, err, row.server)
			require.NotNil(t, c)
			continue
		}
		require.ErrorContains(t, err, row.says, row.server)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

// TestHeaders proves what every request carries, and that the server's path is
// kept.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := answering(ok(`{"game_id":"demo-1"}`))
	server := httptest.NewServer(http.StripPrefix("/below", s))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL+"/below/", client.WithToken(token), client.WithUserAgent("fleet/1"))
	require.NoError(t, err)
	require.NoError(t, get(t.Context(), c))
	require.Equal(t, []string{"Bearer " + token}, s.sent("Authorization"))
	require.Equal(t, []string{"fleet/1"}, s.sent("User-Agent"))
	require.Equal(t, []string{""}, s.sent("Content-Type"))

	require.Error(t, register(t.Context(), newClient(t, http.NotFoundHandler())))
	plain := answering(reply{status: http.StatusCreated, kind: kindJSON, body: `{"game_id":"demo-1"}`})
	require.NoError(t, register(t.Context(), newClient(t, plain, client.WithToken(""))))
	require.Equal(t, []string{""}, plain.sent("Authorization"))
	require.Equal(t, []string{kindJSON}, plain.sent("Content-Type"))
}

// TestTLS proves that the program's own http.Client brings trust and
// certificates, and that a server which is not trusted, or does not trust us, is
// asked once.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := answering(ok(`{"game_id":"demo-1"}`))
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	trusting := server.Client().Transport.(*http.Transport).Clone()
	known := trusting.Clone()
	known.TLSClientConfig.Certificates = server.TLS.Certificates

	for _, row := range []struct {
		transport *http.Transport
		works     bool
	}{{known, true}, {trusting, false}, {&http.Transport{}, false}} {
		c, err := client.New(server.URL, client.WithHTTPClient(&http.Client{Transport: row.transport}), soon())
		require.NoError(t, err)
		err = get(t.Context(), c)
		if row.works {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, client.ErrNoAnswer)
		require.False(t, client.IsTemporary(err), "%v", err)
	}
	require.Equal(t, 1, s.tries())
}
