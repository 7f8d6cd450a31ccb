package patch

import (
	"cmp"
	"time"

	"galaxy/gamemaster/internal/domain/operation"
)

// EndedRun is a run that was ended from outside, so that it could neither
// compensate nor write its audit row.
type EndedRun struct {
	Handle Handle `json:"handle"`
	// Version is where the patch went; empty for a reconciliation.
	Version string `json:"version,omitempty"`
	Actor   string `json:"actor,omitempty"`
	// Reconciles says that the run was a reconciliation.
	Reconciles bool `json:"reconciles,omitempty"`
	// EndedBy and EndedFor are who terminated the run and why, as far as Temporal
	// was told; empty of a run that timed out.
	EndedBy   string    `json:"ended_by,omitempty"`
	EndedFor  string    `json:"ended_for,omitempty"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
}

// EndedPage is one page of the runs that were ended from outside.
type EndedPage struct {
	Runs []EndedRun `json:"runs,omitempty"`
	// NextPageToken is empty on the last page; it is opaque.
	NextPageToken []byte `json:"next_page_token,omitempty"`
}

// endedMessage tells of a run that could not tell of itself.
const endedMessage = "the run was terminated or timed out: nothing was compensated, and it wrote no audit row itself; " +
	"the watch compares record and container"

// cause is who ended the run and why, for the reason of its row: the actor of the
// row is who asked for the patch.
func (r EndedRun) cause() string {
	if r.EndedBy == "" && r.EndedFor == "" {
		return ""
	}
	return "terminated by " + cmp.Or(r.EndedBy, "somebody unnamed") + ": " + cmp.Or(r.EndedFor, "no reason given")
}

// EndedEntry is the audit row of a run that could not write its own. How the
// request came in is not known any more, so that its source is the system,
// which writes the row. It is the same however often it is made.
func EndedEntry(run EndedRun) operation.OperationEntry {
	kind := operation.OpKindPatch
	if run.Reconciles {
		kind = operation.OpKindReconcile
	}
	ended := run.EndedAt
	return operation.OperationEntry{
		GameID:       Storable(run.Handle.GameID, maxAuditGameID),
		OpKind:       kind,
		OpSource:     operation.OpSourceSystem,
		Actor:        Storable(run.Actor, MaxActor),
		Outcome:      operation.OutcomeFailure,
		ErrorCode:    string(CodeTerminated),
		ErrorMessage: endedMessage,
		Reason:       Storable(run.cause(), MaxReason),
		StartedAt:    run.StartedAt,
		FinishedAt:   &ended,
		// Without a patch id the run was started by hand; the run would have used
		// the workflow ID itself.
		PatchID:   Storable(cmp.Or(run.Handle.PatchID, run.Handle.WorkflowID), maxAuditGameID),
		RunID:     run.Handle.RunID,
		ToVersion: Storable(run.Version, maxAuditText),
	}
}
