package client_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

const (
	gameID   = "demo-1"
	version  = "1.4.3"
	imageRef = "registry.example/galaxy/engine:1.4.3"
	patchID  = "demo-1.ie6lo7c3uipa373oksugz6isl4"
	token    = "not-to-be-seen-anywhere"
)

// faceOf has a use of every operation of the document. Each returns what of the
// answer shows that it was read: the game, the version or a status.
func faceOf(c *client.Client) map[string]func(context.Context) (string, error) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return map[string]func(context.Context) (string, error){
		"listRuntimes": func(ctx context.Context) (string, error) {
			page, err := c.ListRuntimes(ctx, client.ListRuntimesParams{Status: client.RuntimeRunning, Limit: 10})
			return page.Runtimes[0].GameID, err
		},
		"registerRuntime": func(ctx context.Context) (string, error) {
			record, err := c.RegisterRuntime(ctx, client.RegisterRuntime{GameID: gameID, EngineVersion: version})
			return record.GameID, err
		},
		"listDueRuntimes": func(ctx context.Context) (string, error) {
			page, err := c.ListDueRuntimes(ctx, client.ListDueRuntimesParams{At: at})
			return page.Runtimes[0].GameID, err
		},
		"getRuntime": func(ctx context.Context) (string, error) {
			record, err := c.GetRuntime(ctx, gameID)
			return record.GameID, err
		},
		"deleteRuntime": func(ctx context.Context) (string, error) { return gameID, c.DeleteRuntime(ctx, gameID) },
		"updateRuntimeStatus": func(ctx context.Context) (string, error) {
			record, err := c.UpdateRuntimeStatus(ctx, gameID, client.UpdateStatus{
				ExpectedFrom: client.RuntimeStarting, To: client.RuntimeRunning, EngineHealth: new("healthy"),
			})
			return record.GameID, err
		},
		"updateRuntimeScheduling": func(ctx context.Context) (string, error) {
			record, err := c.UpdateRuntimeScheduling(ctx, gameID, client.Scheduling{CurrentTurn: 12})
			return record.GameID, err
		},
		"updateRuntimeEngineHealth": func(ctx context.Context) (string, error) {
			record, err := c.UpdateRuntimeEngineHealth(ctx, gameID, "")
			return record.GameID, err
		},
		"listRuntimeOperations": func(ctx context.Context) (string, error) {
			page, err := c.ListRuntimeOperations(ctx, gameID, client.ListRuntimeOperationsParams{})
			return page.Operations[0].GameID, err
		},
		"patchRuntime": func(ctx context.Context) (string, error) {
			patch, err := c.Patch(ctx, gameID, client.PatchRequest{Version: version}, client.PatchOptions{Wait: new(90 * time.Second)})
			return patch.GameID, err
		},
		"rollbackRuntime": func(ctx context.Context) (string, error) {
			patch, err := c.Rollback(ctx, gameID, client.RollbackRequest{To: client.Previous}, client.PatchOptions{})
			return patch.GameID, err
		},
		"listPatches": func(ctx context.Context) (string, error) {
			page, err := c.ListPatches(ctx, client.ListPatchesParams{GameID: gameID, State: client.StateClosed})
			return page.Patches[0].GameID, err
		},
		"getPatchHistory": func(ctx context.Context) (string, error) {
			told, err := c.GetPatchHistory(ctx, patchID, "0199c7a2-5a0b-7a53-9d0e-5d8b6a1c2e11")
			if !strings.Contains(string(told.History), "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED") {
				return string(told.History), err
			}
			return told.PatchID[:len(gameID)], err
		},
		"getPatch": func(ctx context.Context) (string, error) {
			patch, err := c.GetPatch(ctx, patchID)
			return patch.GameID, err
		},
		"cancelPatch": func(ctx context.Context) (string, error) {
			patch, err := c.CancelPatch(ctx, patchID, "")
			return patch.GameID, err
		},
		"retryPatch": func(ctx context.Context) (string, error) {
			patch, err := c.RetryPatch(ctx, patchID, "Runtime Manager\nis back")
			return patch.GameID, err
		},
		"abandonPatch": func(ctx context.Context) (string, error) {
			patch, err := c.AbandonPatch(ctx, patchID, "the host is gone")
			return patch.GameID, err
		},
		"reconcileRuntime": func(ctx context.Context) (string, error) {
			patch, err := c.Reconcile(ctx, gameID, client.ReconcileRequest{Mode: client.ModeEnforce},
				client.ReconcileOptions{Wait: new(90 * time.Second)})
			return patch.GameID, err
		},
		"listDrift": func(ctx context.Context) (string, error) {
			page, err := c.ListDrift(ctx, client.ListDriftParams{GameID: gameID, Kind: client.DriftImage, Resolved: true})
			return page.Findings[0].GameID, err
		},
		"listOperations": func(ctx context.Context) (string, error) {
			page, err := c.ListOperations(ctx, client.ListOperationsParams{
				Outcome: client.OutcomeFailure, ErrorCode: "conflict", Since: at, Until: at.Add(time.Hour),
			})
			return page.Operations[0].GameID, err
		},
		"listEngineVersions": func(ctx context.Context) (string, error) {
			versions, err := c.ListEngineVersions(ctx, client.ListEngineVersionsParams{Status: client.EngineVersionActive})
			return versions[0].Version, err
		},
		"getEngineVersion": func(ctx context.Context) (string, error) {
			read, err := c.GetEngineVersion(ctx, "1.4.3-rc.1+build.7")
			return read.UsedBy.GameIDs[0], err
		},
		"putEngineVersion": func(ctx context.Context) (string, error) {
			read, _, err := c.PutEngineVersion(ctx, version, imageRef)
			return read.Version, err
		},
		"deprecateEngineVersion": func(ctx context.Context) (string, error) {
			read, err := c.DeprecateEngineVersion(ctx, version)
			return read.Version, err
		},
		"activateEngineVersion": func(ctx context.Context) (string, error) {
			read, err := c.ActivateEngineVersion(ctx, version)
			return read.Version, err
		},
		"getHealth": func(ctx context.Context) (string, error) {
			health, err := c.GetHealth(ctx)
			return health.Status, err
		},
		"getReadiness": func(ctx context.Context) (string, error) {
			readiness, err := c.GetReadiness(ctx)
			return readiness.Status, err
		},
	}
}

