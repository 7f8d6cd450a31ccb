package api_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/mock/gomock"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/auth"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/history"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/ports"
)

// door is one operation, with a request that passes.
type door struct {
	method, path, body string
	// scope is what it takes; empty on those that are open to everybody.
	scope auth.Scope
	// reach says what a caller who is limited to other games than demo-1 gets.
	reach reach
	// status is the answer to who may.
	status int
}

type reach string

const (
	// aGame is about one game: it is refused to who may not see it.
	aGame reach = "a game"
	// aList is of many games: it leaves out those that the caller may not see.
	aList reach = "a list"
	// everyGame changes what is every game's: it is refused to who is limited.
	everyGame reach = "every game"
	// noGame has nothing to do with games.
	noGame reach = "no game"
)

const (
	games    = "/api/v1/internal/runtimes"
	demo     = games + "/demo-1"
	patches  = "/api/v1/internal/patches"
	versions = "/api/v1/internal/engine-versions"
	drifts   = "/api/v1/internal/drift"
)

// doors are all operations of the contract.
func doors() []door {
	return []door{
		{"GET", games, "", auth.ScopeRead, aList, 200},
		{"POST", games, `{"game_id":"demo-1","engine_version":"1.4.3"}`, auth.ScopeAdmin, aGame, 201},
		{"GET", games + "/due", "", auth.ScopeRead, aList, 200},
		{"GET", demo, "", auth.ScopeRead, aGame, 200},
		{"DELETE", demo, "", auth.ScopeAdmin, aGame, 204},
		{"POST", demo + "/status", `{"expected_from":"running","to":"stopped"}`, auth.ScopeAdmin, aGame, 200},
		{"PUT", demo + "/scheduling", `{"next_generation_at":null,"skip_next_tick":true,"current_turn":1}`, auth.ScopeAdmin, aGame, 200},
		{"PUT", demo + "/engine-health", `{"engine_health":"fine"}`, auth.ScopeAdmin, aGame, 200},
		{"GET", demo + "/operations", "", auth.ScopeRead, aGame, 200},
		{"POST", demo + "/patch", goodBody, auth.ScopePatch, aGame, 200},
		{"POST", demo + "/patch", `{"version":"1.4.3","dry_run":true}`, auth.ScopePatch, aGame, 200},
		{"POST", demo + "/rollback", `{"to":"1.4.2"}`, auth.ScopePatch, aGame, 200},
		{"GET", patches, "", auth.ScopeRead, aList, 200},
		{"GET", patches + "?state=closed", "", auth.ScopeRead, aList, 200},
		{"GET", patches + "?game_id=demo-1", "", auth.ScopeRead, aGame, 200},
		{"GET", patches + "?game_id=demo-1&state=closed", "", auth.ScopeRead, aGame, 200},
		{"GET", patches + "/" + somePatch, "", auth.ScopeRead, aGame, 200},
		{"GET", patches + "/" + somePatch + "/history", "", auth.ScopeRead, aGame, 200},
		{"POST", patches + "/" + somePatch + "/cancel", "", auth.ScopePatch, aGame, 202},
		{"POST", patches + "/" + somePatch + "/retry", `{"reason":"it is back"}`, auth.ScopePatch, aGame, 202},
		{"POST", patches + "/" + somePatch + "/abandon", `{"reason":"it is gone"}`, auth.ScopePatch, aGame, 202},
		{"POST", demo + "/reconcile", `{"mode":"enforce"}`, auth.ScopePatch, aGame, 200},
		{"GET", "/api/v1/internal/operations", "", auth.ScopeRead, aList, 200},
		{"GET", drifts, "", auth.ScopeRead, aList, 200},
		{"GET", drifts + "?game_id=demo-1", "", auth.ScopeRead, aGame, 200},
		{"GET", versions, "", auth.ScopeRead, noGame, 200},
		{"GET", versions + "/1.4.3", "", auth.ScopeRead, aList, 200},
		{"PUT", versions + "/1.4.3", `{"image_ref":"engine:1.4.3"}`, auth.ScopeAdmin, everyGame, 201},
		{"POST", versions + "/1.4.3/deprecate", "", auth.ScopeAdmin, everyGame, 200},
		{"POST", versions + "/1.4.3/activate", "", auth.ScopeAdmin, everyGame, 200},
		{"GET", "/healthz", "", "", noGame, 200},
		{"GET", "/readyz", "", "", noGame, 200},
	}
}

// seen collects the prefixes of games that reach what is behind the door.
type seen struct{ prefixes [][]string }

func (s *seen) add(prefixes []string) { s.prefixes = append(s.prefixes, prefixes) }

