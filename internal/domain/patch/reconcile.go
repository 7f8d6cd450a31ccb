package patch

import (
	"fmt"
	"strings"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
)

// Mode says which side of a difference between record and container gives way.
type Mode string

// The modes of a reconciliation.
const (
	// ModeEnforce has the container follow the record.
	ModeEnforce Mode = "enforce"
	// ModeAdopt has the record follow the container, whose image has to be that
	// of one registered version.
	ModeAdopt Mode = "adopt"
)

// IsKnown reports whether mode is one of the constants above.
func (mode Mode) IsKnown() bool { return mode == ModeEnforce || mode == ModeAdopt }

// ReconcileRequest is one accepted request to bring a game's record and
// container together. It runs under the game's own workflow ID, so that it can
// never race a patch, and has an id of the same kind.
type ReconcileRequest struct {
	// PatchID names the request; [NewID] makes it.
	PatchID string `json:"patch_id"`
	GameID  string `json:"game_id"`
	Mode    Mode   `json:"mode"`
	// OpSource, Actor, SourceRef and Reason are as in [Request]; the watch's own
	// requests come from the system.
	OpSource  operation.OpSource `json:"op_source,omitempty"`
	Actor     string             `json:"actor,omitempty"`
	SourceRef string             `json:"source_ref,omitempty"`
	Reason    string             `json:"reason,omitempty"`
}

// Validate returns a [*Refusal] with [CodeInvalidRequest] that names the field.
func (request ReconcileRequest) Validate() error {
	if err := checkGameID(request.GameID); err != nil {
		return err
	}
	if !request.Mode.IsKnown() {
		return invalid("mode", fmt.Sprintf("is %q, want %q or %q", Truncate(string(request.Mode), maxShown), ModeEnforce, ModeAdopt))
	}
	for _, text := range []struct {
		field, value string
		limit        int
	}{
		{"actor", request.Actor, MaxActor},
		{"source_ref", request.SourceRef, MaxSourceRef},
		{"reason", request.Reason, MaxReason},
	} {
		if err := checkText(text.field, text.value, text.limit); err != nil {
			return err
		}
	}
	if gameID, ok := GameOf(request.PatchID); !ok || gameID != request.GameID {
		return invalid("patch_id", "want the game id, a dot and 26 characters of a-z and 2-7")
	}
	return nil
}

// maxShown bounds how much of a wrong value is repeated in a refusal, in bytes.
const maxShown = 64

// Asked returns the request in the shape of a patch's, as the audit row takes
// it.
func (request ReconcileRequest) Asked() Request {
	return Request{
		PatchID: request.PatchID, GameID: request.GameID, OpSource: request.OpSource,
		Actor: request.Actor, SourceRef: request.SourceRef, Reason: request.Reason,
	}
}

// AdmitReconcile refuses a game that is stopped or finished: nothing may start
// its container, and Runtime Manager has no call to stop it.
func AdmitReconcile(record runtime.RuntimeRecord) error {
	if record.Status == runtime.StatusStopped || record.Status == runtime.StatusFinished {
		return refuse(CodeRuntimeNotRunning, fmt.Sprintf("runtime is %q: nothing may start its container, and one that is up has to be stopped by hand", record.Status))
	}
	return nil
}

// Adopt returns what record has to say for it to follow its container, which is
// up on image. It takes the one registered version of that image; of several
// there is no telling which.
func Adopt(record runtime.RuntimeRecord, up bool, image string, versions []engineversion.EngineVersion) (Image, error) {
	if !up {
		return Image{}, refuse(CodeConflict, "no container is up, so that there is nothing to adopt")
	}
	if image == record.CurrentImageRef {
		return ImageOf(record), nil
	}
	var names []string
	for _, version := range versions {
		if version.ImageRef == image {
			names = append(names, version.Version)
		}
	}
	switch len(names) {
	case 0:
		return Image{}, refuse(CodeEngineVersionNotFound, fmt.Sprintf("the container runs %q, which is the image of no registered version: register it, or enforce the record", image))
	case 1:
		return Image{Version: names[0], ImageRef: image}, nil
	default:
		return Image{}, refuse(CodeEngineVersionNotFound, fmt.Sprintf("the container runs %q, which is the image of several versions (%s): there is no telling which", image, strings.Join(names[:min(len(names), maxNames)], ", ")))
	}
}

// maxNames bounds how many versions a refusal names.
const maxNames = 5

// Overtaken is the refusal of a reconciliation whose fencing number is not the
// last one any more: somebody else has begun to work on the game.
func Overtaken() error {
	return refuse(CodeConflict, "another operation on the game has begun meanwhile, look at it and ask again")
}
