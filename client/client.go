package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client asks one API. It is made by [New] and safe for concurrent use.
type Client struct {
	// server is the API's URL without a slash at its end.
	server    string
	http      *http.Client
	token     func(context.Context) (string, error)
	userAgent string
	retries   int
	first     time.Duration
	longest   time.Duration
	reads     time.Duration
}

const (
	// RequestTimeout bounds one request of the client's own http.Client: the API
	// ends its answer within 115 s, of which 60 s are the longest wait for a
	// patch and most of the others for a key whose process died; the rest is for
	// the network.
	RequestTimeout = 120 * time.Second
	// ReadTimeout bounds one GET: the API ends what it does for one within 15 s,
	// of which 5 s each are for Postgres and for Temporal, and gives its caller
	// 10 s to take the answer; the rest is for the network. A read that found
	// nobody for so long is not sent again: whoever does not answer in that time
	// is no restart, which the retries are for.
	ReadTimeout = 30 * time.Second
	// defaultRetries and the pauses between them last 2 to 4 s together, which
	// is what a restart of the API takes; a longer outage is for the caller.
	defaultRetries = 3
	defaultFirst   = 500 * time.Millisecond
	// defaultLongest bounds the pauses of those who ask for more retries: after
	// that long it costs the API nothing to be asked.
	defaultLongest = 10 * time.Second
)

// Option changes what [New] makes.
type Option func(*settings)

// settings are what the options are collected in.
type settings struct {
	client        Client
	insecureToken bool
	faults        []error
}

// WithToken sends the token as Bearer with every request; an empty one is none.
func WithToken(token string) Option {
	return func(s *settings) {
		if token == "" {
			s.client.token = nil
			return
		}
		if err := checkToken(token); err != nil {
			s.faults = append(s.faults, err)
		}
		s.client.token = func(context.Context) (string, error) { return token, nil }
	}
}

// WithTokenSource asks source for the token of every request, retries included,
// so that a token that is about to expire can be renewed. Its error ends the
// request and is wrapped in what the method returns.
func WithTokenSource(source func(context.Context) (string, error)) Option {
	return func(s *settings) { s.client.token = source }
}

// WithInsecureToken lets the token go over plain http to other machines, where
// everybody on the way can read it.
func WithInsecureToken() Option {
	return func(s *settings) { s.insecureToken = true }
}

// WithHTTPClient sends requests by a copy of httpClient: for trust in a private
// CA, client certificates, proxies and timeouts. Its CheckRedirect is not used.
func WithHTTPClient(httpClient *http.Client) Option {
	return func(s *settings) {
		if httpClient != nil {
			s.client.http = httpClient
		}
	}
}

// WithUserAgent names the program in the API's logs.
func WithUserAgent(name string) Option {
	return func(s *settings) { s.client.userAgent = name }
}

// WithRetries says how often a request is sent again at most; 0 is never. It is
// 3 without this option.
func WithRetries(n int) Option {
	return func(s *settings) {
		if n < 0 {
			s.faults = append(s.faults, fmt.Errorf("retries: %d is less than none", n))
		}
		s.client.retries = n
	}
}

// WithBackoff sets the pause before the first retry and the longest one; between
// them it doubles, and up to half of each is left to chance. Without this option
// they are 500 ms and 10 s.
func WithBackoff(first, longest time.Duration) Option {
	return func(s *settings) {
		if first <= 0 || longest < first {
			s.faults = append(s.faults, fmt.Errorf("backoff: want 0 < first <= longest, got %s and %s", first, longest))
		}
		s.client.first, s.client.longest = first, longest
	}
}

// WithReadTimeout bounds one GET; it is [ReadTimeout] without this option. What
// waits for a patch is no GET.
func WithReadTimeout(bound time.Duration) Option {
	return func(s *settings) {
		if bound <= 0 {
			s.faults = append(s.faults, fmt.Errorf("read timeout: want more than 0, got %s", bound))
		}
		s.client.reads = bound
	}
}

// New returns a client of the API at server, an absolute URL such as
// https://gamemaster.example, with or without a path. It does not connect.
//
// It refuses a URL with credentials, query or fragment, a token that no header
// can carry, and a token for an API that is reached over plain http on another
// machine, unless [WithInsecureToken] is given.
func New(server string, options ...Option) (*Client, error) {
	made := settings{client: Client{
		http:      &http.Client{Timeout: RequestTimeout},
		userAgent: "gamemaster-client",
		retries:   defaultRetries, first: defaultFirst, longest: defaultLongest, reads: ReadTimeout,
	}}
	for _, option := range options {
		option(&made)
	}
	if err := errors.Join(made.faults...); err != nil {
		return nil, err
	}
	at, err := parseServer(server)
	if err != nil {
		return nil, err
	}
	if made.client.token != nil && at.Scheme == "http" && !isLoopback(at.Hostname()) && !made.insecureToken {
		return nil, fmt.Errorf("server %q: everybody on the way could read the token, want https", at)
	}
	client := made.client
	client.server = strings.TrimRight(at.String(), "/")
	client.http = withoutRedirects(client.http)
	return &client, nil
}

// withoutRedirects returns a copy that hands a redirect to its caller: following
// it would send the token to whoever it names, and a POST as a GET.
func withoutRedirects(httpClient *http.Client) *http.Client {
	copied := *httpClient
	copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &copied
}

// parseServer returns the URL, or an error that does not repeat a password.
func parseServer(server string) (*url.URL, error) {
	if strings.Contains(server, "@") {
		return nil, errors.New("server: has credentials in it, give a token instead")
	}
	at, err := url.Parse(server)
	if err != nil || at.Hostname() == "" || (at.Scheme != "http" && at.Scheme != "https") {
		return nil, fmt.Errorf("server %q: want an absolute URL such as https://gamemaster.example", server)
	}
	if at.RawQuery != "" || at.ForceQuery || at.Fragment != "" {
		return nil, fmt.Errorf("server %q: want a URL without query and fragment", server)
	}
	return at, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkToken keeps a token that no header can carry from getting there, where
// the complaint would come with every request.
func checkToken(token string) error {
	if strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return errors.New("token: has characters other than visible ASCII")
	}
	return nil
}