// willing has every port answer whatever is asked, and tells of which games.
func (h *house) willing() *seen {
	asked := &seen{}
	entry := engineversion.EngineVersion{
		Version: to.Version, ImageRef: to.ImageRef, Status: engineversion.StatusActive, CreatedAt: moment, UpdatedAt: moment,
	}
	h.runtimes.EXPECT().Get(gomock.Any(), "demo-1").Return(record("demo-1"), nil).AnyTimes()
	h.runtimes.EXPECT().Delete(gomock.Any(), "demo-1").Return(nil).AnyTimes()
	h.runtimes.EXPECT().UpdateStatus(gomock.Any(), gomock.Any()).Return(nil).AnyTimes()
	h.runtimes.EXPECT().UpdateScheduling(gomock.Any(), gomock.Any()).Return(nil).AnyTimes()
	h.runtimes.EXPECT().UpdateEngineHealth(gomock.Any(), gomock.Any()).Return(nil).AnyTimes()
	h.registrar.EXPECT().Register(gomock.Any(), gomock.Any()).Return(record("demo-1"), nil).AnyTimes()
	h.pages.EXPECT().PageRuntimes(gomock.Any(), gomock.Any()).
		Do(func(_ any, input ports.RuntimePageInput) { asked.add(input.GamePrefixes) }).AnyTimes()
	h.pages.EXPECT().PageDueRunning(gomock.Any(), gomock.Any()).
		Do(func(_ any, input ports.DuePageInput) { asked.add(input.GamePrefixes) }).AnyTimes()
	h.audit.EXPECT().PageOperations(gomock.Any(), gomock.Any()).
		Do(func(_ any, input ports.OperationPageInput) { asked.add(input.GamePrefixes) }).AnyTimes()
	h.drift.EXPECT().LastPass(gomock.Any()).Return(somePass(), nil).AnyTimes()
	h.drift.EXPECT().PageDrift(gomock.Any(), gomock.Any()).
		Do(func(_ any, input ports.DriftPageInput) { asked.add(input.GamePrefixes) }).AnyTimes()
	h.versions.EXPECT().List(gomock.Any()).Return([]engineversion.EngineVersion{entry}, nil).AnyTimes()
	h.versions.EXPECT().Get(gomock.Any(), "1.4.3").Return(entry, nil).AnyTimes()
	h.versions.EXPECT().PutImage(gomock.Any(), gomock.Any()).Return(entry, true, nil).AnyTimes()
	h.versions.EXPECT().SetStatus(gomock.Any(), gomock.Any()).Return(entry, nil).AnyTimes()
	h.versions.EXPECT().Users(gomock.Any(), gomock.Any()).
		Do(func(_ any, input ports.VersionUsersInput) { asked.add(input.GamePrefixes) }).AnyTimes()
	h.histories.EXPECT().ListHistories(gomock.Any(), somePatch, gomock.Any()).Return(nil, nil).AnyTimes()
	h.histories.EXPECT().ListInterventions(gomock.Any(), somePatch, gomock.Any()).Return(nil, nil).AnyTimes()
	h.patcher.past = func(_ context.Context, ref history.Ref, _ int) (history.Run, []byte, error) {
		return history.Run{Ref: ref, PatchID: somePatch, WorkflowType: "PatchRuntime", Status: "Running"}, []byte(`{"events":[]}`), nil
	}
	h.patcher.look = viewing(patch.View{Handle: handleFor(somePatch)}, nil)
	return asked
}

// limited is a caller who may do everything, in games that begin so.
func limited(name, token string, prefixes ...string) auth.Token {
	entry := tokenOf(name, token, auth.Scopes()...)
	entry.Games = prefixes
	return entry
}

// knownGate is a gate to which everybody is the same caller, such as one whose
// issuer gave no scope at all.
type knownGate struct{ caller auth.Caller }

func (gate knownGate) Authenticate(context.Context, *http.Request) (auth.Caller, error) {
	return gate.caller, nil
}

// The table has every operation of the contract.
func TestDoorsAreAllOperations(t *testing.T) {
	described := operations(document(t))
	for _, door := range doors() {
		path, _, _ := strings.Cut(door.path, "?")
		template, item := pathOf(path)
		require.NotNil(t, item, door.path)
		delete(described, door.method+" "+template)
	}
	require.Empty(t, described)
}

