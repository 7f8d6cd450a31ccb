package patch

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"galaxy/gamemaster/internal/domain/runtime"
)

// A patch id carries its game's id before the dot, so that the one workflow
// that can know the patch is found without a lookup table; to callers it is
// opaque. The part behind the dot has 130 bits.
var idRegexp = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]{0,63})\.[a-z2-7]{26}$`)

// NewID makes the id of a new patch of gameID.
func NewID(gameID string) string {
	return gameID + "." + strings.ToLower(rand.Text())
}

// GameOf returns the game id inside a patch id; ok is false when patchID does
// not have the shape of one.
func GameOf(patchID string) (gameID string, ok bool) {
	match := idRegexp.FindStringSubmatch(patchID)
	if match == nil {
		return "", false
	}
	return match[1], true
}

// WorkflowID returns the workflow ID of a game's patches. Temporal keeps at
// most one open run of an ID, so a game has at most one open patch.
func WorkflowID(gameID string) string { return "patch-runtime/" + gameID }

// GameOfWorkflow returns the game id inside a workflow ID; ok is false when
// workflowID is not that of a game's patches.
func GameOfWorkflow(workflowID string) (gameID string, ok bool) {
	gameID, ok = strings.CutPrefix(workflowID, WorkflowID(""))
	return gameID, ok && runtime.ValidGameID(gameID)
}

// CheckWorkflowID refuses a run under another ID than its game's: it could race
// with the game's own patches. The starter never makes one, a person can.
func CheckWorkflowID(gameID, workflowID string) error {
	if want := WorkflowID(gameID); workflowID != want {
		return refuse(CodeInvalidRequest,
			fmt.Sprintf("workflow ID is %q, want %q: it keeps the game to one open patch", workflowID, want))
	}
	return nil
}

// Direction says which of a run's two recreates a call to Runtime Manager is.
type Direction string

// The directions of a recreate.
const (
	DirectionPatch   Direction = "patch"
	DirectionRestore Direction = "restore"
)

// IdempotencyKey names one intent of one run to Runtime Manager: round counts
// from one how often it was decided to try. It is the same on every retry of a
// round, another when an operator lets the undo try again, since what the first
// round did may have been undone by a late call, and another after a reset.
func IdempotencyKey(patchID, runID string, direction Direction, round int) string {
	key := patchID + "/" + runID + "/" + string(direction)
	if round > 1 {
		key += "/" + strconv.Itoa(round)
	}
	return key
}

// RestoreKey is the key of a restore to row: key itself for the row that the
// patch was planned from, and another for each image that somebody else has put
// the row on meanwhile, since a key stands for one body.
func RestoreKey(key string, plan Plan, row Image) string {
	if row.ImageRef == plan.From.ImageRef {
		return key
	}
	sum := sha256.Sum256([]byte(row.ImageRef))
	return key + "/" + hex.EncodeToString(sum[:4])
}
