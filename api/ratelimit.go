package api

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxCallers bounds the callers whose rate is kept in mind. Tokens and
	// certificates are far fewer; an issuer of JWTs may have more subjects, of
	// whom those that are idle are forgotten. Should that not be enough, who
	// comes new shares the rate of others who did.
	maxCallers = 10_000
	// forgetPause keeps the search for idle callers from being made for every
	// request of a crowd.
	forgetPause = time.Second
)

// rateLimits holds each caller to a rate of requests.
type rateLimits struct {
	limit rate.Limit
	burst int

	mu      sync.Mutex
	callers map[string]*rate.Limiter
	// forgot is when idle callers were looked for; crowd is for those who come
	// while there is no room.
	forgot time.Time
	crowd  *rate.Limiter
	// reads are those under way, by caller.
	reads map[string]int
}

func newRateLimits(limit rate.Limit, burst int) *rateLimits {
	return &rateLimits{
		limit: limit, burst: burst, callers: map[string]*rate.Limiter{}, crowd: rate.NewLimiter(limit, burst), reads: map[string]int{},
	}
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

// read notes that the caller begins to read, and reports whether it may; then
// done has to be called in the end.
func (l *rateLimits) read(caller string) (done func(), may bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reads[caller] >= maxReads {
		return nil, false
	}
	l.reads[caller]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.reads[caller]--; l.reads[caller] == 0 {
			delete(l.reads, caller)
		}
	}, true
}

func (l *rateLimits) of(caller string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limiter, known := l.callers[caller]; known {
		return limiter
	}
	if len(l.callers) >= maxCallers && time.Since(l.forgot) >= forgetPause {
		l.forgot = time.Now()
		l.forgetIdle()
	}
	if len(l.callers) >= maxCallers {
		return l.crowd
	}
	limiter := rate.NewLimiter(l.limit, l.burst)
	l.callers[caller] = limiter
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

// tooManyReads is the problem of a caller who takes no answer off our hands.
func tooManyReads() *problem {
	p := refusal(codeTooManyRequests, fmt.Sprintf("at most %d reads at once are let through, take the answers first", maxReads))
	p.retryAfter = "1"
	return p
}

// tooMany is the problem of a caller who has to wait that long.
func tooMany(limits *rateLimits, wait time.Duration) *problem {
	p := refusal(codeTooManyRequests,
		fmt.Sprintf("at most %g requests a second are let through, wait for Retry-After", float64(limits.limit)))
	p.retryAfter = strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return p
}
