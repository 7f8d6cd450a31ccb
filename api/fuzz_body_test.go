package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// fuzzedBody is one operation with a body.
type fuzzedBody struct {
	method, path string
	// read says how encoding/json reads a body that passed, and writes it again.
	read func(t *testing.T, encoded []byte) (body any, again []byte)
	// reached is the body as what it came to behind the door tells it; nil when
	// nothing was asked for there.
	reached func(h *house) any
}

// readAs is the read of a body of type T. What has no trace behind the door is
// taken out by plain.
func readAs[T any](plain func(*T)) func(*testing.T, []byte) (any, []byte) {
	return func(t *testing.T, encoded []byte) (any, []byte) {
		t.Helper()
		body := strictly[T](t, encoded)
		again, err := json.Marshal(body)
		require.NoError(t, err)
		plain(&body)
		return body, again
	}
}

func fuzzedBodies(heard *any) []fuzzedBody {
	reached := func(*house) any { return *heard }
	return []fuzzedBody{
		{http.MethodPost, patchPath, readAs(func(b *contract.PatchRequest) {
			b.SourceRef, b.OpSource = patchDefaults(b.SourceRef, b.OpSource)
		}), func(h *house) any {
			if len(h.patcher.starts) == 0 {
				return nil
			}
			r := h.patcher.starts[0]
			return contract.PatchRequest{
				Version: r.Version, ExpectedVersion: r.ExpectedVersion, Force: r.Force, Reason: r.Reason,
				SourceRef: r.SourceRef, OpSource: string(r.OpSource),
			}
		}},
		{http.MethodPost, demo + "/rollback", readAs(func(b *contract.RollbackRequest) {
			b.SourceRef, b.OpSource = patchDefaults(b.SourceRef, b.OpSource)
			if b.ExpectedVersion == "" {
				b.ExpectedVersion = "1.4.3"
			}
			if b.To == "previous" {
				b.To = "1.4.2"
			}
		}), func(h *house) any {
			if len(h.patcher.starts) == 0 {
				return nil
			}
			r := h.patcher.starts[0]
			return contract.RollbackRequest{
				To: r.Version, ExpectedVersion: r.ExpectedVersion, Reason: r.Reason, SourceRef: r.SourceRef, OpSource: string(r.OpSource),
			}
		}},
		{http.MethodPost, cancelPath, readAs(func(*contract.CancelRequest) {}), func(h *house) any {
			return contract.CancelRequest{Reason: h.patcher.cancels[0].Reason}
		}},
		{http.MethodPost, games, readAs(func(b *contract.RegisterRuntime) {
			if b.Status == "" {
				b.Status = contract.RuntimeStarting
			}
		}), reached},
		{http.MethodPost, demo + "/status", readAs(func(*contract.UpdateStatus) {}), reached},
		{http.MethodPut, demo + "/scheduling", readAs(func(b *contract.Scheduling) {
			if b.NextGenerationAt != nil {
				utc := b.NextGenerationAt.UTC()
				b.NextGenerationAt = &utc
			}
		}), reached},
		{http.MethodPut, demo + "/engine-health", readAs(func(*contract.EngineHealth) {}), reached},
		{http.MethodPut, versions + "/1.4.3", readAs(func(*contract.PutEngineVersion) {}), reached},
		{http.MethodPost, retryPath, readAs(func(*contract.OperatorCommand) {}), func(h *house) any {
			return contract.OperatorCommand{Reason: h.patcher.retries[0].Reason}
		}},
		{http.MethodPost, abandonPath, readAs(func(*contract.OperatorCommand) {}), func(h *house) any {
			return contract.OperatorCommand{Reason: h.patcher.abandons[0].Reason}
		}},
		{http.MethodPost, reconcilePath, readAs(func(b *contract.ReconcileRequest) {
			b.SourceRef, b.OpSource = patchDefaults(b.SourceRef, b.OpSource)
		}), func(h *house) any {
			r := h.patcher.reconciles[0]
			return contract.ReconcileRequest{
				Mode: contract.ReconcileMode(r.Mode), Reason: r.Reason, SourceRef: r.SourceRef, OpSource: string(r.OpSource),
			}
		}},
	}
}

func patchDefaults(sourceRef, source string) (string, string) {
	if sourceRef == "" {
		sourceRef = "admin"
	}
	return sourceRef, string(operation.OpSource(source).OrDefault())
}

