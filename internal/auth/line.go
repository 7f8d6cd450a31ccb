package auth

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// issuerTimeout bounds one request to an issuer. Somebody's request to the
	// API waits for it, and an issuer answers from memory.
	issuerTimeout = 5 * time.Second
	// maxAnswer holds the key sets of large issuers, which are tens of KiB.
	maxAnswer = 256 << 10

	// askInterval is how often an issuer is asked when tokens keep naming keys
	// that it does not have: anybody can send those. It is also how long a key
	// may stay unknown that is used before it is published.
	askInterval = 5 * time.Second
	// askBurst lets the keys be fetched again right after the first time, for a
	// rotation that happens just then.
	askBurst = 2
	// retryPause is for how long an issuer that failed is left alone, so that
	// requests do not wait for it one after the other.
	retryPause = 5 * time.Second
)

// errAsked says that the issuer was asked a moment ago and answered.
var errAsked = errors.New("the issuer was asked a moment ago")

// outage says why an issuer cannot be asked. Nothing of an answer is in it.
type outage struct{ text string }

// Error says why.
func (o *outage) Error() string { return o.text }

// bare returns the outage, or errAsked, that an HTTP client has wrapped. What
// it wraps them in has addresses with queries in it.
func bare(err error) error {
	var down *outage
	switch {
	case errors.As(err, &down):
		return down
	case errors.Is(err, errAsked):
		return errAsked
	default:
		return &outage{"the request failed"}
	}
}

// line is the way to one document of an issuer: it bounds how often, how long
// and how much, and follows no redirect.
type line struct {
	base *http.Transport
	// plain says that the policy has http for this issuer, on loopback.
	plain bool
	now   func() time.Time

	mutex   sync.Mutex
	limiter *rate.Limiter
	// failed is why the last exchange went wrong; nil means that it went well,
	// or that there was none yet, when the limiter still lets one pass.
	failed   error
	failedAt time.Time
}

// dialer returns what connects to an issuer. It keeps no connection: keys are
// fetched once in a while, and nothing is left behind by a policy that is gone.
func dialer(roots string) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if roots != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(roots))
	}
	return &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   config,
		DisableKeepAlives: true,
	}
}

func newLine(base *http.Transport, plain bool, now func() time.Time) *line {
	return &line{base: base, plain: plain, now: now, limiter: rate.NewLimiter(rate.Every(askInterval), askBurst)}
}

// client returns an HTTP client that goes this way.
func (l *line) client() *http.Client { return &http.Client{Transport: l, Timeout: issuerTimeout} }

// RoundTrip returns a complete answer of status 200, or an [outage], or
// errAsked.
func (l *line) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := l.admit(request.URL); err != nil {
		return nil, err
	}
	response, err := l.exchange(request)
	l.note(err)
	return response, err
}

// admit says whether there may be another request now.
func (l *line) admit(target *url.URL) error {
	if target.Scheme != "https" && (target.Scheme != "http" || !l.plain || !loopback(target.Hostname())) {
		return &outage{"the issuer names a URL that is not https"}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	now := l.now()
	switch {
	case l.failed != nil && now.Sub(l.failedAt) < retryPause:
		return l.failed
	case l.limiter.AllowN(now, 1):
		return nil
	case l.failed != nil:
		return l.failed
	default:
		return errAsked
	}
}

// note remembers how an exchange went; nil means well.
func (l *line) note(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.failed, l.failedAt = err, l.now()
}

// blame notes that an answer was of no use and returns why.
func (l *line) blame(why string) error {
	err := &outage{why}
	l.note(err)
	return err
}

// exchange reads the whole answer, since what reads it later has no bound.
func (l *line) exchange(request *http.Request) (*http.Response, error) {
	where := request.URL.Host + request.URL.EscapedPath()
	response, err := l.base.RoundTrip(request)
	if err != nil {
		return nil, &outage{fmt.Sprintf("%s: %v", where, err)}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &outage{fmt.Sprintf("%s: %v", where, err)}
	case response.StatusCode != http.StatusOK:
		return nil, &outage{fmt.Sprintf("%s: status %d", where, response.StatusCode)}
	case len(body) > maxAnswer:
		return nil, &outage{fmt.Sprintf("%s: more than %d bytes", where, maxAnswer)}
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
