package patch

import (
	"fmt"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Image is an engine version and the image it stands for.
type Image struct {
	Version  string `json:"version"`
	ImageRef string `json:"image_ref"`
}

// ImageOf returns what record says the game runs.
func ImageOf(record runtime.RuntimeRecord) Image {
	return Image{Version: record.CurrentEngineVersion, ImageRef: record.CurrentImageRef}
}

// Kind is what a patch amounts to.
type Kind string

// The kinds of a patch.
const (
	KindUpgrade  Kind = "upgrade"
	KindRollback Kind = "rollback"
	// KindRecreate recreates the container without moving up or down: a forced
	// patch to the version that runs, or another build of the same version.
	KindRecreate Kind = "recreate"
	// KindNoop finds the game on the target and touches nothing.
	KindNoop Kind = "noop"
)

// Plan is what one patch is going to do.
type Plan struct {
	Kind Kind  `json:"kind"`
	From Image `json:"from"`
	To   Image `json:"to"`
}

// Admit refuses a game that cannot be patched now, and after that one that is
// not on expectedVersion; an empty expectedVersion expects nothing.
func Admit(record runtime.RuntimeRecord, expectedVersion string) error {
	if err := checkRunning(record); err != nil {
		return err
	}
	return checkExpected(record, expectedVersion)
}

func checkRunning(record runtime.RuntimeRecord) error {
	if record.Status == runtime.StatusRunning {
		return nil
	}
	return refuse(CodeRuntimeNotRunning,
		fmt.Sprintf("runtime status is %q, want %q", record.Status, runtime.StatusRunning))
}

// checkExpected compares letter by letter, as kindOf does: two builds of one
// version are not the same version.
func checkExpected(record runtime.RuntimeRecord, expectedVersion string) error {
	if expectedVersion == "" || record.CurrentEngineVersion == expectedVersion {
		return nil
	}
	return refuse(CodePreconditionFailed, fmt.Sprintf("the runtime is not on expected_version: it is on %q, want %q",
		record.CurrentEngineVersion, expectedVersion))
}

// Decide plans the move of record to target, or refuses it with a [*Refusal].
// Only the major and minor numbers have to agree: a higher patch number is an
// upgrade, a lower one a rollback. The version that runs already is a no-op
// unless force is set.
func Decide(record runtime.RuntimeRecord, target engineversion.EngineVersion, force bool) (Plan, error) {
	if err := checkActive(target); err != nil {
		return Plan{}, err
	}
	if err := checkMajorMinor(record, target); err != nil {
		return Plan{}, err
	}
	return planOf(record, target, force), nil
}

func checkActive(target engineversion.EngineVersion) error {
	if target.Status == engineversion.StatusActive {
		return nil
	}
	return refuse(CodeEngineVersionNotFound, fmt.Sprintf("engine version %q is %q, want %q",
		target.Version, target.Status, engineversion.StatusActive))
}

func checkMajorMinor(record runtime.RuntimeRecord, target engineversion.EngineVersion) error {
	allowed, err := engineversion.IsPatchUpgrade(record.CurrentEngineVersion, target.Version)
	if err != nil {
		return refuse(CodeInvalidRequest, err.Error())
	}
	if !allowed {
		return refuse(CodeSemverPatchOnly, fmt.Sprintf("%q is not a patch of %q: major and minor must be the same",
			target.Version, record.CurrentEngineVersion))
	}
	return nil
}

// planOf plans a move that is allowed.
func planOf(record runtime.RuntimeRecord, target engineversion.EngineVersion, force bool) Plan {
	plan := Plan{
		Kind: kindOf(record.CurrentEngineVersion, target.Version),
		From: ImageOf(record),
		To:   Image{Version: target.Version, ImageRef: target.ImageRef},
	}
	if plan.Kind == KindNoop && force {
		plan.Kind = KindRecreate
	}
	if plan.Kind == KindNoop {
		// Nothing moves, so the answer tells what runs, not what the registry
		// has under that version by now.
		plan.To = plan.From
	}
	return plan
}

// kindOf compares two versions that IsPatchUpgrade could read.
func kindOf(current, target string) Kind {
	if current == target {
		return KindNoop
	}
	from, _ := engineversion.ParseSemver(current)
	to, _ := engineversion.ParseSemver(target)
	switch to.Compare(from) {
	case 1:
		return KindUpgrade
	case -1:
		return KindRollback
	default:
		return KindRecreate
	}
}

// Recreates reports whether the plan calls Runtime Manager at all.
func (plan Plan) Recreates() bool { return plan.Kind != KindNoop }

// SameImage reports whether the container runs the target's image before the
// patch, so that looking at it cannot tell whether the recreate took place.
func (plan Plan) SameImage() bool { return plan.From.ImageRef == plan.To.ImageRef }

// Recorded reports whether record shows the plan's own write: after a
// compare-and-swap that changed nothing it tells a lost reply from somebody
// else's change. A record that named the target before proves no write.
func (plan Plan) Recorded(record runtime.RuntimeRecord) bool {
	return plan.From != plan.To && ImageOf(record) == plan.To
}

// StillHolds refuses to go on with a plan whose record has moved since it was
// made: the game left running, or another writer put it on another image, as
// after a reset of an old run. Going on would start a stopped game, interrupt a
// turn, or take back what came later.
func (plan Plan) StillHolds(record runtime.RuntimeRecord) error {
	if record.Status != runtime.StatusRunning {
		return LostSwap(record)
	}
	if image := ImageOf(record); image != plan.From && image != plan.To {
		return refuse(CodeConflict, fmt.Sprintf("the record is on %q by now, the patch was planned from %q to %q",
			image.Version, plan.From.Version, plan.To.Version))
	}
	return nil
}

// LostSwap is the refusal of a patch whose row, record, has left the status
// that the rotation was guarded by.
func LostSwap(record runtime.RuntimeRecord) error {
	return refuse(CodeConflict,
		fmt.Sprintf("runtime status changed during the patch: it is %q by now, want %q", record.Status, runtime.StatusRunning))
}

// SameGame refuses to go on with a record that was deleted and registered anew
// since before was read: it is another game's under the same id.
func SameGame(before, now runtime.RuntimeRecord) error {
	if now.CreatedAt.Equal(before.CreatedAt) {
		return nil
	}
	return refuse(CodeConflict, "the game was deleted and registered anew during the patch")
}

// OtherImage is the refusal of a patch whose target was given another image in
// the registry while the container was being recreated on the one before.
func (plan Plan) OtherImage() error {
	return refuse(CodeConflict, fmt.Sprintf("the registry has another image for version %q by now", plan.To.Version))
}
