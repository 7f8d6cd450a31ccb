package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	// keyLife is after how long keys are fetched again although all tokens can
	// be checked: a key that the issuer withdrew passes no longer than that,
	// while the issuer can be reached.
	keyLife = 15 * time.Minute
	// renewPause is between attempts to do so. The old keys serve meanwhile,
	// and one request waits for each attempt.
	renewPause = time.Minute
)

// source is where the keys of one issuer come from. It asks nobody before the
// first token is to be checked, so that the API starts without its issuers.
//
// The library's own set of keys is not used: it keeps withdrawn keys until it
// meets an unknown one, and does not tell a wrong token from an issuer that is
// down.
type source struct {
	sourceID
	discovery, fetching *line
	now                 func() time.Time
	log                 *slog.Logger

	// keys are nil until they could be had for the first time, and others after
	// each time. They are old from renewAt on, in nanoseconds of Unix time.
	keys    atomic.Pointer[keySet]
	renewAt atomic.Int64
	// turn is held, one element, by whoever fetches keys, and guards where,
	// the address of the keys as far as it is known.
	turn  chan struct{}
	where string
}

// sourceID tells sources apart: entries that agree on it can share their keys.
type sourceID struct{ issuer, jwksURL, roots string }

func newSource(id sourceID, now func() time.Time, log *slog.Logger) *source {
	plain := strings.HasPrefix(id.issuer, "http:") || strings.HasPrefix(id.jwksURL, "http:")
	base := dialer(id.roots)
	return &source{
		sourceID: id, discovery: newLine(base, plain, now), fetching: newLine(base, plain, now),
		now: now, log: log, turn: make(chan struct{}, 1), where: id.jwksURL,
	}
}

// verify returns the payload of a token whose signature matches one of the
// issuer's keys. Keys are fetched if none matches or if they are old.
// Otherwise the error is [ErrUnknown] or, when the key that the token names is
// not at hand and could not be fetched, [ErrUnavailable].
func (s *source) verify(ctx context.Context, token *jose.JSONWebSignature) ([]byte, error) {
	held := s.keys.Load()
	payload, matched := held.match(token)
	if matched {
		if s.now().UnixNano() < s.renewAt.Load() {
			return payload, nil
		}
		fresh, renewed := s.renew(ctx, held)
		if !renewed {
			return payload, nil
		}
		held = fresh
	} else {
		fresh, err := s.replace(ctx, held)
		switch {
		case err == nil:
			held = fresh
		case held != nil && errors.Is(err, errAsked), held.names(token):
			return nil, refuse(reasonSignature)
		default:
			return nil, fmt.Errorf("%w: issuer %s: %w", ErrUnavailable, s.issuer, err)
		}
	}
	if payload, matched = held.match(token); !matched {
		return nil, refuse(reasonSignature)
	}
	return payload, nil
}

// replace returns keys newer than held, for all requests that wait for them.
func (s *source) replace(ctx context.Context, held *keySet) (*keySet, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if current := s.keys.Load(); current != held {
		return current, nil
	}
	return s.fetch(ctx)
}

// renew replaces keys that have become old, unless somebody is at it already
// or it cannot be done now.
func (s *source) renew(ctx context.Context, held *keySet) (*keySet, bool) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return nil, false
	}
	if current := s.keys.Load(); current != held {
		return current, true
	}
	// The issuer may have moved its keys; if it does not say, they are where
	// they were.
	before := s.where
	s.where = s.jwksURL
	fresh, err := s.fetch(ctx)
	if err != nil {
		s.where = before
		s.renewAt.Store(s.now().Add(renewPause).UnixNano())
		s.log.Warn("the issuer's keys cannot be renewed; those at hand stay in use", "issuer", s.issuer, "error", err)
		return nil, false
	}
	return fresh, true
}

// fetch gets the keys and keeps them. It goes on when the caller goes away, or
// callers who hang up could keep keys from being found or renewed. The caller
// holds the turn.
func (s *source) fetch(ctx context.Context) (*keySet, error) {
	ctx = context.WithoutCancel(ctx)
	if s.where == "" {
		where, err := s.discover(ctx)
		if err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
		s.where = where
	}
	keys, err := s.download(ctx)
	if err != nil {
		return nil, err
	}
	fresh := &keySet{keys}
	s.renewAt.Store(s.now().Add(keyLife).UnixNano())
	s.keys.Store(fresh)
	return fresh, nil
}

func (s *source) download(ctx context.Context) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.where, nil)
	if err != nil {
		return nil, s.fetching.blame("the address of the keys is no URL")
	}
	response, err := s.fetching.client().Do(request)
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, s.fetching.blame("the keys cannot be read")
	}
	keys, err := parseKeys(body)
	if err != nil {
		return nil, s.fetching.blame(err.Error())
	}
	return keys, nil
}

// discover asks the issuer where its keys are.
func (s *source) discover(ctx context.Context) (string, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, s.discovery.client()), s.issuer)
	var document struct {
		JWKSURL string `json:"jwks_uri"`
	}
	if err == nil {
		err = provider.Claims(&document)
	}
	var down *outage
	var mismatch *oidc.IssuerMismatchError
	switch {
	case errors.As(err, &down), errors.Is(err, errAsked):
		return "", bare(err)
	case errors.As(err, &mismatch):
		return "", s.discovery.blame("the document is about another issuer")
	case err != nil:
		return "", s.discovery.blame("the document cannot be read")
	case !absolute(document.JWKSURL):
		return "", s.discovery.blame("the document does not say where the keys are")
	}
	return document.JWKSURL, nil
}

// absolute tells whether text is a URL to which requests can be sent.
func absolute(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Host != "" && len(text) <= maxURL && visible(text)
}
