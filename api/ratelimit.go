package api

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxCallers bounds the callers whose rate is kept in mind. Tokens and
// certificates are far fewer; an issuer of JWTs may have more subjects, of whom
// those that are idle are forgotten.
const maxCallers = 10_000

// rateLimits holds each caller to a rate of requests.
type rateLimits struct {
	limit rate.Limit
	burst int

	mu      sync.Mutex
	callers map[string]*rate.Limiter
}

func newRateLimits(limit rate.Limit, burst int) *rateLimits {
	return &rateLimits{limit: limit, burst: burst, callers: map[string]*rate.Limiter{}}
}

// take counts a request of caller, and returns zero when it may pass, otherwise
// how long until one may.
func (l *rateLimits) take(caller string) time.Duration {
	reservation := l.of(caller).Reserve()
	wait := reservation.Delay()
	if wait > 0 {
		// It does not pass, so it does not count.
		reservation.Cancel()
	}
	return wait
}

func (l *rateLimits) of(caller string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, known := l.callers[caller]
	if !known {
		if len(l.callers) >= maxCallers {
			l.forgetIdle()
		}
		limiter = rate.NewLimiter(l.limit, l.burst)
		l.callers[caller] = limiter
	}
	return limiter
}

// forgetIdle drops who could send a whole burst: a new limiter lets them do the
// same.
func (l *rateLimits) forgetIdle() {
	for caller, limiter := range l.callers {
		if limiter.Tokens() >= float64(l.burst) {
			delete(l.callers, caller)
		}
	}
}

// tooMany is the problem of a caller who has to wait that long.
func tooMany(limits *rateLimits, wait time.Duration) *problem {
	p := refusal(codeTooManyRequests,
		fmt.Sprintf("at most %g requests a second are let through, wait for Retry-After", float64(limits.limit)))
	p.retryAfter = strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return p
}