// TestFace proves that every operation of the document is reached by a method,
// with a request that the document allows, and that its example is understood.
func TestFace(t *testing.T) {
	t.Parallel()
	s := newStub()
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, client.WithToken(token))
	require.NoError(t, err)
	face := faceOf(c)
	for path, item := range s.document.Paths.Map() {
		for method, operation := range item.Operations() {
			use, ok := face[operation.OperationID]
			if !ok {
				t.Errorf("no method for %s %s (%s)", method, path, operation.OperationID)
				continue
			}
			read, err := use(t.Context())
			require.NoError(t, err, operation.OperationID)
			require.Contains(t, []string{gameID, version, "ok", "ready"}, read, operation.OperationID)
			require.Equal(t, operation.OperationID, s.operations()[len(s.operations())-1])
			delete(face, operation.OperationID)
		}
	}
	require.Empty(t, face, "these are not in the document")
}

// TestCodes proves that there is a constant for every code of the document, and
// that it stands for the word of its name.
func TestCodes(t *testing.T) {
	t.Parallel()
	s := newStub()
	t.Cleanup(s.Close)
	words := map[client.Code]string{
		client.CodeInvalidRequest:        "invalid_request",
		client.CodeRuntimeNotFound:       "runtime_not_found",
		client.CodeEngineVersionNotFound: "engine_version_not_found",
		client.CodeRuntimeNotRunning:     "runtime_not_running",
		client.CodeSemverPatchOnly:       "semver_patch_only",
		client.CodePreconditionFailed:    "precondition_failed",
		client.CodeConflict:              "conflict",
		client.CodePatchInProgress:       "patch_in_progress",
		client.CodeCancelled:             "cancelled",
		client.CodeTerminated:            "terminated",
		client.CodeServiceUnavailable:    "service_unavailable",
		client.CodeInternalError:         "internal_error",
		client.CodeNotFound:              "not_found",
		client.CodePatchNotFound:         "patch_not_found",
		client.CodePatchClosed:           "patch_closed",
		client.CodeInDoubt:               "in_doubt",
		client.CodeNotInDoubt:            "not_in_doubt",
		client.CodeNoPreviousVersion:     "no_previous_version",
		client.CodeRuntimeExists:         "runtime_exists",
		client.CodeStatusConflict:        "status_conflict",
		client.CodeInvalidTransition:     "invalid_transition",
		client.CodeEngineVersionInUse:    "engine_version_in_use",
		client.CodeMethodNotAllowed:      "method_not_allowed",
		client.CodeUnauthorized:          "unauthorized",
		client.CodeForbidden:             "forbidden",
		client.CodeMisdirectedRequest:    "misdirected_request",
		client.CodeBodyTooLarge:          "body_too_large",
		client.CodeUnsupportedMediaType:  "unsupported_media_type",
		client.CodeRequestTimeout:        "request_timeout",
		client.CodeIdempotencyKeyReused:  "idempotency_key_reused",
		client.CodeTooManyRequests:       "too_many_requests",
	}
	listed := s.document.Components.Schemas["ProblemCode"].Value.Enum
	require.Len(t, words, len(listed))
	for code, word := range words {
		require.Equal(t, word, string(code))
		require.Contains(t, listed, word)
	}
}

