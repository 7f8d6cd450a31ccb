package workerfault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// Entry says that a fault has fired.
type Entry struct {
	// Fault and Mode are the name and mode of the fault.
	Fault string `json:"fault"`
	Mode  Mode   `json:"mode"`
	// PID is the worker process.
	PID int `json:"pid"`
	// Activity and Attempt are the step; a workflow task has no attempt, and the
	// close of a run no activity.
	Activity string `json:"activity,omitempty"`
	Attempt  int32  `json:"attempt,omitempty"`
	// Local says that the step is a local activity.
	Local bool `json:"local,omitempty"`
	// WorkflowID, RunID and GameID are the run; GameID is empty for one of no
	// game.
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	GameID     string `json:"game_id,omitempty"`
	// StepFailed says, of a fault after a step, that the step had returned an
	// error.
	StepFailed bool `json:"step_failed,omitempty"`
	// Time is when it fired.
	Time time.Time `json:"time"`
}

// ReadJournal returns what has fired so far, oldest first; none when there is no
// file yet.
func ReadJournal(path string) ([]Entry, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("workerfault: read the journal: %w", err)
	}
	return entries(string(text)), nil
}

// entries leaves out a line that somebody was killed in the middle of: it is no
// witness, as the fault had not done its work yet.
func entries(text string) []Entry {
	var list []Entry
	for line := range strings.Lines(text) {
		var entry Entry
		if json.Unmarshal([]byte(line), &entry) == nil {
			list = append(list, entry)
		}
	}
	return list
}

// fire puts the entry into the journal, on the disk, unless the fault has fired
// times times already. Of several processes that try at once, each sees what
// those before it have written.
func fire(path string, entry Entry, times int) (fired bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("workerfault: write the journal: %w", err)
		}
	}()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	// The lock goes with the file, also when the process is killed.
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := lock(file); err != nil {
		return false, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return false, err
	}
	if times > 0 {
		for _, earlier := range entries(string(text)) {
			if earlier.Fault == entry.Fault {
				times--
			}
		}
		if times <= 0 {
			return false, nil
		}
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return false, err
	}
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		line = append([]byte("\n"), line...)
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		return false, err
	}
	return true, file.Sync()
}

// lock waits until no other process, and no other step of this one, has the file
// locked. They hold it for the milliseconds of a write to disk.
func lock(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
