// Package rtm is the HTTP client of the Runtime Manager, which owns the engine
// containers. It implements [ports.RTMClient].
//
// # The contract
//
//	POST {RTM_URL}/api/v1/internal/runtimes/{game_id}/patch
//	     Idempotency-Key: <key>
//	     Fencing-Token: <number>     {"image_ref":"…"}
//	     → 200 {"game_id","image_ref","status"} or 204
//	GET  {RTM_URL}/api/v1/internal/runtimes/{game_id}
//	     → 200 {"game_id","image_ref","status"}, 404 when there is no container
//	PUT  {RTM_URL}/api/v1/internal/runtimes/{game_id}/fence
//	     {"fence":<number>}          → 200 {"game_id","fence"}
//
// Errors are {"error":{"code","message"}}. A patch or a fence whose number is
// lower than the highest that Runtime Manager has seen for the game has no
// effect and is answered 412 stale_fence, which is [ports.ErrFenced]. A Runtime
// Manager that knows no fencing numbers ignores the header and answers the PUT
// 404, 405 or 501, which is [ports.ErrFenceUnsupported].
//
// # What an error says
//
// One question matters to the caller: may the call be tried again? Whatever
// leaves open whether a recreate happened (no answer, half an answer, an answer
// about something else) wraps [ports.ErrRTMUnavailable], and the caller has to
// ask with Inspect before it concludes anything. What Runtime Manager refused
// for good wraps [ports.ErrRTMRejected]. See verdict for the table.
//
// # One call is one request
//
// The client follows no redirect, goes through no proxy and sends a Patch at
// most once. The retries belong to the workflow, which counts them, spaces them
// and looks at the container in between.
package rtm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"galaxy/gamemaster/internal/ports"
)

// The deadlines of one call, from the first byte of the connection to the last
// byte of the answer.
const (
	// DefaultPatchTimeout holds a whole recreate: the engine gets the usual ten
	// seconds to stop, the new image may have to be fetched, the new container
	// has to come up. A recreate that takes longer is not lost: the next
	// attempt asks what the container runs before it does anything.
	DefaultPatchTimeout = 30 * time.Second

	// DefaultInspectTimeout holds a look-up, which changes nothing and takes
	// milliseconds; a manager that needs longer is better asked again.
	DefaultInspectTimeout = 5 * time.Second

	// DefaultFenceTimeout holds one number that is written down. That takes as
	// long as a look-up, and a fence may be sent again as often.
	DefaultFenceTimeout = 5 * time.Second
)

// DefaultCalls is more than the watch and the callers of a small fleet make at
// once.
const DefaultCalls = 64

const (
	runtimesPath = "/api/v1/internal/runtimes/"

	// probeID is what Ping inspects. No game can have it: game ids start with
	// a letter or a digit.
	probeID = "_"

	defaultUserAgent = "gamemaster"
)

var _ ports.RTMClient = (*Client)(nil)

// Options configures a [Client]. Only BaseURL is required.
type Options struct {
	// BaseURL is RTM_URL: absolute, http or https, without user, query or
	// fragment. A path is kept and put before the contract's paths.
	BaseURL string

	// PatchTimeout, InspectTimeout and FenceTimeout bound one call each; zero
	// means [DefaultPatchTimeout], [DefaultInspectTimeout] and
	// [DefaultFenceTimeout]. An activity that makes the call needs a longer
	// timeout of its own, or it never hears the verdict.
	PatchTimeout   time.Duration
	InspectTimeout time.Duration
	FenceTimeout   time.Duration

	// Calls is how many calls the caller makes at once, for each of which a
	// connection is kept; zero means [DefaultCalls]. It is no limit.
	Calls int

	// Transport sends the requests; nil means a pooled transport of the
	// client's own.
	Transport http.RoundTripper

	// Through, if it is set, is put around the transport, to see what passes. It
	// must send each request as it is, and once.
	Through func(http.RoundTripper) http.RoundTripper

	// UserAgent is sent with every request; empty means "gamemaster".
	UserAgent string
}

// Client talks to one Runtime Manager. It is safe for concurrent use.
type Client struct {
	base           string
	patchTimeout   time.Duration
	inspectTimeout time.Duration
	fenceTimeout   time.Duration
	transport      http.RoundTripper
	userAgent      string
	own            *http.Transport
}

// New returns a client, or an error that names the option at fault and repeats
// nothing of a BaseURL, which may hold a password.
func New(options Options) (*Client, error) {
	base, err := parseBaseURL(options.BaseURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("runtime manager client: RTM_URL %w", err)
	case options.PatchTimeout < 0:
		return nil, fmt.Errorf("runtime manager client: patch timeout %s must not be negative", options.PatchTimeout)
	case options.InspectTimeout < 0:
		return nil, fmt.Errorf("runtime manager client: inspect timeout %s must not be negative", options.InspectTimeout)
	case options.FenceTimeout < 0:
		return nil, fmt.Errorf("runtime manager client: fence timeout %s must not be negative", options.FenceTimeout)
	case options.Calls < 0:
		return nil, fmt.Errorf("runtime manager client: calls %d must not be negative", options.Calls)
	case !printable(options.UserAgent, maxText):
		return nil, errors.New("runtime manager client: user agent must be short and printable")
	}
	client := &Client{
		base:           base,
		patchTimeout:   orDefault(options.PatchTimeout, DefaultPatchTimeout),
		inspectTimeout: orDefault(options.InspectTimeout, DefaultInspectTimeout),
		fenceTimeout:   orDefault(options.FenceTimeout, DefaultFenceTimeout),
		transport:      options.Transport,
		userAgent:      orDefault(options.UserAgent, defaultUserAgent),
	}
	if client.transport == nil {
		client.own = newTransport(orDefault(options.Calls, DefaultCalls))
		client.transport = client.own
	}
	if options.Through != nil {
		client.transport = options.Through(client.transport)
	}
	return client, nil
}

