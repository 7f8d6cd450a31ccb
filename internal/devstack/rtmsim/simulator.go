package rtmsim

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// StatusRunning is the status of a container that serves its game.
const StatusRunning = "running"

// maxHistory is how many recreates, and with them keys, are kept of one game.
// It bounds the state file; nobody retries a key ten thousand recreates later.
const maxHistory = 10_000

// Bounds in bytes: of ids, statuses and keys, and of image references.
const (
	maxText     = 255
	maxImageRef = 1024
)

// Runtime is what the simulator knows of one game's container.
type Runtime struct {
	GameID   string `json:"game_id"`
	ImageRef string `json:"image_ref"`
	Status   string `json:"status"`
	// Recreates counts the recreates since the game was first put there.
	Recreates int `json:"recreates"`
	// History holds the last 10,000 recreates, the oldest first; never null.
	History []Recreate `json:"history"`
}

// Recreate is one recreate that took place.
type Recreate struct {
	ImageRef       string    `json:"image_ref"`
	IdempotencyKey string    `json:"idempotency_key"`
	At             time.Time `json:"at"`
}

// Simulator is an [http.Handler]. It is safe for concurrent use.
type Simulator struct {
	mux    *http.ServeMux
	closed chan struct{}
	close  func()
	// after is time.After, but in tests.
	after func(time.Duration) <-chan time.Time
	// file is where the state is kept; empty keeps it in memory only.
	file string

	// mu guards all below. It is held over a whole change with its write to
	// the file, which serialises the recreates, and never while waiting.
	mu       sync.Mutex
	runtimes map[string]*Runtime
	faults   []*placed
	log      callLog
	// fences holds the highest fencing number seen of each game, also of those
	// without a container; unfenced says that nobody looks at it.
	fences   map[string]int64
	unfenced bool
}

// New returns a simulator without containers and faults that keeps nothing
// when it ends.
func New() *Simulator {
	closed := make(chan struct{})
	simulator := &Simulator{
		mux:      http.NewServeMux(),
		closed:   closed,
		close:    sync.OnceFunc(func() { close(closed) }),
		after:    time.After,
		runtimes: map[string]*Runtime{},
		log:      callLog{limit: maxLog},
		fences:   map[string]int64{},
	}
	simulator.routes()
	return simulator
}

// ServeHTTP answers one request of the contract or of the control API.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close cuts off the requests that a fault holds, which then have no effect
// that they did not have before, and makes later ones of their kind end at once.
// All else keeps working. Call it before closing a test server, which waits for its requests.
func (s *Simulator) Close() { s.close() }

// PutRuntime puts a container there, or overwrites the one that is there; an
// empty status means [StatusRunning]. It is not a recreate: count, history and
// keys stay. It returns an [*InputError], or an error of the state file, and
// then nothing changed.
func (s *Simulator) PutRuntime(gameID, imageRef, status string) error {
	if status == "" {
		status = StatusRunning
	}
	if err := checkGameID(gameID); err != nil {
		return err
	}
	if err := checkText("image_ref", imageRef, maxImageRef); err != nil {
		return err
	}
	if err := checkText("status", status, maxText); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := Runtime{GameID: gameID}
	if now, ok := s.runtimes[gameID]; ok {
		next = *now
	}
	next.ImageRef, next.Status = imageRef, status
	return s.commit(gameID, &next)
}

// Runtime returns a copy of what is known of gameID; false when it has no
// container.
func (s *Simulator) Runtime(gameID string) (Runtime, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.runtimes[gameID]
	if !ok {
		return Runtime{}, false
	}
	return found.copied(), true
}

// Runtimes returns a copy of everything, by game id; never nil.
func (s *Simulator) Runtimes() []Runtime {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Runtime, 0, len(s.runtimes))
	for _, gameID := range slices.Sorted(maps.Keys(s.runtimes)) {
		all = append(all, s.runtimes[gameID].copied())
	}
	return all
}

// DeleteRuntime forgets gameID with its history and its keys, and reports
// whether there was a container. The highest fencing number stays: a call that
// was fenced off must not land on a container that is put there later. An error
// is one of the state file, and then nothing changed.
func (s *Simulator) DeleteRuntime(gameID string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.runtimes[gameID]; !ok {
		return false, nil
	}
	err := s.commit(gameID, nil)
	return err == nil, err
}

var errNoContainer = errors.New("the game has no container")

// commit makes next the state of gameID, nil for none, and keeps the old state
// when it cannot be written. The caller holds mu.
func (s *Simulator) commit(gameID string, next *Runtime) error {
	before, existed := s.runtimes[gameID]
	if next == nil {
		delete(s.runtimes, gameID)
	} else {
		s.runtimes[gameID] = next
	}
	err := s.save()
	if err == nil {
		return nil
	}
	if existed {
		s.runtimes[gameID] = before
	} else {
		delete(s.runtimes, gameID)
	}
	return err
}

func (runtime Runtime) copied() Runtime {
	runtime.History = append([]Recreate{}, runtime.History...)
	return runtime
}

// InputError is a value that the simulator does not take.
type InputError struct {
	// Field is the field or header at fault, or "body".
	Field string
	// Problem says what is wrong with it.
	Problem string
}

// Error is "<field>: <problem>".
func (e *InputError) Error() string { return e.Field + ": " + e.Problem }

func checkText(field, value string, limit int) error {
	switch {
	case strings.TrimSpace(value) == "":
		return &InputError{field, "must not be empty"}
	case len(value) > limit:
		return &InputError{field, fmt.Sprintf("must not be longer than %d bytes", limit)}
	}
	return nil
}

// checkGameID takes more than Game Master would, so that a client's escaping
// can be tried, but neither the wildcard of a fault nor the ids that start
// with '_', which are left to probes.
func checkGameID(gameID string) error {
	if err := checkText("game_id", gameID, maxText); err != nil {
		return err
	}
	if gameID == AnyGame || isProbe(gameID) {
		return &InputError{"game_id", "must not be * or start with _"}
	}
	return nil
}

// isProbe reports whether gameID can be no game's, so that only a readiness
// probe asks for it.
func isProbe(gameID string) bool { return strings.HasPrefix(gameID, "_") }