// TestPlans proves that a plan asks for nothing but a dry run, and that what was
// meant as one is not carried out.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := newStub()
	t.Cleanup(s.Close)
	c, err := client.New(s.URL)
	require.NoError(t, err)

	plan, err := c.PlanPatch(t.Context(), gameID, client.PatchRequest{Version: version})
	require.NoError(t, err)
	require.Equal(t, client.PlanUpgrade, plan.Kind)
	plan, err = c.PlanRollback(t.Context(), gameID, client.RollbackRequest{To: "1.4.1"})
	require.NoError(t, err)
	require.True(t, plan.Allowed)

	asked := len(s.operations())
	_, err = c.Patch(t.Context(), gameID, client.PatchRequest{Version: version, DryRun: true}, client.PatchOptions{})
	require.ErrorContains(t, err, "dry_run")
	_, err = c.Rollback(t.Context(), gameID, client.RollbackRequest{To: version, DryRun: true}, client.PatchOptions{})
	require.ErrorContains(t, err, "dry_run")
	require.Len(t, s.operations(), asked)
}

// TestWalks proves that every walk gives the rows of all pages, begins anew with
// each range and asks for no further page than it needs.
func TestWalks(t *testing.T) {
	t.Parallel()
	s := newStub()
	t.Cleanup(s.Close)
	c, err := client.New(s.URL)
	require.NoError(t, err)
	ctx := t.Context()
	for name, walk := range map[string]iter.Seq2[string, error]{
		"listRuntimes":          games(c.AllRuntimes(ctx, client.ListRuntimesParams{}), func(r client.Runtime) string { return r.GameID }),
		"listDueRuntimes":       games(c.AllDueRuntimes(ctx, client.ListDueRuntimesParams{}), func(r client.Runtime) string { return r.GameID }),
		"listPatches":           games(c.AllPatches(ctx, client.ListPatchesParams{}), func(p client.Patch) string { return p.GameID }),
		"listDrift":             games(c.AllDrift(ctx, client.ListDriftParams{}), func(f client.DriftFinding) string { return f.GameID }),
		"listOperations":        games(c.AllOperations(ctx, client.ListOperationsParams{}), func(o client.Operation) string { return o.GameID }),
		"listRuntimeOperations": games(c.AllRuntimeOperations(ctx, gameID, client.ListRuntimeOperationsParams{}), func(o client.Operation) string { return o.GameID }),
	} {
		for range 2 {
			var read []string
			for id, err := range walk {
				require.NoError(t, err)
				read = append(read, id)
			}
			require.Equal(t, []string{gameID, gameID}, read, name)
		}
		before := len(s.operations())
		for range walk {
			break
		}
		require.Equal(t, []string{name}, s.operations()[before:])
	}
}

func games[T any](walk iter.Seq2[T, error], game func(T) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for item, err := range walk {
			if !yield(game(item), err) {
				return
			}
		}
	}
}

// TestDueInstant proves that all pages of a walk ask for one instant, this
// machine's time when none is given.
func TestDueInstant(t *testing.T) {
	t.Parallel()
	var instants []string
	c := newClient(t, pagesOf(`{"runtimes":[],"next_cursor":"b"}`, `{"runtimes":[]}`).recording(func(query map[string][]string) {
		instants = append(instants, query["at"]...)
	}))
	for _, err := range c.AllDueRuntimes(t.Context(), client.ListDueRuntimesParams{}) {
		require.NoError(t, err)
	}
	require.Len(t, instants, 2)
	require.Len(t, slices.Compact(instants), 1)
	at, err := time.Parse(time.RFC3339, instants[0])
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), at, time.Minute)
}