// newTransport returns a pool for one host and so many calls at once.
func newTransport(calls int) *http.Transport {
	return &http.Transport{
		// No proxy, whatever HTTP_PROXY says: Runtime Manager is inside the
		// same network, the variables are usually set for image pulls, and a
		// proxy's own 502 or 404 would pass for Runtime Manager's word.
		Proxy: nil,
		// A manager that is up accepts at once; three seconds leave room for
		// one lost SYN, and the rest of the deadline for the answer.
		DialContext:         (&net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		// All connections go to one host, so the default of two idle ones
		// would redial under load: a recreate is followed by a look at once, and
		// when many come to their end together, each still has its connection.
		MaxIdleConns:        calls,
		MaxIdleConnsPerHost: calls,
		// Shorter than the idle timeout of common servers, so that it is this
		// side that closes: a connection closed by the other side under a
		// request costs an attempt.
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// The cap on bodies counts bytes off the wire.
		DisableCompression: true,
	}
}

// Close drops the idle connections of the client's own transport. Calls after
// it still work, on new connections.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Patch recreates the container of input.GameID on input.ImageRef and returns
// when Runtime Manager says that it is done.
//
// The error is a [*ports.RTMError]. When the caller's ctx ended, the error also
// is context.Canceled or context.DeadlineExceeded; the client's own deadline is
// neither, but plain [ports.ErrRTMUnavailable]. A 200 that cannot be read, or
// that speaks of another game or image, is ErrRTMUnavailable too: something
// happened, and Inspect has to tell what. A call that Runtime Manager has seen a
// higher fencing number than is [ports.ErrFenced] beside [ports.ErrRTMRejected].
// An input that cannot be sent is ErrRTMRejected without a status.
func (c *Client) Patch(ctx context.Context, input ports.RTMPatchInput) error {
	if err := checkPatch(input); err != nil {
		return refused(err)
	}
	body, err := json.Marshal(patchRequest{ImageRef: input.ImageRef})
	if err != nil {
		return refused(err)
	}
	answer, err := c.exchange(ctx, call{
		method:  http.MethodPost,
		path:    runtimesPath + url.PathEscape(input.GameID) + "/patch",
		body:    body,
		key:     input.IdempotencyKey,
		fence:   input.Fence,
		timeout: c.patchTimeout,
	})
	if err != nil {
		return err
	}
	switch {
	case verdict(answer.status) != nil:
		return answer.fenceable()
	case answer.status == http.StatusNoContent:
		return nil
	}
	container, err := answer.container(input.GameID)
	if err != nil {
		return answer.unreadable(err)
	}
	if container.ImageRef != input.ImageRef {
		return answer.unreadable(errors.New("the answer speaks of another image"))
	}
	return nil
}

// Inspect returns what the container of gameID runs now. It returns
// [ports.ErrContainerNotFound] when Runtime Manager answers 404, and otherwise
// errors as Patch does.
func (c *Client) Inspect(ctx context.Context, gameID string) (ports.Container, error) {
	if err := checkGameID(gameID); err != nil {
		return ports.Container{}, refused(err)
	}
	answer, err := c.inspect(ctx, gameID)
	switch {
	case err != nil:
		return ports.Container{}, err
	case answer.status == http.StatusNotFound:
		return ports.Container{}, ports.ErrContainerNotFound
	case verdict(answer.status) != nil:
		return ports.Container{}, answer.failure()
	}
	container, err := answer.container(gameID)
	if err != nil {
		return ports.Container{}, answer.unreadable(err)
	}
	return container, nil
}

// Ping returns nil when Runtime Manager can be reached. The contract has no
// health path, so Ping inspects an id that no game can have and takes every
// HTTP answer below 500 for a sign of life: it proves that something speaks
// HTTP at RTM_URL, not that a recreate would work; [Client.Recognize] tells who.
func (c *Client) Ping(ctx context.Context) error {
	answer, err := c.inspect(ctx, probeID)
	if err != nil {
		return err
	}
	if answer.status >= http.StatusInternalServerError {
		return answer.failure()
	}
	return nil
}

// Recognize returns nil when what answers at RTM_URL speaks the contract. It
// inspects an id that no game can have: Runtime Manager says in the contract's
// envelope that there is none, and a page of something else that speaks HTTP has
// no such envelope. 401 and 403 are errors too, whatever they look like: we send
// no credentials, so nothing would ever be let in. Errors are [*ports.RTMError].
func (c *Client) Recognize(ctx context.Context) error {
	answer, err := c.inspect(ctx, probeID)
	if err != nil {
		return err
	}
	return answer.recognized()
}

func (c *Client) inspect(ctx context.Context, gameID string) (answer, error) {
	return c.exchange(ctx, call{
		method:  http.MethodGet,
		path:    runtimesPath + url.PathEscape(gameID),
		timeout: c.inspectTimeout,
	})
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
