// Package engineversion holds the registry entry of one engine version and the
// semver rules that decide which version may follow which.
package engineversion

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Sentinel errors of the version registry and of semver.
var (
	// ErrNotFound says that the version is not registered.
	ErrNotFound = errors.New("engine version not found")

	// ErrConflict says that the registry is not what the caller believed: the
	// version is registered already, or with another image.
	ErrConflict = errors.New("engine version conflict")

	// ErrInUse says that the image of a version cannot change, because a runtime
	// record names the version.
	ErrInUse = errors.New("engine version is in use")

	// ErrDeprecated says that the version is registered but not active, so that
	// no game may begin on it.
	ErrDeprecated = errors.New("engine version is deprecated")

	// ErrInvalidSemver says that a string is not a strict semantic version
	// (semver.org 2.0.0: three numbers, no leading "v").
	ErrInvalidSemver = errors.New("not a semantic version")
)

// Status says whether games may move to a version.
type Status string

// The statuses of a registered version.
const (
	// StatusActive versions can be patched to.
	StatusActive Status = "active"
	// StatusDeprecated versions keep running where they run; nothing moves to
	// them.
	StatusDeprecated Status = "deprecated"
)

// IsKnown reports whether status is one of the constants above.
func (status Status) IsKnown() bool {
	return status == StatusActive || status == StatusDeprecated
}

// EngineVersion is one row of engine_versions.
type EngineVersion struct {
	// Version is the strict semver under which the image is registered.
	Version string `json:"version"`
	// ImageRef is the container image of the version.
	ImageRef string `json:"image_ref"`
	// Status says whether games may move to it.
	Status Status `json:"status"`
	// CreatedAt and UpdatedAt are in UTC.
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Validate reports the first reason why version cannot be registered.
func (version EngineVersion) Validate() error {
	if _, err := ParseSemver(version.Version); err != nil {
		return fmt.Errorf("engine version: %w", err)
	}
	if strings.TrimSpace(version.ImageRef) == "" {
		return errors.New("engine version: image ref must not be empty")
	}
	if !version.Status.IsKnown() {
		return fmt.Errorf("engine version: status %q is unsupported", version.Status)
	}
	return nil
}

// MaxLength bounds a version string: room for any sane pre-release and build
// metadata, and far below what a search attribute or an index can hold.
const MaxLength = 128

// ParseSemver reads a strict semantic version. The error wraps
// [ErrInvalidSemver] and is fit to be shown to the caller.
func ParseSemver(version string) (*semver.Version, error) {
	if len(version) > MaxLength {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrInvalidSemver, MaxLength)
	}
	parsed, err := semver.StrictNewVersion(version)
	if err != nil {
		return nil, fmt.Errorf("%w: %q, want MAJOR.MINOR.PATCH such as 1.4.2", ErrInvalidSemver, version)
	}
	return parsed, nil
}

// IsPatchUpgrade reports whether target has the major and minor of current, so
// that a game on current may be patched to it. As in the specification the
// patch numbers themselves are not compared: a lower one is a rollback.
// The error wraps [ErrInvalidSemver] and says which of the two is unreadable.
func IsPatchUpgrade(current, target string) (bool, error) {
	from, err := ParseSemver(current)
	if err != nil {
		return false, fmt.Errorf("current version: %w", err)
	}
	to, err := ParseSemver(target)
	if err != nil {
		return false, fmt.Errorf("target version: %w", err)
	}
	return from.Major() == to.Major() && from.Minor() == to.Minor(), nil
}
