package api

import (
	"errors"
	"fmt"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// storeFault is the problem that a store's error stands for.
func storeFault(doing string, err error) *problem {
	switch {
	case errors.Is(err, runtime.ErrNotFound):
		return refusal(patch.CodeRuntimeNotFound, "there is no record of this game")
	case errors.Is(err, ports.ErrInvalidInput):
		// The contract has let it pass and the store has not: the words are the
		// store's own and name no host.
		return refusal(patch.CodeInvalidRequest, err.Error())
	default:
		return unavailable(doing, err)
	}
}

// changed is the problem of an answer that could not be read behind a change
// that was made; nil for none.
func changed(err error) error {
	if p, ok := errors.AsType[*problem](err); ok {
		p.Detail = "the change was made; " + p.Detail
	}
	return err
}

// versionFault is storeFault for errors about a version.
func versionFault(version, doing string, err error) *problem {
	switch {
	case errors.Is(err, engineversion.ErrNotFound):
		return refusal(patch.CodeEngineVersionNotFound, fmt.Sprintf("engine version %q is not registered", version))
	case errors.Is(err, engineversion.ErrDeprecated):
		return refusal(patch.CodeEngineVersionNotFound,
			fmt.Sprintf("engine version %q is deprecated; activate it, or take another", version))
	case errors.Is(err, engineversion.ErrInUse):
		return faulty(codeVersionInUse, "image_ref",
			fmt.Sprintf("runtimes are on version %q; register the new image under another version", version))
	default:
		return storeFault(doing, err)
	}
}

// patcherFault is the problem that an error of the [Patcher] stands for.
func patcherFault(doing string, err error) *problem {
	reason, refused := errors.AsType[*patch.Refusal](err)
	switch {
	case errors.Is(err, patch.ErrNotFound):
		return refusal(codePatchNotFound, "no patch has this id")
	case errors.Is(err, patch.ErrClosed):
		return refusal(codePatchClosed, "the patch has ended already, look at it to see how")
	case errors.Is(err, patch.ErrInDoubt):
		return refusal(codeInDoubt, "whether container and record are in line is not known; retry the patch, or abandon it")
	case errors.Is(err, patch.ErrNotInDoubt):
		return refusal(codeNotInDoubt, "the patch goes on by itself, look at it to see where it is")
	case errors.Is(err, patch.ErrPaused):
		// Not a refusal for good: it is taken once the run is unpaused.
		return refusal(patch.CodeServiceUnavailable, "the run of the patch is paused in Temporal: nothing was decided, unpause it there first")
	case refused && reason.Code == patch.CodeInvalidRequest && reason.Field == "page_token":
		return mend("cursor", errCursor.Error())
	case refused && reason.Code != patch.CodeServiceUnavailable:
		return told(reason)
	default:
		return unavailable(doing, err)
	}
}
