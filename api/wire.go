package api

import (
	"time"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// What follows turns the domain's values into the contract's, field by field:
// what goes out is what the document promises and nothing else.

func runtimeOf(record runtime.RuntimeRecord) contract.Runtime {
	return contract.Runtime{
		GameID:               record.GameID,
		Status:               contract.RuntimeStatus(record.Status),
		CurrentImageRef:      record.CurrentImageRef,
		CurrentEngineVersion: record.CurrentEngineVersion,
		EngineHealth:         record.EngineHealth,
		NextGenerationAt:     record.NextGenerationAt,
		SkipNextTick:         record.SkipNextTick,
		CurrentTurn:          int64(record.CurrentTurn),
		CreatedAt:            record.CreatedAt,
		UpdatedAt:            record.UpdatedAt,
		StartedAt:            record.StartedAt,
		StoppedAt:            record.StoppedAt,
		FinishedAt:           record.FinishedAt,
	}
}

func versionOf(version engineversion.EngineVersion) contract.EngineVersion {
	return contract.EngineVersion{
		Version:   version.Version,
		ImageRef:  version.ImageRef,
		Status:    contract.EngineVersionStatus(version.Status),
		CreatedAt: version.CreatedAt,
		UpdatedAt: version.UpdatedAt,
	}
}

func versionDetail(version engineversion.EngineVersion, users ports.VersionUsers) contract.EngineVersionDetail {
	games := users.GameIDs
	if games == nil {
		games = []string{}
	}
	return contract.EngineVersionDetail{
		Version:   version.Version,
		ImageRef:  version.ImageRef,
		Status:    contract.EngineVersionStatus(version.Status),
		CreatedAt: version.CreatedAt,
		UpdatedAt: version.UpdatedAt,
		UsedBy:    contract.VersionUsers{Count: users.Count, GameIDs: games},
	}
}

func operationOf(entry operation.OperationEntry) contract.Operation {
	return contract.Operation{
		ID:           entry.ID,
		GameID:       entry.GameID,
		OpKind:       string(entry.OpKind),
		OpSource:     string(entry.OpSource),
		SourceRef:    entry.SourceRef,
		Actor:        entry.Actor,
		Outcome:      contract.Outcome(entry.Outcome),
		ErrorCode:    entry.ErrorCode,
		ErrorMessage: shown(patch.Code(entry.ErrorCode), entry.ErrorMessage),
		StartedAt:    entry.StartedAt,
		FinishedAt:   entry.FinishedAt,
		PatchID:      entry.PatchID,
		RunID:        entry.RunID,
		Reason:       entry.Reason,
		Noop:         entry.Noop,
		FromVersion:  entry.FromVersion,
		FromImageRef: entry.FromImageRef,
		ToVersion:    entry.ToVersion,
		ToImageRef:   entry.ToImageRef,
		Undo:         entry.Undo,
	}
}

func imageOf(image patch.Image) contract.Image {
	return contract.Image{Version: image.Version, ImageRef: image.ImageRef}
}

func undoOf(undo *patch.Undo) contract.Undo {
	if undo == nil {
		return contract.Undo{}
	}
	told := contract.Undo{
		Line:      string(undo.Line),
		RowStatus: string(undo.RowStatus),
		Row:       imageOf(undo.Row),
		Container: undo.Container,
		Fence:     undo.Fence,
		RunID:     undo.RunID,
		Decided:   undo.Decided,
		Told:      undo.Told,
	}
	for _, decision := range undo.Decisions {
		told.Decisions = append(told.Decisions, contract.Decision{
			Update: decision.Update, Actor: decision.Actor, Reason: decision.Reason,
		})
	}
	return told
}

// openPatch tells a patch that has not ended. A run of which nothing is known
// but that it is open, because no worker answers for it, is told without a
// phase.
func openPatch(handle patch.Handle, state *patch.State) contract.Patch {
	told := contract.Patch{
		PatchID: handle.PatchID, WorkflowID: handle.WorkflowID, RunID: handle.RunID, GameID: gameOfHandle(handle),
		State: contract.StateOpen,
	}
	if state == nil {
		return told
	}
	told.Phase, told.Step, told.Attempts = string(state.Phase), state.Step, state.Attempts
	told.LastError, told.Code = shown(state.Code, state.LastError), string(state.Code)
	told.From, told.To = imageOf(state.From), imageOf(state.To)
	told.Doing, told.Since, told.Until, told.NextAttemptAt = state.Doing, state.Since, state.Until, state.NextAttempt
	return told
}

// closedPatch tells a patch that has ended, whichever way.
func closedPatch(handle patch.Handle, result patch.Result) contract.Patch {
	handle = handleOf(handle, result)
	told := contract.Patch{
		PatchID: handle.PatchID, WorkflowID: handle.WorkflowID, RunID: handle.RunID, GameID: gameOfHandle(handle),
		State:   contract.StateClosed,
		Kind:    string(result.Kind),
		Outcome: contract.Outcome(result.Outcome),
		Code:    string(result.Code),
		Message: shown(result.Code, result.Message),
		Field:   result.Field,
		Noop:    &result.Noop,
		From:    imageOf(result.From),
		To:      imageOf(result.To),
		Undo:    undoOf(result.Undo),
		// The audit log keeps microseconds: whoever asks again is told the same.
		StartedAt:  result.StartedAt.Truncate(time.Microsecond),
		FinishedAt: result.FinishedAt.Truncate(time.Microsecond),
	}
	if result.Runtime != nil {
		told.Runtime = runtimeOf(*result.Runtime)
	}
	return told
}

func gameOfHandle(handle patch.Handle) string {
	if handle.GameID != "" {
		return handle.GameID
	}
	gameID, _ := patch.GameOf(handle.PatchID)
	return gameID
}

// handleOf names the run that gave result, which after a reset is another one
// than the handle's.
func handleOf(handle patch.Handle, result patch.Result) patch.Handle {
	if result.RunID != "" {
		handle.RunID = result.RunID
	}
	if result.PatchID != "" {
		handle.PatchID = result.PatchID
	}
	return handle
}

// planOf tells the plan of a dry run.
func planOf(gameID string, preview patch.Preview) contract.PatchPlan {
	told := contract.PatchPlan{
		DryRun: true, Allowed: preview.Allowed, GameID: gameID, Code: string(preview.Code),
		Checks: make([]contract.Check, 0, len(preview.Checks)),
	}
	if preview.Plan != nil {
		told.Kind = contract.PatchPlanKind(preview.Plan.Kind)
		told.From, told.To = imageOf(preview.Plan.From), imageOf(preview.Plan.To)
	}
	for _, check := range preview.Checks {
		told.Checks = append(told.Checks, contract.Check{
			Name: check.Name, Status: contract.CheckStatus(check.Status), Code: string(check.Code), Detail: check.Detail,
		})
	}
	return told
}

// each turns every row of a page into the contract's; never nil, because a list
// without rows is [].
func each[T, U any](rows []T, told func(T) U) []U {
	all := make([]U, 0, len(rows))
	for _, row := range rows {
		all = append(all, told(row))
	}
	return all
}

func findingOf(finding drift.Finding) contract.DriftFinding {
	return contract.DriftFinding{
		ID:     finding.ID,
		GameID: finding.GameID,
		Kind:   contract.DriftKind(finding.Kind),
		Record: contract.DriftRecord{
			Status:   contract.RuntimeStatus(finding.RecordStatus),
			Version:  finding.RecordVersion,
			ImageRef: finding.RecordImageRef,
		},
		Container: contract.DriftContainer{
			ImageRef: finding.Container.ImageRef,
			Status:   finding.Container.Status,
			Running:  finding.Container.Running,
		},
		FirstSeenAt: finding.FirstSeenAt,
		LastSeenAt:  finding.LastSeenAt,
		ResolvedAt:  finding.ResolvedAt,
	}
}

// passOf tells a pass that has finished.
func passOf(pass drift.Pass) contract.DriftPass {
	told := contract.DriftPass{
		ID: pass.ID, StartedAt: pass.StartedAt,
		Counts: &contract.DriftCounts{
			Checked: pass.Checked, InSync: pass.InSync, ImageDrift: pass.ImageDrift, Missing: pass.Missing,
			Extra: pass.Extra, Skipped: pass.Skipped, Unknown: pass.Unknown,
		},
	}
	if pass.FinishedAt != nil {
		told.FinishedAt = *pass.FinishedAt
	}
	return told
}