// On every operation: nobody passes without a token or with a wrong one, nobody
// without its very scope, and nobody else is asked; who has that scope alone
// passes.
func TestEveryDoorTakesItsScope(t *testing.T) {
	const token = "token-of-somebody-else"
	for _, door := range doors() {
		t.Run(door.method+" "+door.path, func(t *testing.T) {
			knock := func(willing bool, gate api.Gate) (*house, reply) {
				h := build(t, func(o *api.Options) { o.Gate = gate })
				if willing {
					h.willing()
				}
				return h, h.call(t, door.method, door.path, door.body, "Authorization", "Bearer "+token)
			}
			if door.scope == "" {
				_, got := knock(false, deafGate{auth.ErrUnavailable})
				require.Equal(t, door.status, got.status)
				return
			}
			h := build(t)
			request := ask(t, door.method, door.path, door.body)
			request.Header.Del("Authorization")
			h.serve(t, request).refused(t, http.StatusUnauthorized, "unauthorized")
			h.call(t, door.method, door.path, door.body, "Authorization", "Bearer "+token).refused(t, http.StatusUnauthorized, "unauthorized")
			h.patcher.untouched(t)

			others := slices.DeleteFunc(auth.Scopes(), func(scope auth.Scope) bool { return scope == door.scope })
			require.Len(t, others, 2)
			for _, scopes := range [][]auth.Scope{nil, others[:1], others[1:], others} {
				h, got := knock(false, knownGate{auth.Caller{Name: "somebody", Scopes: scopes}})
				require.Contains(t, got.refused(t, http.StatusForbidden, "forbidden").Detail, string(door.scope))
				require.Equal(t, `Bearer realm="gamemaster", error="insufficient_scope", scope="`+string(door.scope)+`"`,
					got.header.Get("WWW-Authenticate"))
				h.patcher.untouched(t)
			}
			_, got := knock(true, gateOf(t, tokenOf("somebody", token, door.scope)))
			require.Equal(t, door.status, got.status, got.body)
		})
	}
}

// On every operation, a caller who is limited to other games is refused where a
// game is concerned, or the registry that all share; lists are asked for with
// the caller's games. One who is limited to these games passes.
func TestEveryDoorKeepsToTheCallersGames(t *testing.T) {
	const stranger, guest, admin = "token-of-a-stranger", "token-of-a-guest", secret
	for _, door := range doors() {
		t.Run(door.method+" "+door.path, func(t *testing.T) {
			knock := func(token string, willing bool) (*house, *seen, reply) {
				h := build(t, passing(t, limited("stranger", stranger, "prod-", "demo-2"), limited("guest", guest, "x", "demo-")))
				var asked *seen
				if willing {
					asked = h.willing()
				}
				return h, asked, h.call(t, door.method, door.path, door.body, "Authorization", "Bearer "+token)
			}
			refusing := door.reach == aGame || door.reach == everyGame
			h, asked, got := knock(stranger, !refusing)
			if refusing {
				got.refused(t, http.StatusForbidden, "forbidden")
				require.NotContains(t, got.body, "prod-")
				h.patcher.untouched(t)
			} else {
				require.Equal(t, door.status, got.status, got.body)
			}
			if door.reach == aList {
				require.Equal(t, [][]string{{"prod-", "demo-2"}}, append(asked.prefixes, prefixesOf(h)...))
			}
			_, _, got = knock(guest, door.reach != everyGame)
			if door.reach == everyGame {
				got.refused(t, http.StatusForbidden, "forbidden")
			} else {
				require.Equal(t, door.status, got.status, got.body)
			}
			if door.scope != "" {
				// Limited to no game at all is not the same as not limited.
				h := build(t, func(o *api.Options) {
					o.Gate = knownGate{auth.Caller{Name: "nobody", Scopes: auth.Scopes(), Games: []string{}}}
				})
				h.call(t, door.method, door.path, door.body).refused(t, http.StatusForbidden, "forbidden")
				h.patcher.untouched(t)
			}
			h, asked, got = knock(admin, true)
			require.Equal(t, door.status, got.status, got.body)
			for _, prefixes := range append(asked.prefixes, prefixesOf(h)...) {
				require.Empty(t, prefixes)
			}
		})
	}
}

// prefixesOf are those that open patches were asked for with.
func prefixesOf(h *house) (all [][]string) {
	for _, query := range h.patcher.queries {
		all = append(all, query.GamePrefixes)
	}
	return all
}

// Who may not see a game learns nothing of its id, whether it could be one or
// not, nor of a patch of it; an id that belongs to no game is refused for that.
func TestForbiddenGamesTellNothing(t *testing.T) {
	const token = "token-of-a-stranger"
	h := build(t, passing(t, limited("stranger", token, "prod-")))
	for path, status := range map[string]int{
		games + "/demo-1": 403, games + "/Demo-1": 403, games + "/prod%00": 403, games + "/%20prod-1": 403, games + "/prod-%00": 400,
		patches + "/" + somePatch: 403, patches + "/prod-1": 400, patches + "/demo-1": 400,
	} {
		got := h.call(t, http.MethodGet, path, "", "Authorization", "Bearer "+token)
		require.Equal(t, status, got.status, "%s: %s", path, got.body)
	}
	h.patcher.untouched(t)
}

var _ api.Gate = (*auth.Gate)(nil)
