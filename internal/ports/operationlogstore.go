package ports

import (
	"context"

	"galaxy/gamemaster/internal/domain/operation"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_operationlogstore.go -package=mocks galaxy/gamemaster/internal/ports OperationLogStore

// OperationLogStore keeps the audit log. Rows are only ever added.
type OperationLogStore interface {
	// Append writes entry and returns the id of its row. An entry whose
	// (PatchID, RunID) is in the log already is not written again: the id of
	// the first row comes back, so that a retry after a lost reply is safe.
	// Entries without a PatchID are always written.
	Append(ctx context.Context, entry operation.OperationEntry) (int64, error)

	// ListByGame returns at most limit entries of gameID, newest first.
	ListByGame(ctx context.Context, gameID string, limit int) ([]operation.OperationEntry, error)

	// ListByPatch returns the entries of patchID, one per run, newest first.
	ListByPatch(ctx context.Context, patchID string) ([]operation.OperationEntry, error)
}
