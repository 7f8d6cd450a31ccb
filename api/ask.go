package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"iter"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// asked is a request for a patch as its two operations give it.
type asked struct {
	request patch.Request
	dryRun  bool
	// key is the Idempotency-Key, "" when there is none; fingerprint stands for
	// all that is asked for.
	key         string
	fingerprint [sha256.Size]byte
	prefer      string
	// rollbackTo is where a rollback goes, looked up when it begins; "" in a
	// patch.
	rollbackTo string
	// mode is that of a reconciliation, of which the request has nothing else;
	// "" in a patch.
	mode patch.Mode
}

// open tells what was asked for as long as nothing more is known of its run.
func (a asked) open(handle patch.Handle) contract.Patch {
	told := openPatch(handle, nil)
	if a.mode != "" {
		told.Kind, told.Mode = string(operation.OpKindReconcile), contract.ReconcileMode(a.mode)
	}
	return told
}

// askedPatch reads a request for a patch.
func askedPatch(ctx context.Context, request contract.PatchRuntimeRequestObject) (asked, *problem) {
	body := request.Body
	key, problem := keyOf(request.Params.IdempotencyKey, body.DryRun)
	return asked{
		request: patch.Request{
			PatchID:         patch.NewID(request.GameID),
			GameID:          request.GameID,
			Version:         body.Version,
			ExpectedVersion: body.ExpectedVersion,
			OpSource:        operation.OpSource(body.OpSource).OrDefault(),
			Actor:           callerOf(ctx).Name,
			SourceRef:       orCaller(ctx, body.SourceRef),
			Reason:          body.Reason,
			Force:           body.Force,
		},
		dryRun: body.DryRun, key: key, prefer: request.Params.Prefer,
		fingerprint: fingerprintOf("patch", request.GameID, body),
	}, problem
}

// askedRollback reads a request for a rollback, but for its version, which is
// looked up.
func askedRollback(ctx context.Context, request contract.RollbackRuntimeRequestObject) (asked, *problem) {
	body := request.Body
	key, problem := keyOf(request.Params.IdempotencyKey, body.DryRun)
	return asked{
		request: patch.Request{
			PatchID:         patch.NewID(request.GameID),
			GameID:          request.GameID,
			ExpectedVersion: body.ExpectedVersion,
			OpSource:        operation.OpSource(body.OpSource).OrDefault(),
			Actor:           callerOf(ctx).Name,
			SourceRef:       orCaller(ctx, body.SourceRef),
			Reason:          body.Reason,
		},
		dryRun: body.DryRun, key: key, prefer: request.Params.Prefer, rollbackTo: body.To,
		fingerprint: fingerprintOf("rollback", request.GameID, body),
	}, problem
}

// keyOf is readKey, but for dry runs, which leave keys alone.
func keyOf(text string, dryRun bool) (string, *problem) {
	if dryRun {
		return "", nil
	}
	return readKey(text)
}

// orCaller returns the reference that the caller gave, else the caller's name:
// the specification wants a request's or a user's id there.
func orCaller(ctx context.Context, sourceRef string) string {
	if sourceRef != "" {
		return sourceRef
	}
	return patch.Truncate(callerOf(ctx).Name, patch.MaxSourceRef)
}

// fingerprintOf stands for what a request asks for: how it was written down
// (the order of keys, white space, defaults that were spelled out) does not
// count, nor does the order in which our own types have their fields. It is kept
// for a month: what changes it makes every key of before look used for another
// request.
func fingerprintOf(operation, gameID string, body any) [sha256.Size]byte {
	encoded, err := json.Marshal(body)
	var members map[string]any
	if err == nil {
		err = json.Unmarshal(encoded, &members)
	}
	if err == nil {
		// A map is written in the order of its keys.
		encoded, err = json.Marshal([]any{operation, gameID, members})
	}
	if err != nil {
		// A struct of strings and booleans.
		panic("api: encode a request: " + err.Error())
	}
	return sha256.Sum256(encoded)
}

// previous is how a rollback names what ran before.
const previous = "previous"

// maxPreviousRows bounds the audit rows that are read for what ran before:
// failures and recreates are passed over, and nobody has that many in a row.
const maxPreviousRows = 10_000

// target fills in the version of a rollback, and holds the patch to what was
// seen: the game may move meanwhile. A patch has its version already.
func (server *Server) target(ctx context.Context, a asked) (patch.Request, error) {
	request, to := a.request, a.rollbackTo
	if to == "" {
		return request, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	record, err := server.runtimes.Get(ctx, request.GameID)
	if err != nil {
		return request, storeFault("read a runtime", err)
	}
	if to == previous {
		version, known, err := patch.Previous(record, server.successes(ctx, request.GameID))
		if err != nil {
			return request, storeFault("read what ran before", err)
		}
		if !known {
			return request, refusal(codeNoPrevious, "no successful patch of this game tells what ran before; name a version")
		}
		to = version
	} else if err := patch.CheckRollback(record, to); err != nil {
		return request, patcherFault("check the version", err)
	}
	request.Version = to
	if request.ExpectedVersion == "" {
		request.ExpectedVersion = record.CurrentEngineVersion
	}
	return request, nil
}

// successes yields the audit rows of the game's successful patches, newest
// first, page by page.
func (server *Server) successes(ctx context.Context, gameID string) iter.Seq2[operation.OperationEntry, error] {
	return func(yield func(operation.OperationEntry, error) bool) {
		input := ports.OperationPageInput{GameID: gameID, Outcome: operation.OutcomeSuccess, Limit: defaultPage}
		for read := 0; read < maxPreviousRows; read += input.Limit {
			entries, err := server.operations.PageOperations(ctx, input)
			if err != nil {
				yield(operation.OperationEntry{}, err)
				return
			}
			for _, entry := range entries {
				if !yield(entry, nil) {
					return
				}
			}
			if len(entries) < input.Limit {
				return
			}
			last := entries[len(entries)-1]
			input.After = &ports.OperationPosition{StartedAt: last.StartedAt, ID: last.ID}
		}
	}
}

// plan answers what the patch would do, and touches nothing.
func (server *Server) plan(ctx context.Context, request patch.Request) (contract.PatchPlan, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var record *runtime.RuntimeRecord
	switch found, err := server.runtimes.Get(ctx, request.GameID); {
	case err == nil:
		record = &found
	case !errors.Is(err, runtime.ErrNotFound):
		return contract.PatchPlan{}, storeFault("read a runtime", err)
	}
	var target *engineversion.EngineVersion
	switch found, err := server.versions.Get(ctx, request.Version); {
	case err == nil:
		target = &found
	case !errors.Is(err, engineversion.ErrNotFound):
		return contract.PatchPlan{}, storeFault("read an engine version", err)
	}
	return planOf(request.GameID, patch.PreviewOf(request, record, target)), nil
}
