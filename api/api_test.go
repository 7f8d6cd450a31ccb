package api_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"galaxy/gamemaster/internal/devstack/stacktest"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// TestMain proves beside the tests that no server leaves a goroutine behind; the
// Postgres of the tests is stopped before that is looked at.
func TestMain(m *testing.M) { goleak.VerifyTestMain(withStack{m}) }

type withStack struct{ tests *testing.M }

func (w withStack) Run() int { return stacktest.Run(w.tests) }

const (
	patchPath = "/api/v1/internal/runtimes/demo-1/patch"
	goodBody  = `{"version":"1.4.3"}`
)

// fakePatcher records what reaches it and answers as its functions say.
type fakePatcher struct {
	start     func(context.Context, patch.Request) (patch.Handle, error)
	reconcile func(context.Context, patch.ReconcileRequest) (patch.Handle, error)
	await     func(context.Context, patch.Handle) (patch.Result, error)
	look      func(context.Context, string) (patch.View, error)
	// steer answers all three ways of steering.
	steer func(context.Context, string, patch.Command) (patch.Handle, error)
	list  func(context.Context, patch.OpenQuery) (patch.OpenPage, error)
	past  func(context.Context, history.Ref, int) (history.Run, []byte, error)

	mu         sync.Mutex
	starts     []patch.Request
	reconciles []patch.ReconcileRequest
	awaits     []patch.Handle
	looks      []string
	cancels    []patch.Command
	retries    []patch.Command
	abandons   []patch.Command
	queries    []patch.OpenQuery
}

// note records one call.
func note[T any](fake *fakePatcher, list *[]T, call T) {
	fake.mu.Lock()
	defer fake.mu.Unlock()
	*list = append(*list, call)
}

func (fake *fakePatcher) Start(ctx context.Context, request patch.Request) (patch.Handle, error) {
	note(fake, &fake.starts, request)
	if fake.start != nil {
		return fake.start(ctx, request)
	}
	return handleFor(request.PatchID), nil
}

func (fake *fakePatcher) Await(ctx context.Context, handle patch.Handle) (patch.Result, error) {
	note(fake, &fake.awaits, handle)
	if fake.await != nil {
		return fake.await(ctx, handle)
	}
	return success(handle), nil
}

func (fake *fakePatcher) Look(ctx context.Context, patchID string) (patch.View, error) {
	note(fake, &fake.looks, patchID)
	if fake.look != nil {
		return fake.look(ctx, patchID)
	}
	return patch.View{}, patch.ErrNotFound
}

func (fake *fakePatcher) Reconcile(ctx context.Context, request patch.ReconcileRequest) (patch.Handle, error) {
	note(fake, &fake.reconciles, request)
	if fake.reconcile != nil {
		return fake.reconcile(ctx, request)
	}
	return handleFor(request.PatchID), nil
}

func (fake *fakePatcher) Cancel(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	note(fake, &fake.cancels, command)
	return fake.steered(ctx, patchID, command)
}

func (fake *fakePatcher) Retry(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	note(fake, &fake.retries, command)
	return fake.steered(ctx, patchID, command)
}

func (fake *fakePatcher) Abandon(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	note(fake, &fake.abandons, command)
	return fake.steered(ctx, patchID, command)
}

func (fake *fakePatcher) steered(ctx context.Context, patchID string, command patch.Command) (patch.Handle, error) {
	if fake.steer != nil {
		return fake.steer(ctx, patchID, command)
	}
	return handleFor(patchID), nil
}

func (fake *fakePatcher) History(ctx context.Context, run history.Ref, most int) (history.Run, []byte, error) {
	if fake.past != nil {
		return fake.past(ctx, run, most)
	}
	return history.Run{}, nil, history.ErrNotFound
}

func (fake *fakePatcher) ListOpen(ctx context.Context, query patch.OpenQuery) (patch.OpenPage, error) {
	note(fake, &fake.queries, query)
	if fake.list != nil {
		return fake.list(ctx, query)
	}
	return patch.OpenPage{}, nil
}

// started returns what was asked to start so far.
func (fake *fakePatcher) started() []patch.Request {
	fake.mu.Lock()
	defer fake.mu.Unlock()
	return append([]patch.Request(nil), fake.starts...)
}

func (fake *fakePatcher) untouched(t *testing.T) {
	t.Helper()
	fake.mu.Lock()
	defer fake.mu.Unlock()
	require.Empty(t, fake.starts, "Start was called")
	require.Empty(t, fake.awaits, "Await was called")
	require.Empty(t, fake.looks, "Look was called")
	require.Empty(t, fake.reconciles, "Reconcile was called")
	require.Empty(t, fake.cancels, "Cancel was called")
	require.Empty(t, fake.retries, "Retry was called")
	require.Empty(t, fake.abandons, "Abandon was called")
	require.Empty(t, fake.queries, "ListOpen was called")
}

func handleFor(patchID string) patch.Handle {
	gameID, _ := patch.GameOf(patchID)
	return patch.Handle{PatchID: patchID, GameID: gameID, WorkflowID: patch.WorkflowID(gameID), RunID: "run-1"}
}

var (
	moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	from   = patch.Image{Version: "1.4.2", ImageRef: "engine:1.4.2"}
	to     = patch.Image{Version: "1.4.3", ImageRef: "engine:1.4.3"}

	// somePatch is a possible id.
	somePatch = "demo-1.abcdefghijklmnopqrstuvwxyz"
)

func record(gameID string) runtime.RuntimeRecord {
	return runtime.RuntimeRecord{
		GameID: gameID, Status: runtime.StatusRunning,
		CurrentImageRef: to.ImageRef, CurrentEngineVersion: to.Version,
		CreatedAt: moment, UpdatedAt: moment,
	}
}

// recordJSON is record("demo-1") as it is told.
const recordJSON = `{"game_id":"demo-1","status":"running","current_image_ref":"engine:1.4.3","current_engine_version":"1.4.3",` +
	`"engine_health":"","next_generation_at":null,"skip_next_tick":false,"current_turn":0,` +
	`"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z","started_at":null,"stopped_at":null,"finished_at":null}`

func success(handle patch.Handle) patch.Result {
	row := record(handle.GameID)
	return patch.Result{
		PatchID: handle.PatchID, GameID: handle.GameID, WorkflowID: handle.WorkflowID, RunID: handle.RunID,
		Outcome: operation.OutcomeSuccess, From: from, To: to, Runtime: &row,
		StartedAt: moment, FinishedAt: moment.Add(time.Second),
	}
}
