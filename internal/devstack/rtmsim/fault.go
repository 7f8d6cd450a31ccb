package rtmsim

import (
	"fmt"
	"slices"
	"time"
)

// AnyGame is the game id of a fault that concerns every game. It does not
// concern ids that start with '_', which only readiness probes ask for: a
// probe must not use up what a test put there for a patch.
const AnyGame = "*"

// Op is the call of the contract that a fault concerns.
type Op string

// The calls of the contract.
const (
	OpPatch   Op = "patch"
	OpInspect Op = "inspect"
)

// Mode is what a fault does to a call. The call is checked first: a request
// that is a 400 does not meet the fault. What Applied modes and ModeSlow do
// obeys the idempotency key like any patch. An inspect has no effect, so its
// Applied modes answer like the plain ones.
//
// A client that replays a GET by itself when a reused connection breaks, as
// net/http does, meets a reset of an inspect twice.
type Mode string

// The modes of a fault.
const (
	// ModeStatus answers Fault.Status without effect.
	ModeStatus Mode = "status"
	// ModeAppliedThenStatus recreates, then answers Fault.Status as if not.
	ModeAppliedThenStatus Mode = "applied_then_status"
	// ModeReset cuts the TCP connection without effect.
	ModeReset Mode = "reset"
	// ModeAppliedThenReset recreates, then cuts the TCP connection.
	ModeAppliedThenReset Mode = "applied_then_reset"
	// ModeHang never answers and has no effect. It ends with the client, with
	// the server or with the simulator, and after ten minutes at the latest.
	ModeHang Mode = "hang"
	// ModeSlow waits Fault.DelayMS and then does it right, even if the client
	// has gone meanwhile: the recreate comes late. Other calls of the same
	// game are not held up, so it may come after a recreate that was asked for
	// later. Only the end of the server or of the simulator prevents it.
	ModeSlow Mode = "slow"
	// ModeGarbage answers 200 with bytes that are not JSON, without effect.
	ModeGarbage Mode = "garbage"
)

// Bounds of a fault.
const (
	// maxWait bounds what a fault can hold up.
	maxWait = 10 * time.Minute
	// maxFaults keeps a test that forgets to clear from growing the list.
	maxFaults = 1000
)

// Fault is a misbehaviour that waits for its call. Fields that a mode does not
// use are checked and ignored.
type Fault struct {
	// GameID is the game concerned, or [AnyGame].
	GameID string `json:"game_id"`
	// Op is the call concerned.
	Op Op `json:"op"`
	// Mode is what happens to it.
	Mode Mode `json:"mode"`
	// Status is the HTTP status of the status modes, 400 to 599.
	Status int `json:"status,omitempty"`
	// DelayMS is the delay of ModeSlow in milliseconds, at most ten minutes.
	DelayMS int `json:"delay_ms,omitempty"`
	// Times is how often the fault fires; zero is until it is cleared.
	Times int `json:"times,omitempty"`
	// RetryAfter goes into the Retry-After header of a 429 or 503, in seconds;
	// zero sends none.
	RetryAfter int `json:"retry_after,omitempty"`
}

// FaultReport is a fault with how often it fired. A used up fault stays in the
// report.
type FaultReport struct {
	Fault
	Fired int `json:"fired"`
}

// Validate returns an [*InputError] for the first field at fault.
func (fault Fault) Validate() error {
	hasStatus := fault.Mode == ModeStatus || fault.Mode == ModeAppliedThenStatus
	switch {
	case fault.GameID == "" || len(fault.GameID) > maxText:
		return &InputError{"game_id", "must be a game id or *"}
	case fault.Op != OpPatch && fault.Op != OpInspect:
		return &InputError{"op", fmt.Sprintf("%q is neither patch nor inspect", fault.Op)}
	case !slices.Contains(modes(), fault.Mode):
		return &InputError{"mode", fmt.Sprintf("%q is not one of %q", fault.Mode, modes())}
	case hasStatus && fault.Status == 0:
		return &InputError{"status", "is required in this mode"}
	case fault.Status != 0 && (fault.Status < 400 || fault.Status > 599):
		return &InputError{"status", "must be between 400 and 599"}
	case fault.DelayMS < 0 || fault.DelayMS > int(maxWait.Milliseconds()):
		return &InputError{"delay_ms", "must be between 0 and 600000"}
	case fault.Mode == ModeSlow && fault.DelayMS == 0:
		return &InputError{"delay_ms", "is required in this mode"}
	case fault.Times < 0:
		return &InputError{"times", "must not be negative"}
	case fault.RetryAfter < 0:
		return &InputError{"retry_after", "must not be negative"}
	}
	return nil
}

func modes() []Mode {
	return []Mode{
		ModeStatus, ModeAppliedThenStatus, ModeReset, ModeAppliedThenReset, ModeHang, ModeSlow, ModeGarbage,
	}
}

// PutFault adds a fault behind those that are there, or returns an
// [*InputError].
func (s *Simulator) PutFault(fault Fault) error {
	if err := fault.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) >= maxFaults {
		return &InputError{"faults", "there are 1000 already; clear them first"}
	}
	s.faults = append(s.faults, &FaultReport{Fault: fault})
	return nil
}

// ClearFaults removes every fault. Requests that one holds stay held.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Faults returns every fault since the last ClearFaults, in order of putting;
// never nil.
func (s *Simulator) Faults() []FaultReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]FaultReport, 0, len(s.faults))
	for _, fault := range s.faults {
		reports = append(reports, *fault)
	}
	return reports
}

// fire returns the fault that the call meets, if any, and counts it: the first
// one for the game itself, else the first one for every game.
func (s *Simulator) fire(gameID string, op Op) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	candidates := []string{gameID, AnyGame}
	if isProbe(gameID) {
		candidates = candidates[:1]
	}
	for _, candidate := range candidates {
		for _, fault := range s.faults {
			usedUp := fault.Times > 0 && fault.Fired >= fault.Times
			if fault.GameID == candidate && fault.Op == op && !usedUp {
				fault.Fired++
				return fault.Fault, true
			}
		}
	}
	return Fault{}, false
}
