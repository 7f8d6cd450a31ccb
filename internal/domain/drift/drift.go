// Package drift holds the pure rules of comparing runtime records with their
// containers: what differs, what may be done about it, and how a pass of the
// watch is told. Nothing in it touches a store, a clock or a network.
package drift

import (
	"errors"
	"slices"
	"time"

	"galaxy/gamemaster/internal/domain/runtime"
)

// ErrNotFound says that there is no such finding, or that no pass of the watch
// has ended yet.
var ErrNotFound = errors.New("drift not found")

// Kind is how a record and its container stand to each other.
type Kind string

// The kinds.
const (
	// InSync: the container is what the record says.
	InSync Kind = "in_sync"
	// ImageDrift: the container is up on another image than the record's.
	ImageDrift Kind = "image_drift"
	// Missing: the record wants a container, and none is up.
	Missing Kind = "missing"
	// Extra: a container is up, and the record says that the game is stopped or
	// finished.
	Extra Kind = "extra"
)

// Kinds returns the kinds of a difference.
func Kinds() []Kind { return []Kind{ImageDrift, Missing, Extra} }

// IsDifference reports whether kind is one of [Kinds].
func (kind Kind) IsDifference() bool { return slices.Contains(Kinds(), kind) }

// Container is what was seen of a game's container; the zero value says that
// there is none.
type Container struct {
	ImageRef string `json:"image_ref,omitempty"`
	// Status is Runtime Manager's own word.
	Status string `json:"status,omitempty"`
	// Running says that it serves its game.
	Running bool `json:"running,omitempty"`
}

// Judge compares a record with its container. A game that is starting may have
// no container yet.
func Judge(record runtime.RuntimeRecord, container Container) Kind {
	switch record.Status {
	case runtime.StatusStopped, runtime.StatusFinished:
		if container.Running {
			return Extra
		}
		return InSync
	case runtime.StatusStarting:
		if !container.Running {
			return InSync
		}
	default:
		if !container.Running {
			return Missing
		}
	}
	if container.ImageRef != record.CurrentImageRef {
		return ImageDrift
	}
	return InSync
}

// Finding is a difference that a pass of the watch found, and that it has found
// again or no longer since.
type Finding struct {
	ID     int64  `json:"id"`
	GameID string `json:"game_id"`
	Kind   Kind   `json:"kind"`
	// Record is what the row said, and Container what ran, when it was last seen.
	RecordStatus   runtime.Status `json:"record_status"`
	RecordVersion  string         `json:"record_version"`
	RecordImageRef string         `json:"record_image_ref"`
	Container      Container      `json:"container"`
	// FirstSeenAt and LastSeenAt bound the sightings.
	FirstSeenAt time.Time `json:"first_seen_at"`
	LastSeenAt  time.Time `json:"last_seen_at"`
	// ResolvedAt is when a pass no longer found it; nil while it is open.
	ResolvedAt *time.Time `json:"resolved_at,omitempty"`
}

// Pass is one walk of the watch over all records.
type Pass struct {
	// ID is the run that made it.
	ID         string     `json:"id"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	Counts
}

// Counts tell what a pass, or a page of it, came to.
type Counts struct {
	// Checked are the records that were compared.
	Checked int64 `json:"checked"`
	InSync  int64 `json:"in_sync"`
	// ImageDrift, Missing and Extra are the differences that were found.
	ImageDrift int64 `json:"image_drift"`
	Missing    int64 `json:"missing"`
	Extra      int64 `json:"extra"`
	// Skipped are the records whose game had an open patch.
	Skipped int64 `json:"skipped"`
	// Unknown are the records whose container Runtime Manager did not tell of.
	Unknown int64 `json:"unknown"`
}

// Add returns the sum.
func (counts Counts) Add(more Counts) Counts {
	return Counts{
		Checked: counts.Checked + more.Checked, InSync: counts.InSync + more.InSync,
		ImageDrift: counts.ImageDrift + more.ImageDrift, Missing: counts.Missing + more.Missing,
		Extra: counts.Extra + more.Extra, Skipped: counts.Skipped + more.Skipped, Unknown: counts.Unknown + more.Unknown,
	}
}

// Count counts one judged record.
func (counts *Counts) Count(kind Kind) {
	counts.Checked++
	switch kind {
	case InSync:
		counts.InSync++
	case ImageDrift:
		counts.ImageDrift++
	case Missing:
		counts.Missing++
	case Extra:
		counts.Extra++
	}
}
