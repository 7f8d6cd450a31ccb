package patch

import "slices"

// Code names how a patch was refused or failed. The same word is the
// ApplicationError type in Temporal, the code of the REST problem, the
// error_code of the audit row and the log field.
type Code string

// The codes of a patch. A success has none.
const (
	CodeInvalidRequest        Code = "invalid_request"
	CodeRuntimeNotFound       Code = "runtime_not_found"
	CodeEngineVersionNotFound Code = "engine_version_not_found"
	CodeRuntimeNotRunning     Code = "runtime_not_running"
	CodeSemverPatchOnly       Code = "semver_patch_only"
	CodePreconditionFailed    Code = "precondition_failed"
	CodeConflict              Code = "conflict"
	CodePatchInProgress       Code = "patch_in_progress"
	CodeCancelled             Code = "cancelled"
	CodeTerminated            Code = "terminated"
	CodeServiceUnavailable    Code = "service_unavailable"
	CodeInternalError         Code = "internal_error"
)

// Closing is how the workflow run of a patch closes.
type Closing string

// The ways in which a run closes. An expected refusal is a Completed run with
// a typed result; Failed means that a person should look.
const (
	ClosesCompleted Closing = "Completed"
	ClosesCanceled  Closing = "Canceled"
	ClosesFailed    Closing = "Failed"
	// ClosesTerminated is not the run's own doing: an operator ended it, and
	// nothing was compensated.
	ClosesTerminated Closing = "Terminated"
	// ClosesNothing marks a refusal that never becomes a run.
	ClosesNothing Closing = ""
)

// Codes returns every code, in the order of the documented table.
func Codes() []Code {
	return []Code{
		CodeInvalidRequest, CodeRuntimeNotFound, CodeEngineVersionNotFound, CodeRuntimeNotRunning,
		CodeSemverPatchOnly, CodePreconditionFailed, CodeConflict, CodePatchInProgress, CodeCancelled,
		CodeTerminated, CodeServiceUnavailable, CodeInternalError,
	}
}

// IsKnown reports whether code is one of [Codes].
func (code Code) IsKnown() bool { return slices.Contains(Codes(), code) }

// Closing says how a run that ends with code closes; the empty code is a
// success.
func (code Code) Closing() Closing {
	switch code {
	case CodePatchInProgress:
		return ClosesNothing
	case CodeCancelled:
		return ClosesCanceled
	case CodeTerminated:
		return ClosesTerminated
	case CodeServiceUnavailable, CodeInternalError:
		return ClosesFailed
	default:
		return ClosesCompleted
	}
}

// Refusal is why a patch did not come about: a code and a sentence for the
// caller. It is the error that the rules of this package return.
type Refusal struct {
	Code    Code
	Message string
	// Field is the field of the request that is to be mended; empty when the
	// request itself is well formed.
	Field string
	// PatchID is the open patch that stands in the way, for
	// [CodePatchInProgress], or the patch that may have been started, for
	// [CodeServiceUnavailable].
	PatchID string
}

// Error returns the message after the code.
func (refusal *Refusal) Error() string { return string(refusal.Code) + ": " + refusal.Message }

func refuse(code Code, message string) *Refusal {
	return &Refusal{Code: code, Message: message}
}
