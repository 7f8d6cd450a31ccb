package auth_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"galaxy/gamemaster/internal/auth"
)

// No gate may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is a token. It must not be in any error nor in any log line.
const secret = "canary-0123456789abcdef"

// clock is a clock that moves by hand only.
type clock struct {
	mutex sync.Mutex
	at    time.Time
}

// The clock starts at the real time, by which certificates are verified.
func newClock() *clock { return &clock{at: time.Now().Truncate(time.Second)} }

func (c *clock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.at = c.at.Add(d)
}

// journal is a log that is kept.
type journal struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.text.String()
}

// count tells how many lines of a level there are.
func (j *journal) count(level string) int { return strings.Count(j.String(), `"level":"`+level+`"`) }

// door is a gate with what tests look at and turn.
type door struct {
	*auth.Gate
	clock *clock
	log   *journal
	path  string
}

// hang opens a gate with the policy in a file of its own.
func hang(t *testing.T, policy string) *door {
	t.Helper()
	d := &door{clock: newClock(), log: &journal{}, path: filepath.Join(t.TempDir(), "auth.yaml")}
	d.write(t, policy)
	d.open(t)
	return d
}

func (d *door) options() auth.Options {
	return auth.Options{Now: d.clock.now, Log: slog.New(slog.NewJSONHandler(d.log, nil))}
}

func (d *door) open(t *testing.T) {
	t.Helper()
	gate, err := auth.Open(d.path, d.options())
	require.NoError(t, err)
	d.Gate = gate
}

func (d *door) write(t *testing.T, policy string) {
	t.Helper()
	require.NoError(t, os.WriteFile(d.path, []byte(policy), 0o600))
}

// request returns a request with these Authorization headers.
func request(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

// ask authenticates a request with these Authorization headers. What they hold
// is in no error and in no log line.
func (d *door) ask(t *testing.T, authorization ...string) (auth.Caller, error) {
	t.Helper()
	caller, err := d.Authenticate(t.Context(), request(authorization...))
	for _, value := range authorization {
		for _, part := range strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '.' }) {
			if len(part) < minSecret {
				continue
			}
			require.NotContains(t, d.log.String(), part)
			if err != nil {
				require.NotContains(t, err.Error(), part)
			}
		}
	}
	return caller, err
}

// minSecret is shorter than any token of the tests and longer than the words
// around them.
const minSecret = 12

// passes wants a bearer token to pass under a name.
func (d *door) passes(t *testing.T, token, name string) auth.Caller {
	t.Helper()
	caller, err := d.ask(t, "Bearer "+token)
	require.NoError(t, err)
	require.Equal(t, name, caller.Name)
	return caller
}

// refuses wants a bearer token to be refused for a reason.
func (d *door) refuses(t *testing.T, token, reason string) {
	t.Helper()
	caller, err := d.ask(t, "Bearer "+token)
	wantRefusal(t, caller, err, reason)
}

func wantRefusal(t *testing.T, caller auth.Caller, err error, reason string) {
	t.Helper()
	require.ErrorIs(t, err, auth.ErrUnknown)
	require.NotErrorIs(t, err, auth.ErrUnavailable)
	require.NotErrorIs(t, err, auth.ErrNoCredentials)
	require.Contains(t, auth.Reason(err), reason)
	require.Contains(t, err.Error(), auth.Reason(err))
	require.Equal(t, auth.Caller{}, caller)
}

// doubts wants a bearer token to be neither right nor wrong.
func (d *door) doubts(t *testing.T, token, why string) {
	t.Helper()
	caller, err := d.ask(t, "Bearer "+token)
	require.ErrorIs(t, err, auth.ErrUnavailable)
	require.NotErrorIs(t, err, auth.ErrUnknown)
	require.ErrorContains(t, err, why)
	require.Empty(t, auth.Reason(err))
	require.Equal(t, auth.Caller{}, caller)
}

// tokenPolicy is a policy with one token of the name "admin".
func tokenPolicy(token string) string {
	return "tokens:\n- name: admin\n  sha256: " + auth.HashToken(token) + "\n  scopes: [runtime:read]\n"
}
