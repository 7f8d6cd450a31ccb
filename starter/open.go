package starter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/api/workflowservice/v1"

	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// ListOpen returns a page of the open patches, those that started last first,
// and of the open reconciliations with them, since they hold their games alike.
//
// One game's patch is read from Temporal's own state, as of now. All others come
// from Temporal's visibility store, which lags about a second behind: a patch
// may still be listed that has just ended, and one that has just started be
// missing.
//
// It returns a [*patch.Refusal]: with invalid_request when the game id is none, or
// the page token not one of a list under the same conditions; with
// service_unavailable when Temporal cannot say.
func (s *Starter) ListOpen(ctx context.Context, query patch.OpenQuery) (patch.OpenPage, error) {
	if err := query.Validate(); err != nil {
		return patch.OpenPage{}, err
	}
	if query.GameID != "" {
		return s.openOf(ctx, query)
	}
	conditions := visibilityQuery(query)
	token, ok := unseal(conditions, query.PageToken)
	if !ok {
		return patch.OpenPage{}, &patch.Refusal{
			Code: patch.CodeInvalidRequest, Field: "page_token", Message: "page_token: is not one of this list",
		}
	}
	answer, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: int32(query.Limit), NextPageToken: token, Query: conditions,
	})
	if err != nil {
		return patch.OpenPage{}, unavailable(ctx, "list the open patches", err)
	}
	page := patch.OpenPage{NextPageToken: seal(conditions, answer.GetNextPageToken())}
	for _, info := range answer.GetExecutions() {
		// Looked at again, since the store's idea of a prefix is not ours to vouch
		// for.
		if run := describedOf(info); query.Keeps(run.handle.GameID) {
			page.Patches = append(page.Patches, run.open())
		}
	}
	return page, nil
}

// openOf is ListOpen for one game, which has at most one open patch.
func (s *Starter) openOf(ctx context.Context, query patch.OpenQuery) (patch.OpenPage, error) {
	if !query.Keeps(query.GameID) {
		return patch.OpenPage{}, nil
	}
	latest, err := s.describe(ctx, patch.WorkflowID(query.GameID), "")
	switch {
	case errors.Is(err, patch.ErrNotFound):
		return patch.OpenPage{}, nil
	case err != nil:
		return patch.OpenPage{}, unavailable(ctx, "look at the game's patch", err)
	case !latest.isOpen():
		return patch.OpenPage{}, nil
	}
	return patch.OpenPage{Patches: []patch.Open{latest.open()}}, nil
}

func (d described) open() patch.Open {
	return patch.Open{
		Handle: d.handle, Reconciles: d.reconciles(), Mode: d.mode, Version: d.version, ExpectedVersion: d.expected, Force: d.force,
		Phase: d.phase(), Actor: d.actor, StartedAt: d.started,
	}
}

// notClosed is said by what is closed: runs that are paused are neither running
// nor closed, and an older Temporal refuses to be asked for a status that it does
// not know.
const notClosed = "ExecutionStatus NOT IN ('Completed', 'Failed', 'Canceled', 'Terminated', 'ContinuedAsNew', 'TimedOut')"

// visibilityQuery needs no escaping: the prefixes are checked to have nothing
// but letters, digits, '_' and '-'. Visibility stores list the latest start
// first by themselves, and some refuse to be told so.
func visibilityQuery(query patch.OpenQuery) string {
	conditions := []string{
		gameRuns,
		notClosed,
	}
	if len(query.GamePrefixes) > 0 {
		prefixes := make([]string, 0, len(query.GamePrefixes))
		for _, prefix := range query.GamePrefixes {
			prefixes = append(prefixes, fmt.Sprintf("%s STARTS_WITH '%s'", workflows.GameIDKey.GetName(), prefix))
		}
		conditions = append(conditions, "("+strings.Join(prefixes, " OR ")+")")
	}
	return strings.Join(conditions, " AND ")
}

// sealSize is long enough that no mistake goes unnoticed.
const sealSize = 8

// seal puts a checksum over the conditions of the list before Temporal's own
// token. Temporal answers a token that it cannot read like a fault of its own,
// which the client then retries for seconds. Nothing is kept secret by it: who
// makes one up on purpose gets to wait, or another place in the same list.
func seal(conditions string, token []byte) []byte {
	if len(token) == 0 {
		return nil
	}
	sum := sha256.Sum256([]byte(conditions + "\x00" + string(token)))
	return append(sum[:sealSize], token...)
}

// unseal returns Temporal's own token; ok is false when sealed is not one that
// seal returned for the same conditions.
func unseal(conditions string, sealed []byte) (token []byte, ok bool) {
	if len(sealed) == 0 {
		return nil, true
	}
	if len(sealed) <= sealSize {
		return nil, false
	}
	token = sealed[sealSize:]
	return token, bytes.Equal(sealed, seal(conditions, token))
}
