package patch

import (
	"errors"
	"fmt"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Preview is what a patch would come to if it were asked for now. It promises
// nothing: the game and the registry may have moved by the time of the patch,
// which checks all of it again, and whether another patch of the game is open
// is not looked at.
type Preview struct {
	// Allowed says that no check failed.
	Allowed bool `json:"allowed"`
	// Code is that of the first check that failed, which is the one that a patch
	// would be refused with; empty when it is allowed.
	Code Code `json:"code,omitempty"`
	// Checks are all the checks of a patch, in the order in which it makes them.
	Checks []Check `json:"checks"`
	// Plan is what the patch would do; nil unless it is allowed.
	Plan *Plan `json:"plan,omitempty"`
}

// Check is one check of a [Preview].
type Check struct {
	// Name is one of the Check constants.
	Name   string      `json:"name"`
	Status CheckStatus `json:"status"`
	// Code is set when the check failed.
	Code Code `json:"code,omitempty"`
	// Detail says why the check failed, or why it was skipped.
	Detail string `json:"detail,omitempty"`
}

// CheckStatus is what came of a check.
type CheckStatus string

// The statuses of a check.
const (
	CheckPassed CheckStatus = "passed"
	CheckFailed CheckStatus = "failed"
	// CheckSkipped marks a check that could not be made, because an earlier one
	// failed, or that there was no call for.
	CheckSkipped CheckStatus = "skipped"
)

// The names of the checks.
const (
	CheckRequest           = "request"
	CheckRuntimeExists     = "runtime_exists"
	CheckRuntimeRunning    = "runtime_running"
	CheckExpectedVersion   = "expected_version"
	CheckVersionRegistered = "version_registered"
	CheckVersionActive     = "version_active"
	CheckSameMajorMinor    = "same_major_minor"
)

// PreviewOf makes the checks of a patch without the patch. A nil record says
// that the game has no row, a nil target that the version is not registered:
// each is looked up whatever came of the other, so that everything that is
// wrong is told at once. The request needs no patch id.
//
// The checks are the rules of [Request.Validate], [Admit] and [Decide]
// themselves, so that a dry run and a patch cannot disagree.
func PreviewOf(request Request, record *runtime.RuntimeRecord, target *engineversion.EngineVersion) Preview {
	preview := Preview{Allowed: true}
	asked := request.checkAsked()
	preview.add(CheckRequest, asked)
	if asked != nil {
		// Neither the game nor the version that such a request names is one.
		for _, name := range []string{
			CheckRuntimeExists, CheckRuntimeRunning, CheckExpectedVersion,
			CheckVersionRegistered, CheckVersionActive, CheckSameMajorMinor,
		} {
			preview.skip(name, "the request is not valid")
		}
		return preview
	}
	preview.addRuntime(request, record)
	preview.addVersion(request, target)
	if record == nil || target == nil {
		preview.skip(CheckSameMajorMinor, "needs both the runtime and the version")
	} else {
		preview.add(CheckSameMajorMinor, checkMajorMinor(*record, *target))
	}
	if preview.Allowed {
		plan := planOf(*record, *target, request.Force)
		preview.Plan = &plan
	}
	return preview
}

func (preview *Preview) addRuntime(request Request, record *runtime.RuntimeRecord) {
	if record == nil {
		preview.add(CheckRuntimeExists, refuse(CodeRuntimeNotFound, runtime.ErrNotFound.Error()))
		preview.skip(CheckRuntimeRunning, runtime.ErrNotFound.Error())
		preview.skip(CheckExpectedVersion, runtime.ErrNotFound.Error())
		return
	}
	preview.add(CheckRuntimeExists, nil)
	preview.add(CheckRuntimeRunning, checkRunning(*record))
	if request.ExpectedVersion == "" {
		preview.skip(CheckExpectedVersion, "the request expects none")
		return
	}
	preview.add(CheckExpectedVersion, checkExpected(*record, request.ExpectedVersion))
}

func (preview *Preview) addVersion(request Request, target *engineversion.EngineVersion) {
	if target == nil {
		preview.add(CheckVersionRegistered, refuse(CodeEngineVersionNotFound,
			fmt.Sprintf("engine version %q is not registered", request.Version)))
		preview.skip(CheckVersionActive, engineversion.ErrNotFound.Error())
		return
	}
	preview.add(CheckVersionRegistered, nil)
	preview.add(CheckVersionActive, checkActive(*target))
}

// add notes a check that was made. The rules return nothing but a [*Refusal]; any
// other error would still not pass.
func (preview *Preview) add(name string, err error) {
	if err == nil {
		preview.Checks = append(preview.Checks, Check{Name: name, Status: CheckPassed})
		return
	}
	refusal := refuse(CodeInternalError, err.Error())
	errors.As(err, &refusal)
	preview.Checks = append(preview.Checks, Check{
		Name: name, Status: CheckFailed, Code: refusal.Code, Detail: refusal.Message,
	})
	if preview.Allowed {
		preview.Allowed, preview.Code = false, refusal.Code
	}
}

func (preview *Preview) skip(name, why string) {
	preview.Checks = append(preview.Checks, Check{Name: name, Status: CheckSkipped, Detail: why})
}
