package api

import "time"

// What the door lets through and how long it holds anything, each with its
// reason. They are constants, because no deployment has a reason to differ.
const (
	// MaxBody is the largest request body, in bytes. The largest sane patch
	// request (a reason of 1 kB, all of it escaped) stays below it.
	MaxBody = 4 << 10

	// maxHeader bounds request line and headers, in bytes: room for a bearer
	// token of a few kB and what proxies add, too little to hurt.
	maxHeader = 16 << 10

	// MaxIdempotencyKey bounds an Idempotency-Key: a UUID has 36 bytes.
	MaxIdempotencyKey = 255

	// MaxWait is the longest that a caller may wait for a patch: most proxies
	// cut a silent connection after 60 s, and polling is no worse by then.
	MaxWait = 60 * time.Second

	// DefaultWait is the wait of a caller that states no preference: most
	// patches take a few seconds, most HTTP clients give up after 30.
	DefaultWait = 10 * time.Second

	// maxFieldErrors bounds the errors of one problem: nobody mends more at a
	// time, and a 4 KiB body can hold hundreds.
	maxFieldErrors = 10
)

const (
	// startTimeout is for Start: milliseconds in health, and the Temporal
	// client's own retries have their chance in ten seconds.
	startTimeout = 10 * time.Second

	// readTimeout is for one read of a store or of a patch: beyond it a human
	// caller has given up.
	readTimeout = 5 * time.Second

	// storeTimeout is for one change of a store: longer than the wait for a
	// locked row, which the database ends after three seconds.
	storeTimeout = 5 * time.Second

	// checkTimeout is for one readiness check: probes usually give up after
	// one to three seconds.
	checkTimeout = 2 * time.Second

	// checkAge is how long a readiness report is given out again, so that no
	// number of probes puts load on what they probe.
	checkAge = time.Second
)

const (
	// claimLease keeps others from starting the patch of an Idempotency-Key
	// while one request does: as long as that may take, and a little more for
	// the clock.
	claimLease = startTimeout + 2*time.Second

	// keyTimeout is for a request with a key: it may have to wait for the lease
	// of one whose process died, and then starts the patch itself.
	keyTimeout = claimLease + startTimeout

	// firstPoll and lastPoll are how often the outcome of another request's
	// claim is looked for: a start takes some ten milliseconds, and only one
	// that hangs is waited for longer.
	firstPoll = 20 * time.Millisecond
	lastPoll  = 500 * time.Millisecond
)

// Defaults of what a deployment may set.
const (
	// DefaultRate and DefaultBurst are for one caller: an admin service patches
	// some games a second, a script lists some pages a second; far more is a
	// loop that has gone wrong.
	DefaultRate  = 100
	DefaultBurst = 200

	// DefaultMaxWaiting bounds the callers that wait for a patch at once: each
	// holds a connection, a goroutine and a poll at Temporal.
	DefaultMaxWaiting = 1000
)

const (
	// headerTimeout starves clients that send their headers drop by drop.
	headerTimeout = 5 * time.Second

	// requestTimeout is for headers and body together: 4 KiB take a few
	// seconds on the worst link that still works.
	requestTimeout = 10 * time.Second

	// writeTimeout runs from the end of the headers: body, start with a key, the
	// longest wait, and as much again for the answer as the body had.
	writeTimeout = requestTimeout + keyTimeout + MaxWait + requestTimeout

	// idleTimeout is above the 60 s that load balancers keep an idle
	// connection, so that they close first and no request meets a closed one.
	idleTimeout = 75 * time.Second

	// drainTimeout lets the longest request that does not end by itself on
	// shutdown (a body being read, then a start) finish, within the 30 s that
	// orchestrators wait before they kill.
	drainTimeout = requestTimeout + startTimeout + 2*time.Second
)

const (
	// retryAccepted, in seconds, is how soon a 202's patch is worth a look: a
	// phase takes about that long.
	retryAccepted = "1"

	// retryUnavailable, in seconds, is the pause after a 503: a restart or
	// fail-over takes longer than one second and rarely a minute.
	retryUnavailable = "5"
)
