// Package patch holds the pure rules of one patch: what may be asked, what is
// going to be done, what undoes it, and how its end is told. Nothing in it
// touches a store, a clock or a network.
package patch

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Bounds of the free texts of a request, in bytes. They are generous for what
// people and ticket systems write, and for what identity providers call their
// callers, and keep a request far below the size of one history event.
const (
	MaxSourceRef = 256
	MaxReason    = 1024
	MaxActor     = 256
)

// Request is one accepted request for a patch, and the first argument of the
// workflow.
type Request struct {
	// PatchID names the request; [NewID] makes it.
	PatchID string `json:"patch_id"`
	// GameID names the game to patch.
	GameID string `json:"game_id"`
	// Version is the strict semver to move to.
	Version string `json:"version"`
	// OpSource says how the request came in; anything unknown counts as
	// admin_rest.
	OpSource operation.OpSource `json:"op_source,omitempty"`
	// Actor is the name under which the caller was let in; empty for a run that
	// was started by hand. It is set from the authentication, never from what the
	// caller says of itself.
	Actor string `json:"actor,omitempty"`
	// SourceRef is the caller's own reference; opaque, may be empty.
	SourceRef string `json:"source_ref,omitempty"`
	// Reason is for the audit log; may be empty.
	Reason string `json:"reason,omitempty"`
	// Force recreates the container also when the game is on Version already.
	Force bool `json:"force,omitempty"`
	// ExpectedVersion is what the caller believes that the game runs; the patch
	// is refused with precondition_failed when it is not. Empty expects nothing.
	ExpectedVersion string `json:"expected_version,omitempty"`
}

// Validate returns a [*Refusal] with [CodeInvalidRequest] that names the field
// when no store needs to be asked to see that the request cannot be carried
// out.
func (request Request) Validate() error {
	if err := request.checkAsked(); err != nil {
		return err
	}
	if gameID, ok := GameOf(request.PatchID); !ok || gameID != request.GameID {
		return invalid("patch_id", "want the game id, a dot and 26 characters of a-z and 2-7")
	}
	return nil
}

// checkAsked is Validate for all but the patch id, which no caller chooses.
func (request Request) checkAsked() error {
	if err := checkGameID(request.GameID); err != nil {
		return err
	}
	if _, err := engineversion.ParseSemver(request.Version); err != nil {
		return invalid("version", err.Error())
	}
	if request.ExpectedVersion != "" {
		if _, err := engineversion.ParseSemver(request.ExpectedVersion); err != nil {
			return invalid("expected_version", err.Error())
		}
	}
	for _, text := range []struct {
		field, value string
		limit        int
	}{
		{"actor", request.Actor, MaxActor},
		{"source_ref", request.SourceRef, MaxSourceRef},
		{"reason", request.Reason, MaxReason},
	} {
		if err := checkText(text.field, text.value, text.limit); err != nil {
			return err
		}
	}
	return nil
}

func checkGameID(gameID string) error {
	if strings.TrimSpace(gameID) == "" {
		return invalid("game_id", "must not be empty")
	}
	if !runtime.ValidGameID(gameID) {
		return invalid("game_id", "want 1 to 64 of a-z, 0-9, '_' and '-', starting with a letter or digit")
	}
	return nil
}

func invalid(field, why string) *Refusal {
	return &Refusal{Code: CodeInvalidRequest, Message: field + ": " + why, Field: field}
}

// checkText bounds a free text. NUL cannot be stored in Postgres and broken
// UTF-8 cannot travel in a payload.
func checkText(field, text string, limit int) error {
	switch {
	case len(text) > limit:
		return invalid(field, fmt.Sprintf("is %d bytes long, at most %d are allowed", len(text), limit))
	case !utf8.ValidString(text):
		return invalid(field, "is not valid UTF-8")
	case strings.ContainsRune(text, 0):
		return invalid(field, "must not contain NUL")
	}
	return nil
}
