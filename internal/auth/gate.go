package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultReloadInterval is how often a policy's file is looked at, at most: a
// withdrawn token passes no longer than this, and a file of some KiB is read
// once a second however many requests there are.
const DefaultReloadInterval = time.Second

// Options configures a [Gate]. All are optional.
type Options struct {
	// Now is the clock for reloading, expiry and asking issuers; nil means
	// [time.Now].
	Now func() time.Time
	// Log hears of reloads and of keys that cannot be renewed; nil means
	// [slog.Default].
	Log *slog.Logger
	// ReloadInterval is [DefaultReloadInterval] when it is zero.
	ReloadInterval time.Duration
}

// Gate lets those pass who are in its policy. It is safe for concurrent use,
// runs nothing in the background and needs no closing.
type Gate struct {
	// path is the policy's file; it is empty when the policy is fixed.
	path     string
	now      func() time.Time
	log      *slog.Logger
	interval time.Duration

	rules atomic.Pointer[rules]

	// looking is held by whoever looks at the file, and guards the rest.
	looking sync.Mutex
	looked  time.Time
	// digest is that of the file in force, and fault what is wrong with the one
	// seen last; it is empty if nothing is.
	digest [sha256.Size]byte
	fault  string
}

// rules are a policy in force.
type rules struct {
	policy Policy
	// issuers are found by their URL.
	issuers map[string]*issuer
}

// Open returns a gate with the policy of a file, which it looks at again when
// requests come. The error lists all faults of the policy, see [Parse].
func Open(path string, options Options) (*Gate, error) {
	gate := newGate(options)
	gate.path = path
	if err := gate.Reload(); err != nil {
		return nil, err
	}
	return gate, nil
}

// New returns a gate with a policy that stays as it is. The error lists all
// faults of it.
func New(policy Policy, options Options) (*Gate, error) {
	gate := newGate(options)
	policy = policy.completed()
	var found faults
	policy.readRoots(".", &found)
	policy.examine(&found)
	if err := found.err(); err != nil {
		return nil, fmt.Errorf("policy:\n%w", err)
	}
	gate.adopt(policy)
	return gate, nil
}

func newGate(options Options) *Gate {
	gate := &Gate{now: options.Now, log: options.Log, interval: options.ReloadInterval}
	if gate.now == nil {
		gate.now = time.Now
	}
	if gate.log == nil {
		gate.log = slog.Default()
	}
	if gate.interval <= 0 {
		gate.interval = DefaultReloadInterval
	}
	return gate
}

// Authenticate returns who sent the request. The error wraps
// [ErrNoCredentials], [ErrUnknown] or [ErrUnavailable]. With an Authorization
// header the client certificate does not count: a wrong token is not made good
// by it. It waits for an issuer only if a token cannot be checked with the keys
// at hand, until ctx is done or for a few seconds.
func (gate *Gate) Authenticate(ctx context.Context, request *http.Request) (Caller, error) {
	gate.look()
	current := gate.rules.Load()
	values := request.Header.Values("Authorization")
	if len(values) == 0 {
		return current.policy.certified(request.TLS, gate.now())
	}
	token, err := bearer(values)
	switch {
	case err != nil:
		return Caller{}, err
	case len(current.issuers) > 0 && looksSigned(token):
		return current.signed(ctx, token)
	default:
		return current.policy.static(token)
	}
}

// bearer returns the token of the only Authorization header. There may be
// several spaces before it, as the grammar of the header has it, and none
// within or after it.
func bearer(values []string) (string, error) {
	if len(values) != 1 {
		return "", refuse(reasonManyHeaders)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", refuse(reasonScheme)
	case token == "" || len(token) > maxToken || !visible(token):
		return "", refuse(reasonForm)
	}
	return token, nil
}

// NeedsClientCA tells whether the policy lets client certificates pass, which
// only a listener that verifies them against a client CA makes true. Without
// one, such entries let nobody pass.
func (gate *Gate) NeedsClientCA() bool { return len(gate.rules.Load().policy.Certificates) > 0 }

// String tells how many entries the policy has.
func (gate *Gate) String() string { return gate.rules.Load().policy.String() }

// look looks at the file again if the interval is over. One request does that;
// others that come meanwhile pass by the policy in force.
func (gate *Gate) look() {
	if gate.path == "" || !gate.looking.TryLock() {
		return
	}
	defer gate.looking.Unlock()
	if gate.now().Sub(gate.looked) >= gate.interval {
		// The fault is in the log, and the policy in force stays.
		_ = gate.reread()
	}
}

// Reload looks at the file at once. A file that is bad or gone leaves the
// policy in force as it is; the error says why.
func (gate *Gate) Reload() error {
	if gate.path == "" {
		return nil
	}
	gate.looking.Lock()
	defer gate.looking.Unlock()
	return gate.reread()
}

// reread puts the file's policy in force if it is a new one and good. It goes
// by the content, so that it does not matter how the file was replaced. The
// caller holds looking.
func (gate *Gate) reread() error {
	gate.looked = gate.now()
	content, err := readFile(gate.path)
	if err != nil {
		return gate.keep(fmt.Errorf("policy: %w", err))
	}
	digest, folder := sha256.Sum256(content), filepath.Dir(gate.path)
	if current := gate.rules.Load(); current != nil && gate.fault == "" && gate.digest == digest && current.sameRoots(folder) {
		return nil
	}
	policy, err := Parse(content, folder)
	if err != nil {
		return gate.keep(fmt.Errorf("policy %s:\n%w", gate.path, err))
	}
	gate.digest, gate.fault = digest, ""
	gate.adopt(policy)
	return nil
}

// keep keeps the policy in force, and says so once.
func (gate *Gate) keep(fault error) error {
	if gate.rules.Load() != nil && gate.fault != fault.Error() {
		gate.fault = fault.Error()
		gate.log.Error("the policy is not replaced; the one in force stays", "error", fault)
	}
	return fault
}

// adopt puts a policy in force. Issuers whose keys come from the same place as
// before keep them.
func (gate *Gate) adopt(policy Policy) {
	known := map[sourceID]*source{}
	if old := gate.rules.Load(); old != nil {
		for _, entry := range old.issuers {
			known[entry.source.sourceID] = entry.source
		}
	}
	fresh := &rules{policy: policy, issuers: map[string]*issuer{}}
	for _, entry := range policy.Issuers {
		id := sourceID{entry.URL, entry.JWKSURL, entry.roots}
		keys := known[id]
		if keys == nil {
			keys = newSource(id, gate.now, gate.log)
		}
		fresh.issuers[entry.URL] = &issuer{entry, keys, gate.now}
	}
	gate.rules.Store(fresh)
	gate.log.Info("policy in force", "tokens", len(policy.Tokens), "issuers", len(policy.Issuers), "certificates", len(policy.Certificates))
}

// sameRoots tells whether the files with issuers' root certificates are as they
// were. One that is gone is not; reading the policy again says so.
func (r *rules) sameRoots(folder string) bool {
	for _, entry := range r.policy.Issuers {
		if entry.CAFile == "" {
			continue
		}
		content, err := readFile(beside(folder, entry.CAFile))
		if err != nil || string(content) != entry.roots {
			return false
		}
	}
	return true
}
