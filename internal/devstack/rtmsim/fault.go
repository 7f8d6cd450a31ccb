package rtmsim

import (
	"fmt"
	"slices"
	"strings"
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
	OpFence   Op = "fence"
)

// Mode is what a fault does to a call. The call is checked first: a request
// that is a 400, or whose fencing number is too low at its arrival, does not
// meet the fault. What Applied modes, ModeSlow and ModeHeld do obeys the
// idempotency key and the fencing numbers like any call. An inspect has no
// effect, so its Applied modes answer like the plain ones. The effect of a fence
// is that its number counts.
//
// A client that replays a GET by itself when a reused connection breaks, as
// net/http does, meets a reset of an inspect twice.
type Mode string

// The modes of a fault.
const (
	// ModeStatus answers Fault.Status without effect.
	ModeStatus Mode = "status"
	// ModeAppliedThenStatus has its effect, then answers Fault.Status as if not.
	ModeAppliedThenStatus Mode = "applied_then_status"
	// ModeReset cuts the TCP connection without effect.
	ModeReset Mode = "reset"
	// ModeAppliedThenReset has its effect, then cuts the TCP connection.
	ModeAppliedThenReset Mode = "applied_then_reset"
	// ModeHang never answers and has no effect. It ends with the client, with
	// the server or with the simulator, and after ten minutes at the latest.
	ModeHang Mode = "hang"
	// ModeAppliedThenHang has its effect, then never answers, as ModeHang.
	ModeAppliedThenHang Mode = "applied_then_hang"
	// ModeSlow waits Fault.DelayMS and then does it right, even if the client
	// has gone meanwhile: the recreate comes late. Other calls of the same
	// game are not held up, so it may come after a recreate that was asked for
	// later, unless that had a higher fencing number. Only that, the end of the
	// server or the end of the simulator prevents it.
	ModeSlow Mode = "slow"
	// ModeHeld waits until its fault is let go of, see [Simulator.ReleaseFault],
	// or removed, and then does it right as ModeSlow does: so a test says when a
	// call lands, where a delay would race with it. It is not held any longer than
	// ten minutes.
	ModeHeld Mode = "held"
	// ModeAppliedThenSlow has its effect at once and answers truthfully after
	// Fault.DelayMS.
	ModeAppliedThenSlow Mode = "applied_then_slow"
	// ModeGarbage answers 200 with bytes that are not JSON, without effect.
	ModeGarbage Mode = "garbage"
	// ModeAppliedThenGarbage has its effect, then answers as ModeGarbage.
	ModeAppliedThenGarbage Mode = "applied_then_garbage"
	// ModeLie answers 200 as if the call had had its effect, which it has not.
	// An inspect is told Fault.ImageRef, running, whatever there is.
	ModeLie Mode = "lie"
	// ModeOtherImage is for patches only: it recreates, and answers 200 with
	// another image than the one asked for and recreated on.
	ModeOtherImage Mode = "other_image"
)

// appliesFirst reports whether a call has its effect before anything else.
func (mode Mode) appliesFirst() bool {
	switch mode {
	case ModeAppliedThenStatus, ModeAppliedThenReset, ModeAppliedThenHang, ModeAppliedThenSlow,
		ModeAppliedThenGarbage, ModeOtherImage:
		return true
	default:
		return false
	}
}

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
	// DelayMS is the delay of the slow modes in milliseconds, at most ten
	// minutes.
	DelayMS int `json:"delay_ms,omitempty"`
	// Times is how often the fault fires; zero is until it is cleared.
	Times int `json:"times,omitempty"`
	// RetryAfter goes into the Retry-After header of a 429 or 503, in seconds;
	// zero sends none.
	RetryAfter int `json:"retry_after,omitempty"`
	// ImageRef is what ModeLie tells an inspect.
	ImageRef string `json:"image_ref,omitempty"`
	// Name is free text of at most 255 bytes that comes back in reports and in
	// the log, so that whoever put the fault there can tell that it was met.
	Name string `json:"name,omitempty"`
}

// FaultReport is a fault with how often it fired. A fault that is used up or was
// released stays in the report.
type FaultReport struct {
	Fault
	Fired int `json:"fired"`
	// Released says that the fault was let go of, so that it fires no more.
	Released bool `json:"released,omitempty"`
}

// placed is a fault that was put there. The simulator's mu guards its report but
// for the Fault, which never changes.
type placed struct {
	FaultReport
	// released is closed when the fault is let go of or removed.
	released chan struct{}
}

// release lets go of what the fault holds. The simulator's mu is held. Safe to
// call again.
func (fault *placed) release() {
	if !fault.Released {
		fault.Released = true
		close(fault.released)
	}
}