// hearing is a house in which heard is what the ports were told, as a body.
func hearing(t *testing.T, heard *any) *house {
	t.Helper()
	h := build(t)
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil).AnyTimes()
	h.versions.EXPECT().Get(gomock.Any(), gomock.Any()).Return(entryOf("1.4.3", "active"), nil).AnyTimes()
	h.versions.EXPECT().Users(gomock.Any(), gomock.Any()).AnyTimes()
	h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).Return(moves("1.4.2", "1.4.3"), nil).AnyTimes()
	h.registrar.EXPECT().Register(gomock.Any(), gomock.Any()).DoAndReturn(func(_ any, in ports.RegisterInput) (runtime.RuntimeRecord, error) {
		*heard = contract.RegisterRuntime{GameID: in.GameID, EngineVersion: in.EngineVersion, Status: contract.RuntimeStatus(in.Status)}
		return record("demo-1"), in.Validate()
	}).AnyTimes()
	h.runtimes.EXPECT().UpdateStatus(gomock.Any(), gomock.Any()).DoAndReturn(func(_ any, in ports.UpdateStatusInput) error {
		body := contract.UpdateStatus{
			ExpectedFrom: contract.RuntimeStatus(in.ExpectedFrom), To: contract.RuntimeStatus(in.To), EngineHealth: in.EngineHealthSummary,
		}
		if in.CurrentImageRef != nil {
			body.CurrentImageRef, body.CurrentEngineVersion = *in.CurrentImageRef, *in.CurrentEngineVersion
		}
		*heard = body
		return in.Validate()
	}).AnyTimes()
	h.runtimes.EXPECT().UpdateScheduling(gomock.Any(), gomock.Any()).DoAndReturn(func(_ any, in ports.UpdateSchedulingInput) error {
		body := contract.Scheduling{NextGenerationAt: in.NextGenerationAt, SkipNextTick: in.SkipNextTick, CurrentTurn: int64(in.CurrentTurn)}
		if body.NextGenerationAt != nil {
			utc := body.NextGenerationAt.UTC()
			body.NextGenerationAt = &utc
		}
		*heard = body
		return in.Validate()
	}).AnyTimes()
	h.runtimes.EXPECT().UpdateEngineHealth(gomock.Any(), gomock.Any()).DoAndReturn(func(_ any, in ports.UpdateEngineHealthInput) error {
		*heard = contract.EngineHealth{EngineHealth: in.EngineHealthSummary}
		return in.Validate()
	}).AnyTimes()
	h.versions.EXPECT().PutImage(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ any, in ports.PutImageInput) (engineversion.EngineVersion, bool, error) {
			*heard = contract.PutEngineVersion{ImageRef: in.ImageRef}
			return entryOf("1.4.3", "active"), false, in.Validate()
		}).AnyTimes()
	return h
}

// Whatever the bytes of a body, the answer is one of the contract and no
// internal error. What passes is what encoding/json reads, to the letter, within
// every bound, and means the same when it is written and sent again; what does
// not pass is refused by name.
func FuzzBody(f *testing.F) {
	f.Fuzz(func(t *testing.T, which uint8, encoded []byte) {
		if len(encoded) == 0 {
			return // no body
		}
		var heard any
		all := fuzzedBodies(&heard)
		operation := all[int(which)%len(all)]
		h := hearing(t, &heard)
		got := h.call(t, operation.method, operation.path, string(encoded))
		if got.status >= 300 {
			requireRefusal(t, got)
			h.patcher.untouched(t)
			return
		}
		body, again := operation.read(t, encoded)
		if reached := operation.reached(h); reached != nil {
			require.Equal(t, body, reached)
		} else {
			require.Contains(t, got.body, `"dry_run":true`)
			require.Contains(t, string(again), `"dry_run":true`)
		}
		if asked, ok := body.(contract.PatchRequest); ok {
			requireBounds(t, asked)
		}
		heard = nil
		h = hearing(t, &heard)
		second := h.call(t, operation.method, operation.path, string(again))
		require.Equal(t, got.status, second.status, second.body)
		if reached := operation.reached(h); reached != nil {
			require.Equal(t, body, reached)
		}
	})
}

// requireRefusal checks that a refusal can be mended: it names what is wrong.
func requireRefusal(t *testing.T, got reply) {
	t.Helper()
	require.Less(t, got.status, 500, got.body)
	problem := got.problem(t)
	require.NotEmpty(t, problem.Errors, got.body)
	require.LessOrEqual(t, len(problem.Errors), 10)
	for _, mistake := range problem.Errors {
		require.NotEmpty(t, mistake.Detail)
		require.LessOrEqual(t, len(mistake.Field), 64)
	}
}

// requireBounds checks that a text that passed can be stored, logged and shown.
func requireBounds(t *testing.T, body contract.PatchRequest) {
	t.Helper()
	require.LessOrEqual(t, len(body.Version), engineversion.MaxLength)
	require.LessOrEqual(t, len(body.SourceRef), patch.MaxSourceRef)
	require.LessOrEqual(t, len(body.Reason), patch.MaxReason)
	for _, text := range []string{body.Version, body.SourceRef, body.OpSource, strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(body.Reason)} {
		require.True(t, utf8.ValidString(text))
		require.False(t, strings.ContainsFunc(text, unicode.IsControl))
	}
}
