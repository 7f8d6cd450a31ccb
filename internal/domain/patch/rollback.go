package patch

import (
	"fmt"
	"iter"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Previous returns what the game of record really ran before what it runs now:
// after a move from A to B it is A, after a move back it is B. ok is false when
// the audit log tells of nothing else.
//
// newestFirst are the game's audit rows, the latest run first; no more of them
// are read than are needed, and an error among them is returned as it is.
// Failures moved nothing, noops and forced recreates stayed where they were,
// and rows from before the record was made are of an earlier game under the same
// id: none of them counts.
func Previous(
	record runtime.RuntimeRecord, newestFirst iter.Seq2[operation.OperationEntry, error],
) (version string, ok bool, err error) {
	for entry, err := range newestFirst {
		if err != nil {
			return "", false, err
		}
		if entry.StartedAt.Before(record.CreatedAt) {
			break
		}
		if entry.GameID != record.GameID || entry.Outcome != operation.OutcomeSuccess || entry.Noop {
			continue
		}
		// To comes first: somebody else may have moved the record since.
		for _, version := range []string{entry.ToVersion, entry.FromVersion} {
			if version != "" && version != record.CurrentEngineVersion {
				return version, true, nil
			}
		}
	}
	return "", false, nil
}

// CheckRollback refuses a version that is not below the one that record is on,
// by semver precedence: moving up is a patch, and asked for as one. It returns a
// [*Refusal] with invalid_request, which names the field "to" unless it is the
// stored version that cannot be read.
func CheckRollback(record runtime.RuntimeRecord, version string) error {
	to, err := engineversion.ParseSemver(version)
	if err != nil {
		return invalid("to", err.Error())
	}
	from, err := engineversion.ParseSemver(record.CurrentEngineVersion)
	if err != nil {
		return refuse(CodeInvalidRequest, "current version: "+err.Error())
	}
	if !to.LessThan(from) {
		return invalid("to", fmt.Sprintf("%q is not below %q, on which the runtime is", version, record.CurrentEngineVersion))
	}
	return nil
}