// Validate returns an [*InputError] for the first field at fault.
func (fault Fault) Validate() error {
	switch {
	case fault.GameID == "" || len(fault.GameID) > maxText:
		return &InputError{"game_id", "must be a game id or *"}
	case !slices.Contains(ops(), fault.Op):
		return &InputError{"op", fmt.Sprintf("%q is not one of %q", fault.Op, ops())}
	case !slices.Contains(modes(), fault.Mode):
		return &InputError{"mode", fmt.Sprintf("%q is not one of %q", fault.Mode, modes())}
	case fault.Status != 0 && (fault.Status < 400 || fault.Status > 599):
		return &InputError{"status", "must be between 400 and 599"}
	case fault.DelayMS < 0 || fault.DelayMS > int(maxWait.Milliseconds()):
		return &InputError{"delay_ms", "must be between 0 and 600000"}
	case fault.Times < 0:
		return &InputError{"times", "must not be negative"}
	case fault.RetryAfter < 0:
		return &InputError{"retry_after", "must not be negative"}
	case len(fault.ImageRef) > maxImageRef:
		return &InputError{"image_ref", fmt.Sprintf("must not be longer than %d bytes", maxImageRef)}
	case len(fault.Name) > maxText:
		return &InputError{"name", fmt.Sprintf("must not be longer than %d bytes", maxText)}
	}
	return fault.complete()
}

// complete returns an [*InputError] when the mode lacks what it needs.
func (fault Fault) complete() error {
	switch {
	case (fault.Mode == ModeStatus || fault.Mode == ModeAppliedThenStatus) && fault.Status == 0:
		return &InputError{"status", "is required in this mode"}
	case (fault.Mode == ModeSlow || fault.Mode == ModeAppliedThenSlow) && fault.DelayMS == 0:
		return &InputError{"delay_ms", "is required in this mode"}
	case fault.Mode == ModeLie && fault.Op == OpInspect && strings.TrimSpace(fault.ImageRef) == "":
		return &InputError{"image_ref", "is required in this mode of an inspect"}
	case fault.Mode == ModeOtherImage && fault.Op != OpPatch:
		return &InputError{"mode", "other_image is for patches only"}
	}
	return nil
}

func ops() []Op { return []Op{OpPatch, OpInspect, OpFence} }

func modes() []Mode {
	return []Mode{
		ModeStatus, ModeAppliedThenStatus, ModeReset, ModeAppliedThenReset, ModeHang, ModeAppliedThenHang,
		ModeSlow, ModeHeld, ModeAppliedThenSlow, ModeGarbage, ModeAppliedThenGarbage, ModeLie, ModeOtherImage,
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
	s.faults = append(s.faults, &placed{FaultReport{Fault: fault}, make(chan struct{})})
	return nil
}

// ClearFaults removes every fault. What they do to requests that have met them
// goes on, but for ModeHeld, which lets go.
func (s *Simulator) ClearFaults() {
	s.removeFaults(func(*placed) bool { return true })
}

// DeleteFaultsOf removes the faults that were put there for gameID, or those for
// every game when it is [AnyGame]. Requests that have met them fare as with
// [Simulator.ClearFaults].
func (s *Simulator) DeleteFaultsOf(gameID string) {
	s.removeFaults(func(fault *placed) bool { return fault.GameID == gameID })
}

func (s *Simulator) removeFaults(chosen func(*placed) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(fault *placed) bool {
		if !chosen(fault) {
			return false
		}
		fault.release()
		return true
	})
}

// ReleaseFault lets go of the calls that the faults of that name hold, see
// [ModeHeld], and has them fire no more; they stay in the report. It returns
// false when there is none of that name, and nothing is called "".
func (s *Simulator) ReleaseFault(name string) (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		if name != "" && fault.Name == name {
			fault.release()
			found = true
		}
	}
	return found
}

// Faults returns every fault that was not removed, in order of putting; never
// nil.
func (s *Simulator) Faults() []FaultReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]FaultReport, 0, len(s.faults))
	for _, fault := range s.faults {
		reports = append(reports, fault.FaultReport)
	}
	return reports
}

// fire returns the fault that the call meets, if any, and counts it: the first
// one for the game itself, else the first one for every game. The caller holds
// mu.
func (s *Simulator) fire(gameID string, op Op) (*placed, bool) {
	candidates := []string{gameID, AnyGame}
	if isProbe(gameID) {
		candidates = candidates[:1]
	}
	for _, candidate := range candidates {
		for _, fault := range s.faults {
			usedUp := fault.Times > 0 && fault.Fired >= fault.Times
			if fault.GameID == candidate && fault.Op == op && !usedUp && !fault.Released {
				fault.Fired++
				return fault, true
			}
		}
	}
	return nil, false
}
