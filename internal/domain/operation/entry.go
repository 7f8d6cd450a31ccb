// Package operation holds the audit entry: which operation was asked for, by
// whom, and how it ended.
package operation

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// OpKind is what was done.
type OpKind string

// The kinds of an operation.
const (
	// OpKindPatch is the move of a running game to another engine image.
	OpKindPatch OpKind = "patch"
	// OpKindReconcile brings a game's record and container together.
	OpKindReconcile OpKind = "reconcile"
)

// IsKnown reports whether kind is one of the constants above.
func (kind OpKind) IsKnown() bool { return kind == OpKindPatch || kind == OpKindReconcile }

// OrPatch returns kind, or [OpKindPatch] when it is missing.
func (kind OpKind) OrPatch() OpKind {
	if kind == "" {
		return OpKindPatch
	}
	return kind
}

// OpSource is how the request entered Game Master.
type OpSource string

// The sources of an operation.
const (
	OpSourceAdminRest OpSource = "admin_rest"
	OpSourceAdminCLI  OpSource = "admin_cli"
	OpSourceSystem    OpSource = "system"
)

// IsKnown reports whether source is one of the constants above.
func (source OpSource) IsKnown() bool {
	switch source {
	case OpSourceAdminRest, OpSourceAdminCLI, OpSourceSystem:
		return true
	}
	return false
}

// OrDefault returns source, or [OpSourceAdminRest] when it is missing or
// unknown, as the specification has it.
func (source OpSource) OrDefault() OpSource {
	if source.IsKnown() {
		return source
	}
	return OpSourceAdminRest
}

// Outcome is how an operation ended.
type Outcome string

// The outcomes of an operation.
const (
	OutcomeSuccess Outcome = "success"
	OutcomeFailure Outcome = "failure"
)

// IsKnown reports whether outcome is one of the constants above.
func (outcome Outcome) IsKnown() bool {
	return outcome == OutcomeSuccess || outcome == OutcomeFailure
}

// OperationEntry is one row of operation_log. The name stutters because the
// specification has it so.
type OperationEntry struct {
	// ID is given by the store; zero before the entry is appended.
	ID int64 `json:"id"`

	GameID   string   `json:"game_id"`
	OpKind   OpKind   `json:"op_kind"`
	OpSource OpSource `json:"op_source"`
	// SourceRef is the caller's own opaque reference; may be empty.
	SourceRef string `json:"source_ref"`
	// Actor is the name under which the caller was let in; empty when a run was
	// started by hand, and in rows of before it was kept.
	Actor string `json:"actor"`

	Outcome Outcome `json:"outcome"`
	// ErrorCode and ErrorMessage are empty on success.
	ErrorCode    string `json:"error_code"`
	ErrorMessage string `json:"error_message"`

	StartedAt time.Time `json:"started_at"`
	// FinishedAt is nil while the operation is under way; a patch is only ever
	// appended finished.
	FinishedAt *time.Time `json:"finished_at"`

	// PatchID and RunID name the request and the workflow run that carried it
	// out. Together they are unique: one row per run.
	PatchID string `json:"patch_id"`
	RunID   string `json:"run_id"`

	// Reason is what the caller gave as the reason; may be empty.
	Reason string `json:"reason"`

	// Noop says that the game was on the target already and nothing was
	// recreated.
	Noop bool `json:"noop"`

	// The move; each is empty when the run ended before it was known.
	FromVersion  string `json:"from_version"`
	FromImageRef string `json:"from_image_ref"`
	ToVersion    string `json:"to_version"`
	ToImageRef   string `json:"to_image_ref"`

	// Undo is what the compensation saw and did, in one sentence; empty when
	// there was nothing to compensate.
	Undo string `json:"undo"`
}

// Validate reports the first reason why entry cannot be appended.
func (entry OperationEntry) Validate() error {
	switch {
	case strings.TrimSpace(entry.GameID) == "":
		return errors.New("operation entry: game id must not be empty")
	case !entry.OpKind.IsKnown():
		return fmt.Errorf("operation entry: op kind %q is unsupported", entry.OpKind)
	case !entry.OpSource.IsKnown():
		return fmt.Errorf("operation entry: op source %q is unsupported", entry.OpSource)
	case !entry.Outcome.IsKnown():
		return fmt.Errorf("operation entry: outcome %q is unsupported", entry.Outcome)
	case entry.Outcome == OutcomeSuccess && entry.ErrorCode != "":
		return fmt.Errorf("operation entry: success with error code %q", entry.ErrorCode)
	case entry.Outcome == OutcomeFailure && strings.TrimSpace(entry.ErrorCode) == "":
		return errors.New("operation entry: failure without error code")
	case entry.StartedAt.IsZero():
		return errors.New("operation entry: started at must not be zero")
	case entry.FinishedAt != nil && entry.FinishedAt.IsZero():
		return errors.New("operation entry: finished at must not be zero when set")
	}
	return nil
}
