// Package runtime holds the runtime record: what Game Master knows of one
// running game, the statuses it passes through and the moves between them.
//
// The record is the source of truth of a game; the engine container follows it.
package runtime

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Sentinel errors of the runtime record. Stores wrap them, callers ask with
// [errors.Is].
var (
	// ErrNotFound says that no record exists for the game id.
	ErrNotFound = errors.New("runtime record not found")

	// ErrConflict says that the stored record is not what the caller believed:
	// a stale compare-and-swap, or an insert over an existing record.
	ErrConflict = errors.New("runtime record conflict")

	// ErrInvalidTransition says that a status may not move to another one.
	ErrInvalidTransition = errors.New("runtime status transition is not allowed")
)

// RuntimeRecord is one row of runtime_records. The name stutters because the
// specification has it so.
type RuntimeRecord struct {
	// GameID identifies the game; see [ValidGameID] for its shape.
	GameID string `json:"game_id"`

	// Status is where the game is in its life.
	Status Status `json:"status"`

	// CurrentImageRef is the image that the engine container has to run.
	CurrentImageRef string `json:"current_image_ref"`

	// CurrentEngineVersion is the semver of that image.
	CurrentEngineVersion string `json:"current_engine_version"`

	// EngineHealth is a short free-form summary, empty when nothing was
	// observed yet.
	EngineHealth string `json:"engine_health"`

	// NextGenerationAt is when the next turn is due; nil when none is
	// scheduled.
	NextGenerationAt *time.Time `json:"next_generation_at"`

	// SkipNextTick says that the next scheduled turn is to be left out.
	SkipNextTick bool `json:"skip_next_tick"`

	// CurrentTurn counts the generated turns, from zero.
	CurrentTurn int `json:"current_turn"`

	// CreatedAt and UpdatedAt are set by every writer, in UTC.
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`

	// StartedAt, StoppedAt and FinishedAt are nil until the game first got
	// there.
	StartedAt  *time.Time `json:"started_at"`
	StoppedAt  *time.Time `json:"stopped_at"`
	FinishedAt *time.Time `json:"finished_at"`
}

// Validate reports the first reason why record cannot be stored.
func (record RuntimeRecord) Validate() error {
	switch {
	case !ValidGameID(record.GameID):
		return fmt.Errorf("runtime record: game id %q does not match %s", record.GameID, gameIDPattern)
	case !record.Status.IsKnown():
		return fmt.Errorf("runtime record: status %q is unsupported", record.Status)
	case strings.TrimSpace(record.CurrentImageRef) == "":
		return errors.New("runtime record: current image ref must not be empty")
	case strings.TrimSpace(record.CurrentEngineVersion) == "":
		return errors.New("runtime record: current engine version must not be empty")
	case record.CurrentTurn < 0:
		return errors.New("runtime record: current turn must not be negative")
	case record.CreatedAt.IsZero():
		return errors.New("runtime record: created at must not be zero")
	case record.UpdatedAt.IsZero():
		return errors.New("runtime record: updated at must not be zero")
	}
	return nil
}

// Game ids travel in URLs, workflow IDs, container names and metric labels;
// the pattern is what all of them take without escaping.
const gameIDPattern = `^[a-z0-9][a-z0-9_-]{0,63}$`

var gameIDRegexp = regexp.MustCompile(gameIDPattern)

// ValidGameID reports whether id is 1 to 64 of the characters a-z, 0-9, '_'
// and '-', starting with a letter or digit.
func ValidGameID(id string) bool { return gameIDRegexp.MatchString(id) }
