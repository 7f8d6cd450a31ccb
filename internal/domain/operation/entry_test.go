package operation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/operation"
)

// TestOpSourceOrDefault proves the specification's fallback.
func TestOpSourceOrDefault(t *testing.T) {
	require.Equal(t, operation.OpSourceAdminRest, operation.OpSource("").OrDefault())
	require.Equal(t, operation.OpSourceAdminRest, operation.OpSource("martian").OrDefault())
	require.Equal(t, operation.OpSourceSystem, operation.OpSourceSystem.OrDefault())
}

// TestOpKindIsKnown proves that the log takes patches and reconciliations, and
// nothing else.
func TestOpKindIsKnown(t *testing.T) {
	entry := operation.OperationEntry{
		GameID: "g", OpSource: operation.OpSourceSystem, Outcome: operation.OutcomeSuccess, StartedAt: time.Now(),
	}
	for kind, known := range map[operation.OpKind]bool{
		operation.OpKindPatch: true, operation.OpKindReconcile: true, "": false, "Patch": false, "dance": false,
	} {
		require.Equal(t, known, kind.IsKnown(), kind)
		entry.OpKind = kind
		require.Equal(t, known, entry.Validate() == nil, kind)
	}
}

// TestEntryValidate proves that an entry which tells nothing, or two things at
// once, is refused by the field's name.
func TestEntryValidate(t *testing.T) {
	good := operation.OperationEntry{
		GameID: "g", OpKind: operation.OpKindPatch, OpSource: operation.OpSourceAdminRest,
		Outcome: operation.OutcomeSuccess, StartedAt: time.Now(),
	}
	require.NoError(t, good.Validate())
	for want, spoil := range map[string]func(*operation.OperationEntry){
		"game id":                 func(e *operation.OperationEntry) { e.GameID = " " },
		"op kind":                 func(e *operation.OperationEntry) { e.OpKind = "dance" },
		"op source":               func(e *operation.OperationEntry) { e.OpSource = "martian" },
		"outcome":                 func(e *operation.OperationEntry) { e.Outcome = "maybe" },
		"success with error code": func(e *operation.OperationEntry) { e.ErrorCode = "conflict" },
		"failure without":         func(e *operation.OperationEntry) { e.Outcome = operation.OutcomeFailure },
		"started at":              func(e *operation.OperationEntry) { e.StartedAt = time.Time{} },
		"finished at":             func(e *operation.OperationEntry) { e.FinishedAt = &time.Time{} },
	} {
		entry := good
		spoil(&entry)
		require.ErrorContains(t, entry.Validate(), want)
	}
}
