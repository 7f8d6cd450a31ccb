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
	// startTimeout is for Start and for steering: milliseconds in health, and the
	// Temporal client's own retries have their chance in eight seconds.
	startTimeout = 8 * time.Second

	// lookTimeout is for the look at what a request of before has come to: one
	// or two reads, and their retries.
	lookTimeout = 3 * time.Second

	// noteTimeout is for a note that is made of a key behind a caller who may be
	// gone: as long as the database lets a statement wait for a row.
	noteTimeout = 3 * time.Second

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
	// leaseMargin is what is left of a lease when its holder gives up: a start
	// that was sent in the last moment has it to arrive.
	leaseMargin = 2 * time.Second

	// claimLease keeps others from starting the patch of an Idempotency-Key
	// while one request looks for it and starts it: as long as that may take, a
	// second for the answer to the claim itself, and the margin.
	claimLease = lookTimeout + startTimeout + time.Second + leaseMargin

	// keyTimeout is for a request with a key: it may have to wait for the lease
	// of one whose process died, and then looks and starts itself.
	keyTimeout = claimLease + lookTimeout + startTimeout

	// firstPoll and lastPoll are how often the outcome of another request's
	// claim is looked for: a start takes some ten milliseconds, and only one
	// that hangs is waited for longer. A note that has to be made before the
	// answer is tried again as often: most faults of a store are gone as soon.
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
	// holds a connection, a goroutine and a long poll at Temporal, of which a
	// namespace has 1,200 at each frontend unless the cluster says otherwise
	// (frontend.namespaceCount). Two servers at this bound stay below.
	DefaultMaxWaiting = 400

	// maxReads bounds the reads that one caller has under way. A page of a
	// thousand rows takes half a megabyte until it has been taken off our hands.
	maxReads = 64
)

const (
	// answerTimeout is for a client to take an answer off our hands, from its
	// first byte: half a megabyte at 50 kB a second.
	answerTimeout = 10 * time.Second

	// maxStreams bounds the requests under way on one HTTP/2 connection; a
	// client that wants more opens another.
	maxStreams = 100

	// headerTimeout starves clients that send their headers drop by drop.
	headerTimeout = 5 * time.Second

	// requestTimeout is for headers and body together: 4 KiB take a few
	// seconds on the worst link that still works.
	requestTimeout = 10 * time.Second

	// writeTimeout runs from the end of the headers: body, start with a key and
	// its note, the longest wait, a look and a note behind it, and as much again
	// for the answer as the body had.
	writeTimeout = requestTimeout + keyTimeout + noteTimeout + MaxWait + lookTimeout + noteTimeout + requestTimeout

	// idleTimeout is above the 60 s that load balancers keep an idle
	// connection, so that they close first and no request meets a closed one.
	idleTimeout = 75 * time.Second

	// drainTimeout lets the longest request that does not end by itself on
	// shutdown finish (a body being read, a start with a key, notes), within the
	// 30 s that orchestrators wait before they kill. Waits end by themselves.
	drainTimeout = requestTimeout + lookTimeout + startTimeout + 2*noteTimeout + time.Second
)

const (
	// retryAccepted, in seconds, is how soon a 202's patch is worth a look: a
	// phase takes about that long.
	retryAccepted = "1"

	// retryUnavailable, in seconds, is the pause after a 503: a restart or
	// fail-over takes longer than one second and rarely a minute.
	retryUnavailable = "5"
)
