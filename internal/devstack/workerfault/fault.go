// Package workerfault breaks chosen steps of a running worker: it kills or stops
// the process before or after one, throws away the answer of one, or lets one
// hang. It is for tests and drills on throw-away stacks only.
//
// It is an interceptor of the SDK, which sees regular and local activities alike,
// and workflow tasks. Which faults are planned stands in a file that is read anew
// at each step, so that faults can be added to a worker that runs. Which of them
// fired stands in a journal, written to disk before the fault does its work: it is
// the witness that what was planned really happened, and it bounds how often a
// fault fires over all processes that share it.
package workerfault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mode is what a fault does.
type Mode string

// The modes of a fault that concerns a step. Those after the step take effect
// whether it succeeded or failed.
const (
	// KillBefore ends the process by SIGKILL before the step is run.
	KillBefore Mode = "kill_before"
	// KillAfter ends it when the step has been run and before its answer is
	// sent.
	KillAfter Mode = "kill_after"
	// StopBefore stops the process by SIGSTOP before the step is run, which goes
	// on when somebody sends SIGCONT to the process of the journal.
	StopBefore Mode = "stop_before"
	// StopAfter stops it as StopBefore does when the step has been run and
	// before its answer is sent.
	StopAfter Mode = "stop_after"
	// ErrorBefore answers a retryable error; the step is not run.
	ErrorBefore Mode = "error_before"
	// HangBefore does not run the step and does not answer before the attempt's
	// own time is over.
	HangBefore Mode = "hang_before"
	// ToldError runs the step, throws its result away and answers a retryable
	// error.
	ToldError Mode = "told_error"
	// Silent runs the step, throws its result away and answers nothing at all, so
	// that the server times the attempt out. The answer to a local activity does
	// not pass through the server: there, it stays out until the attempt's own
	// time is over.
	Silent Mode = "silent"
)

// The modes of a fault that concerns a workflow task. They fire while new
// progress is made, never while an old history is replayed, and what the task
// had decided is lost with the process.
const (
	// KillInTask ends the process by SIGKILL while it works on the task that
	// decides to run Fault.Activity.
	KillInTask Mode = "kill_in_task"
	// KillAtClose ends the process by SIGKILL while it works on the task that
	// closes the run.
	KillAtClose Mode = "kill_at_close"
)

var (
	beforeStep = []Mode{KillBefore, StopBefore, ErrorBefore, HangBefore}
	afterStep  = []Mode{KillAfter, StopAfter, ToldError, Silent}
	inTask     = []Mode{KillInTask}
	atClose    = []Mode{KillAtClose}
)

// Fault is a misbehaviour that waits for its step.
type Fault struct {
	// Name is what the journal and injected errors call it; required. Faults of
	// one name are counted together.
	Name string `json:"name"`
	// Mode is what it does.
	Mode Mode `json:"mode"`
	// Activity is the name of the step concerned, such as PatchContainer; empty
	// is any.
	Activity string `json:"activity,omitempty"`
	// GameID is the game whose patch is concerned, as the workflow ID names it;
	// empty is any run, also one of no game.
	GameID string `json:"game_id,omitempty"`
	// FirstAttempt and LastAttempt bound the attempts of the step that are
	// concerned, counted from 1; zero is no bound. Workflow tasks have none.
	FirstAttempt int32 `json:"first_attempt,omitempty"`
	LastAttempt  int32 `json:"last_attempt,omitempty"`
	// Code is the type of the ApplicationError that ErrorBefore and ToldError
	// answer; empty is a plain error, which has no type that anybody knows.
	Code string `json:"code,omitempty"`
	// Times is how often the fault fires, over all processes that share the
	// journal; zero is without end.
	Times int `json:"times,omitempty"`
}

// Validate returns the first reason why the fault cannot be planned.
func (fault Fault) Validate() error {
	ofTask := slices.Contains(inTask, fault.Mode) || slices.Contains(atClose, fault.Mode)
	known := ofTask || slices.Contains(beforeStep, fault.Mode) || slices.Contains(afterStep, fault.Mode)
	bounded := fault.FirstAttempt != 0 || fault.LastAttempt != 0
	switch {
	case fault.Name == "":
		return errors.New("workerfault: a fault needs a name")
	case !known:
		return fmt.Errorf("workerfault: %s: there is no mode %q", fault.Name, fault.Mode)
	case fault.FirstAttempt < 0 || fault.LastAttempt < 0 || fault.LastAttempt != 0 && fault.LastAttempt < fault.FirstAttempt:
		return fmt.Errorf("workerfault: %s: attempts %d to %d are none", fault.Name, fault.FirstAttempt, fault.LastAttempt)
	case ofTask && bounded:
		return fmt.Errorf("workerfault: %s: a workflow task has no attempts to choose from", fault.Name)
	case slices.Contains(atClose, fault.Mode) && fault.Activity != "":
		return fmt.Errorf("workerfault: %s: the close of a run is no activity's", fault.Name)
	case fault.Code != "" && fault.Mode != ErrorBefore && fault.Mode != ToldError:
		return fmt.Errorf("workerfault: %s: mode %s answers no code", fault.Name, fault.Mode)
	case fault.Times < 0:
		return fmt.Errorf("workerfault: %s: times must not be negative", fault.Name)
	}
	return nil
}

// meets reports whether the fault concerns the event.
func (fault Fault) meets(e event) bool {
	return slices.Contains(e.modes, fault.Mode) &&
		(fault.Activity == "" || fault.Activity == e.activity) &&
		(fault.GameID == "" || fault.GameID == e.gameID) &&
		(fault.FirstAttempt == 0 || e.attempt >= fault.FirstAttempt) &&
		(fault.LastAttempt == 0 || e.attempt <= fault.LastAttempt)
}

// WritePlan makes faults the whole plan of the workers that read path. They see
// the old plan or the new one, never a part.
func WritePlan(path string, faults ...Fault) error {
	text, err := encode(faults)
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("workerfault: write the plan: %w", err)
	}
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("workerfault: write the plan: %w", errors.Join(err, os.Remove(draft.Name())))
	}
	return nil
}

// AddFaults appends faults to the plan at path, which is made when missing.
func AddFaults(path string, faults ...Fault) error {
	text, err := encode(faults)
	if err != nil {
		return err
	}
	if err := appendTo(path, text); err != nil {
		return fmt.Errorf("workerfault: add to the plan: %w", err)
	}
	return nil
}

func appendTo(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// encode returns faults as lines of JSON.
func encode(faults []Fault) ([]byte, error) {
	var text []byte
	for _, fault := range faults {
		if err := fault.Validate(); err != nil {
			return nil, err
		}
		line, err := json.Marshal(fault)
		if err != nil {
			return nil, err
		}
		text = append(append(text, line...), '\n')
	}
	return text, nil
}

// readPlan returns the faults of the file: one JSON object per line. A last line
// without an end is still being written and not looked at.
func readPlan(path string) ([]Fault, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("workerfault: read the plan: %w", err)
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	var faults []Fault
	number := 0
	for line := range strings.Lines(string(whole)) {
		number++
		if strings.TrimSpace(line) == "" {
			continue
		}
		var fault Fault
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&fault)
		if err == nil {
			err = fault.Validate()
		}
		if err != nil {
			return nil, fmt.Errorf("workerfault: plan, line %d: %w", number, err)
		}
		faults = append(faults, fault)
	}
	return faults, nil
}
