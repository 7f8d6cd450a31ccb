package rtmsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fileVersion is the layout of the state file. Version 1, which had no fencing
// numbers, is still read.
const fileVersion = 2

// state is the content of the state file. Faults, a switched off fencing and the
// log are not kept: whoever comes back to the dev stack the next day would not
// look for the first two, and the log is the witness of one run.
type state struct {
	Version  int       `json:"version"`
	Runtimes []Runtime `json:"runtimes"`
	// Fences holds the highest fencing number seen of each game.
	Fences map[string]int64 `json:"fences,omitempty"`
}

// Open returns a simulator that keeps its containers, histories, keys and
// fencing numbers in file, a JSON file written anew on each change: it holds the state before the
// change or the one after it, never half of one. A file that does not exist is
// created, its folder has to be there. A file that cannot be read as a state is
// an error and stays as it is. One process may use a file at a time, which is
// not checked.
func Open(file string) (*Simulator, error) {
	simulator := New()
	content, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("open simulator state: %w", err)
	default:
		if err := simulator.load(content); err != nil {
			return nil, fmt.Errorf("open simulator state %s: %w", file, err)
		}
	}
	simulator.file = file
	// A place that cannot be written shows now and not at the first patch.
	if err := simulator.save(); err != nil {
		return nil, err
	}
	return simulator, nil
}

func (s *Simulator) load(content []byte) error {
	var kept state
	if err := json.Unmarshal(content, &kept); err != nil {
		return fmt.Errorf("not a state file: %w", err)
	}
	if kept.Version < 1 || kept.Version > fileVersion {
		return fmt.Errorf("version %d, expected 1 to %d", kept.Version, fileVersion)
	}
	for _, runtime := range kept.Runtimes {
		if err := checkGameID(runtime.GameID); err != nil {
			return err
		}
		s.runtimes[runtime.GameID] = &runtime
	}
	for gameID, fence := range kept.Fences {
		if err := errors.Join(checkGameID(gameID), checkFence("fences", fence)); err != nil {
			return err
		}
		s.fences[gameID] = fence
	}
	return nil
}

// save writes everything to the state file, if there is one. The caller holds
// mu, but for Open, which is alone.
func (s *Simulator) save() error {
	if s.file == "" {
		return nil
	}
	kept := state{Version: fileVersion, Runtimes: []Runtime{}, Fences: s.fences}
	for _, runtime := range s.runtimes {
		kept.Runtimes = append(kept.Runtimes, runtime.copied())
	}
	content, err := json.Marshal(kept)
	if err == nil {
		err = replace(s.file, content)
	}
	if err != nil {
		return fmt.Errorf("write simulator state: %w", err)
	}
	return nil
}

// replace writes content beside file and moves it there. The content is synced
// before the move: a name that points to bytes which never reached the disk is
// what a crash would otherwise leave.
func replace(file string, content []byte) error {
	draft, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = draft.Write(content)
	if err == nil {
		err = draft.Sync()
	}
	err = errors.Join(err, draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return nil
}
