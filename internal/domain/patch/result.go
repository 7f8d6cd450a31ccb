package patch

import (
	"time"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Phase is where a patch is.
type Phase string

// The phases of a patch.
const (
	PhaseValidating    Phase = "validating"
	PhasePatching      Phase = "patching"
	PhaseRecording     Phase = "recording"
	PhaseCompensating  Phase = "compensating"
	PhaseNeedsOperator Phase = "needs_operator"
	PhaseAuditing      Phase = "auditing"
	PhaseDone          Phase = "done"
)

// State is what a run answers to the query "state" while it is open and after.
type State struct {
	PatchID string `json:"patch_id"`
	GameID  string `json:"game_id"`
	Phase   Phase  `json:"phase"`
	// Step is the activity of the phase; empty when nothing runs.
	Step string `json:"step,omitempty"`
	// Doing is what Step does, or what the run waits for when there is none, in
	// words.
	Doing string `json:"doing,omitempty"`
	// Since is when Step or the wait began, and Until when it is given up at the
	// latest; zero when that is not known, or there is no bound.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// NextAttempt is when Step is tried again; zero while it is being tried. A
	// workflow cannot know it: who describes the run puts it in.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Attempts counts the tries of Step. The workflow learns it when the step
	// ends; while it is under way Temporal's own count is put in its place by
	// whoever describes the run.
	Attempts int `json:"attempts"`
	// From and To are known once the version was validated.
	From Image `json:"from"`
	To   Image `json:"to"`
	// Code and LastError are those of the latest failure, of the open step too.
	Code      Code   `json:"code,omitempty"`
	LastError string `json:"last_error,omitempty"`
}

// Result is how a patch ended.
type Result struct {
	PatchID    string `json:"patch_id"`
	GameID     string `json:"game_id"`
	WorkflowID string `json:"workflow_id"`
	RunID      string `json:"run_id"`
	// Kind is empty for a patch.
	Kind    operation.OpKind  `json:"kind,omitempty"`
	Outcome operation.Outcome `json:"outcome"`
	// Code and Message are empty on success.
	Code    Code   `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	// Field is the request's field that is to be mended, for
	// [CodeInvalidRequest].
	Field string `json:"field,omitempty"`
	// Noop says that the game was on the target already.
	Noop bool  `json:"noop"`
	From Image `json:"from"`
	To   Image `json:"to"`
	// Runtime is the record after the rotation; nil unless the patch succeeded.
	Runtime *runtime.RuntimeRecord `json:"runtime,omitempty"`
	// Undo is nil when there was nothing to compensate.
	Undo *Undo `json:"undo,omitempty"`
	// StartedAt and FinishedAt bound the run.
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
}

// IsSuccess reports whether the patch did what was asked.
func (result Result) IsSuccess() bool { return result.Outcome == operation.OutcomeSuccess }

// UndoSentence tells the undo in the audit row and on the page of the run, and
// tells it apart when a reset had the run take it over: nothing was done or
// looked at by the run itself then. It is empty when there was no undo.
func (result Result) UndoSentence() string {
	if result.Undo == nil {
		return ""
	}
	return result.Undo.sentence(result.Undo.RunID != "" && result.Undo.RunID != result.RunID)
}

// Stands reports whether a patch whose rotation was tried, and whose outcome was
// not known, took place after all: the compensation found the row on the
// target. A forced patch to what the row named before proves nothing by it.
func Stands(plan Plan, undo Undo) bool {
	return plan.From != plan.To && undo.Row == plan.To
}

// Abandoned is the final word on a patch whose compensation an operator gave
// up: none of the codes that promise a container in line with its row may be
// given.
func Abandoned(failure *Refusal) *Refusal {
	return refuse(CodeServiceUnavailable,
		"the container could not be put back in line with the record and an operator abandoned it; it began with "+failure.Error())
}

// maxAuditText bounds a text of the audit row, in bytes; a longer one is cut.
const maxAuditText = 2048

// maxAuditGameID is the longest game id that the audit log takes.
const maxAuditGameID = 256

// Entry is the audit row of a finished run.
func Entry(request Request, result Result) operation.OperationEntry {
	finished := result.FinishedAt
	patchID := result.PatchID
	if patchID == "" {
		// A run that was started by hand without one; with the run id it is
		// unique all the same, so that a retried append finds its row.
		patchID = result.WorkflowID
	}
	return operation.OperationEntry{
		GameID:       Storable(result.GameID, maxAuditGameID),
		OpKind:       result.Kind.OrPatch(),
		OpSource:     request.OpSource.OrDefault(),
		SourceRef:    Storable(request.SourceRef, maxAuditText),
		Actor:        Storable(request.Actor, MaxActor),
		Outcome:      result.Outcome,
		ErrorCode:    string(result.Code),
		ErrorMessage: Storable(result.Message, maxAuditText),
		StartedAt:    result.StartedAt,
		FinishedAt:   &finished,
		PatchID:      Storable(patchID, maxAuditGameID),
		RunID:        result.RunID,
		Reason:       Storable(request.Reason, maxAuditText),
		Noop:         result.Noop,
		Undo:         Storable(result.UndoSentence(), maxAuditText),
		FromVersion:  result.From.Version,
		FromImageRef: result.From.ImageRef,
		ToVersion:    Storable(result.To.Version, maxAuditText),
		ToImageRef:   result.To.ImageRef,
	}
}

// AfterReset is the audit row of a run that took another's place after a reset
// and did not write the record itself, given the earlier rows of its game. When
// one of them tells the same move of the same patch, the run before made it and
// told it: this one is told to have changed nothing.
func AfterReset(entry operation.OperationEntry, earlier []operation.OperationEntry) (_ operation.OperationEntry, told bool) {
	if entry.Outcome != operation.OutcomeSuccess || entry.Noop {
		return entry, false
	}
	for _, row := range earlier {
		tells := row.PatchID == entry.PatchID && row.RunID != entry.RunID && row.Outcome == operation.OutcomeSuccess && !row.Noop
		if tells && row.ToVersion == entry.ToVersion && row.ToImageRef == entry.ToImageRef {
			entry.Noop = true
			entry.FromVersion, entry.FromImageRef = entry.ToVersion, entry.ToImageRef
			return entry, true
		}
	}
	return entry, false
}

// ResultOf reads a result back from the audit row, for runs that Temporal has
// forgotten. The record after the rotation is not kept there.
func ResultOf(entry operation.OperationEntry) Result {
	result := Result{
		PatchID:    entry.PatchID,
		GameID:     entry.GameID,
		Kind:       kindOfEntry(entry.OpKind),
		WorkflowID: WorkflowID(entry.GameID),
		RunID:      entry.RunID,
		Outcome:    entry.Outcome,
		Code:       Code(entry.ErrorCode),
		Message:    entry.ErrorMessage,
		Noop:       entry.Noop,
		From:       Image{Version: entry.FromVersion, ImageRef: entry.FromImageRef},
		To:         Image{Version: entry.ToVersion, ImageRef: entry.ToImageRef},
		StartedAt:  entry.StartedAt,
	}
	if entry.FinishedAt != nil {
		result.FinishedAt = *entry.FinishedAt
	}
	if entry.Undo != "" {
		result.Undo = &Undo{Told: entry.Undo}
	}
	return result
}

// AsTold is result with the end that entry tells of its run, whose row was
// written before the run came to result; without a record.
func (result Result) AsTold(entry operation.OperationEntry) Result {
	told := ResultOf(entry)
	told.Kind, told.WorkflowID = result.Kind, result.WorkflowID
	return told
}

// kindOfEntry leaves the kind of a patch out, as a run's own result does.
func kindOfEntry(kind operation.OpKind) operation.OpKind {
	if kind == operation.OpKindPatch {
		return ""
	}
	return kind
}
