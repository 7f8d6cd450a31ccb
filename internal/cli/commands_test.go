package cli_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/cli"
)

// TestCommands proves of every command that asks an API what it asks for, what
// it prints for people and which exit code an answer gives.
func TestCommands(t *testing.T) {
	t.Parallel()
	const patchPath, rollbackPath, look = "POST /runtimes/demo-1/patch", "POST /runtimes/demo-1/rollback", "GET /patches/" + patchID
	const reconcilePath = "POST /runtimes/demo-1/reconcile"
	accepted := reply{http.StatusAccepted, opened}
	plan := `{"dry_run":true,"allowed":true,"game_id":"demo-1","kind":"upgrade","from":{"version":"1.4.2","image_ref":"a"},
		"to":{"version":"1.4.3","image_ref":"b"},"checks":[{"name":"request","status":"passed"}]}`
	refusedPlan := `{"dry_run":true,"allowed":false,"game_id":"demo-1","code":"semver_patch_only","checks":[{"name":"request","status":"passed"},
		{"name":"same_major_minor","status":"failed","code":"semver_patch_only","detail":"major and minor must be the same"},{"name":"x","status":"skipped"}]}`
	for _, row := range []struct {
		name    string
		args    string
		replies map[string][]reply
		code    int
		says    []string
		body    string
	}{
		{"list games", "runtimes list --status running", map[string][]reply{"GET /runtimes?limit=101&status=running": {ok(`{"runtimes":[` + runtime1 + `]}`)}},
			0, []string{"GAME", "demo-1", "running", "1.4.2", "healthy", "12", "2026-03-01 18:00:00Z"}, ""},
		{"no games", "runtimes list", map[string][]reply{"GET /runtimes?limit=101": {ok(`{"runtimes":[]}`)}}, 0, []string{"no runtimes"}, ""},
		{"show a game", "runtimes show demo-1", map[string][]reply{"GET /runtimes/demo-1": {ok(runtime1)}},
			0, []string{"image         registry.example/engine:1.4.2", "turn          12", "skip next     yes"}, ""},
		{"show no game", "runtimes show demo-9", map[string][]reply{"GET /runtimes/demo-9": {problem(404, "runtime_not_found", "there is no record of this game")}},
			2, []string{"runtime_not_found: there is no record of this game (HTTP 404, request 5f0c8b1e)"}, ""},
		{"show an unavailable game", "runtimes show demo-1 --timeout 10s", map[string][]reply{"GET /runtimes/demo-1": {problem(503, "service_unavailable", "try again")}},
			75, []string{"service_unavailable: try again"}, ""},
		{"show a broken game", "runtimes show demo-1", map[string][]reply{"GET /runtimes/demo-1": {problem(500, "internal_error", "in the logs")}},
			1, []string{"internal_error"}, ""},
		{"something else listens", "runtimes show demo-1", map[string][]reply{}, 2, []string{"HTTP 418", "something else"}, ""},
		{"register", "runtimes register demo-1 1.4.2 --status running", map[string][]reply{"POST /runtimes": {{201, runtime1}}},
			0, []string{"game          demo-1"}, `{"engine_version":"1.4.2","game_id":"demo-1","status":"running"}`},
		{"delete", "runtimes delete demo-1 --yes", map[string][]reply{"DELETE /runtimes/demo-1": {{204, ""}}}, 0, []string{"no record of demo-1"}, ""},
		{"delete without a word", "runtimes delete demo-1", nil, 2, []string{"--yes"}, ""},

		{"list versions", "versions list --status active", map[string][]reply{"GET /engine-versions?status=active": {ok(`{"engine_versions":[` + version1 + `]}`)}},
			0, []string{"VERSION", "1.4.3", "registry.example/engine:1.4.3"}, ""},
		{"show a version", "versions show 1.4.3+7", map[string][]reply{"GET /engine-versions/1.4.3+7": {ok(version1)}}, 0, []string{"games on it   2: demo-1, …"}, ""},
		{"add a version", "versions add 1.4.3 img:1", map[string][]reply{"PUT /engine-versions/1.4.3": {{201, version1}}}, 0, []string{"status        active"}, `{"image_ref":"img:1"}`},
		{"add it again", "versions add 1.4.3 img:1", map[string][]reply{"PUT /engine-versions/1.4.3": {ok(version1)}}, 0, []string{"registered before"}, `{"image_ref":"img:1"}`},
		{"deprecate", "versions deprecate 1.4.3", map[string][]reply{"POST /engine-versions/1.4.3/deprecate": {ok(version1)}}, 0, []string{"1.4.3"}, ""},
		{"activate", "versions activate 1.4.3", map[string][]reply{"POST /engine-versions/1.4.3/activate": {ok(version1)}}, 0, []string{"1.4.3"}, ""},
		{"activate what is missing", "versions activate 9.9.9",
			map[string][]reply{"POST /engine-versions/9.9.9/activate": {problem(404, "engine_version_not_found", "not registered")}}, 2, []string{"engine_version_not_found"}, ""},

		{"patch", "patch demo-1 1.4.3 --reason by-hand --force --expected-version 1.4.2 --source-ref t-7",
			map[string][]reply{patchPath: {accepted}, look: {ok(patching), ok(patching), ok(done)}},
			0, []string{"patch of demo-1: " + patchID, "  patching       PatchContainer, attempt 2: runtime manager unavailable: HTTP 503", "  done           1.4.2 -> 1.4.3 (b)"},
			`{"expected_version":"1.4.2","force":true,"op_source":"admin_cli","reason":"by-hand","source_ref":"t-7","version":"1.4.3"}`},
		{"patch that is none", "patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {ok(noop)}}, 0, []string{"nothing was recreated"}, ""},
		{"patch that loses", "patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {ok(conflicted)}},
			2, []string{"undone         container recreated on a; row is running on 1.4.2", "conflict: the record changed"}, ""},
		{"patch that fails", "patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {ok(failed)}}, 1, []string{"service_unavailable: runtime manager unavailable"}, ""},
		{"patch refused at the door", "patch demo-1 1.4.3", map[string][]reply{patchPath: {problem(409, "patch_in_progress", "wait for its end")}}, 2, []string{"patch_in_progress"}, ""},
		{"patch that may have started", "patch demo-1 1.4.3", map[string][]reply{patchPath: {{500, `{"code":"internal_error","detail":"x","patch_id":"` + patchID + `"}`}}},
			1, []string{"gamemaster patches show " + patchID}, ""},
		{"patch that is lost from sight", "patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {problem(403, "forbidden", "the scope runtime:read is needed")}},
			2, []string{"forbidden", "the patch goes on", "gamemaster patches show " + patchID}, ""},
		{"plan", "patch demo-1 1.4.3 --dry-run", map[string][]reply{patchPath: {ok(plan)}}, 0, []string{"passed   request", "would upgrade demo-1: 1.4.2 -> 1.4.3 (b)"}, ""},
		{"plan of nothing", "patch demo-1 1.4.3 --dry-run", map[string][]reply{patchPath: {ok(strings.Replace(plan, "upgrade", "noop", 1))}}, 0, []string{"would do nothing: demo-1 is on 1.4.3"}, ""},
		{"plan that is refused", "patch demo-1 1.5.0 --dry-run", map[string][]reply{patchPath: {ok(refusedPlan)}},
			2, []string{"failed   same_major_minor", "skipped  x", "semver_patch_only: major and minor must be the same"}, ""},
		{"rollback", "rollback demo-1 --reason slow", map[string][]reply{rollbackPath: {accepted}, look: {ok(done)}},
			0, []string{"done"}, `{"op_source":"admin_cli","reason":"slow","to":"previous"}`},
		{"plan of a rollback", "rollback demo-1 --to 1.4.1 --dry-run", map[string][]reply{rollbackPath: {ok(strings.Replace(plan, "upgrade", "rollback", 1))}},
			0, []string{"would roll back demo-1"}, `{"dry_run":true,"op_source":"admin_cli","to":"1.4.1"}`},
		{"rollback to nothing", "rollback demo-1", map[string][]reply{rollbackPath: {problem(409, "no_previous_version", "name a version")}}, 2, []string{"name a version"}, ""},

		{"list patches", "patches list --game demo-1 --state closed",
			map[string][]reply{"GET /patches?game_id=demo-1&limit=101&state=closed": {ok(`{"patches":[` + conflicted + `,` + patching + `,` + opened + `,` + done + `]}`)}},
			0, []string{"conflict", "patching", "open", "success", "ops"}, ""},
		{"show a patch", "patches show " + patchID, map[string][]reply{look: {ok(conflicted)}}, 0, []string{"outcome       failure", "undone        container recreated on a"}, ""},
		{"show an open patch", "patches show " + patchID, map[string][]reply{look: {ok(patching)}}, 0, []string{"attempts      2", "last error    runtime manager"}, ""},
		{"show a patch that did nothing", "patches show " + patchID, map[string][]reply{look: {ok(noop)}}, 0, []string{"nothing was recreated"}, ""},
		{"cancel", "patches cancel " + patchID + " --reason wrong", map[string][]reply{"POST /patches/" + patchID + "/cancel": {accepted}}, 0, []string{"asked patch"}, `{"reason":"wrong"}`},
		{"cancel what has ended", "patches cancel " + patchID, map[string][]reply{"POST /patches/" + patchID + "/cancel": {problem(409, "patch_closed", "has ended")}}, 2, []string{"patch_closed"}, ""},
		{"cancel one in doubt", "patches cancel " + patchID,
			map[string][]reply{"POST /patches/" + patchID + "/cancel": {problem(409, "in_doubt", "retry the patch, or abandon it")}},
			2, []string{"in_doubt: retry the patch", "gamemaster patches retry " + patchID + " --reason", "gamemaster patches abandon " + patchID + " --reason"}, ""},
		{"show a patch in doubt", "patches show " + patchID, map[string][]reply{look: {ok(doubted)}},
			0, []string{"phase         needs_operator", "try again     gamemaster patches retry " + patchID + " --reason", "give up       gamemaster patches abandon " + patchID + " --reason"}, ""},
		{"retry", "patches retry " + patchID + " --reason back", map[string][]reply{"POST /patches/" + patchID + "/retry": {accepted}},
			0, []string{"patch " + patchID + " tries again", "gamemaster patches show " + patchID}, `{"reason":"back"}`},
		{"retry what waits for nobody", "patches retry " + patchID + " --reason back",
			map[string][]reply{"POST /patches/" + patchID + "/retry": {problem(409, "not_in_doubt", "goes on by itself")}}, 2, []string{"not_in_doubt"}, ""},
		{"retry without a worker", "patches retry " + patchID + " --reason back --timeout 10s",
			map[string][]reply{"POST /patches/" + patchID + "/retry": {problem(503, "service_unavailable", "try again")}}, 75, []string{"service_unavailable"}, ""},
		{"retry without a reason", "patches retry " + patchID, nil, 64, []string{"--reason"}, ""},
		{"abandon", "patches abandon " + patchID + " --reason gone", map[string][]reply{"POST /patches/" + patchID + "/abandon": {accepted}},
			0, []string{"patch " + patchID + " ends as it stands", "gamemaster patches show " + patchID}, `{"reason":"gone"}`},
		{"abandon what has ended", "patches abandon " + patchID + " --reason gone",
			map[string][]reply{"POST /patches/" + patchID + "/abandon": {problem(409, "patch_closed", "has ended")}}, 2, []string{"patch_closed"}, ""},
		{"abandon nothing", "patches abandon " + patchID + " --reason gone",
			map[string][]reply{"POST /patches/" + patchID + "/abandon": {problem(404, "patch_not_found", "no patch has this id")}}, 2, []string{"patch_not_found"}, ""},
		{"patch that comes into doubt", "patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {ok(doubted)}},
			75, []string{
				"needs_operator an operator has to decide: runtime manager unavailable\n                 try again: gamemaster patches retry " + patchID + " --reason …\n",
				"                 give up:   gamemaster patches abandon " + patchID + " --reason …\n",
			}, ""},
		{"patch that is terminated", "patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {ok(terminated)}},
			1, []string{"terminated: nothing was compensated"}, ""},

		{"reconcile", "reconcile demo-1 --mode enforce --reason by-hand --source-ref t-8",
			map[string][]reply{reconcilePath: {{http.StatusAccepted, reconciling}}, look: {ok(patching), ok(reconciled)}},
			0, []string{"reconcile enforce of demo-1: " + patchID, "  done           record and container are on 1.4.3 (b)"},
			`{"mode":"enforce","op_source":"admin_cli","reason":"by-hand","source_ref":"t-8"}`},
		{"reconcile what is in line", "reconcile demo-1 --mode adopt", map[string][]reply{reconcilePath: {ok(strings.Replace(reconciled, `"noop":false`, `"noop":true`, 1))}},
			0, []string{"  done           in line already, nothing was changed"}, `{"mode":"adopt","op_source":"admin_cli"}`},
		{"reconcile in vain", "reconcile demo-1 --mode adopt", map[string][]reply{reconcilePath: {problem(404, "engine_version_not_found", "of no registered version")}},
			2, []string{"engine_version_not_found: of no registered version"}, ""},
		{"reconcile a game that is patched", "reconcile demo-1 --mode adopt", map[string][]reply{reconcilePath: {problem(409, "patch_in_progress", "wait for its end")}},
			2, []string{"patch_in_progress"}, ""},
		{"reconcile that fails", "reconcile demo-1 --mode enforce", map[string][]reply{reconcilePath: {{http.StatusAccepted, reconciling}}, look: {ok(failed)}},
			1, []string{"service_unavailable: runtime manager unavailable"}, ""},
		{"reconcile that may have started", "reconcile demo-1 --mode enforce", map[string][]reply{reconcilePath: {{500, `{"code":"internal_error","detail":"x","patch_id":"` + patchID + `"}`}}},
			1, []string{"gamemaster patches show " + patchID}, ""},
		{"reconcile without a mode", "reconcile demo-1", nil, 64, []string{"--mode"}, ""},
		{"reconcile in no mode", "reconcile demo-1 --mode both", nil, 64, []string{"both"}, ""},
		{"list reconciliations", "patches list", map[string][]reply{"GET /patches?limit=101&state=open": {ok(`{"patches":[` + reconciling + `,` + opened + `]}`)}},
			0, []string{"KIND", "reconcile enforce", "patch  "}, ""},

		{"drift", "drift", map[string][]reply{"GET /drift?limit=101": {ok(`{"findings":[` + finding1 + `],"last_pass":` + pass1 + `}`)}},
			0, []string{"GAME", "demo-1", "image_drift", "running", "registry.example/engine:1.4.3", "up\uFFFD[31m", "registry.example/engine:1.4.2", "2026-03-01 12:10:00Z",
				"last pass of the watch: finished 2026-03-01 12:10:04Z; 120 checked: 118 in sync, 1 on another image, 1 missing, 0 extra; 2 skipped, 3 unknown"}, ""},
		{"drift of one game", "drift --game demo-2 --kind missing --resolved --limit 5",
			map[string][]reply{"GET /drift?game_id=demo-2&kind=missing&limit=6&resolved=true": {ok(`{"findings":[` + finding2 + `],"last_pass":` + pass1 + `}`)}},
			0, []string{"demo-2", "missing", "none", "2026-03-01 12:05:00Z"}, ""},
		{"no drift", "drift", map[string][]reply{"GET /drift?limit=101": {ok(`{"findings":[],"last_pass":{"id":"r","started_at":"2026-03-01T12:10:00Z","finished_at":"2026-03-01T12:10:04Z"}}`)}},
			0, []string{"no findings", "last pass of the watch: finished 2026-03-01 12:10:04Z\n"}, ""},
		{"no watch", "drift", map[string][]reply{"GET /drift?limit=101": {ok(`{"findings":[]}`)}},
			0, []string{"no findings", "no pass of the watch has finished yet"}, ""},
		{"drift that may not be seen", "drift", map[string][]reply{"GET /drift?limit=101": {problem(403, "forbidden", "the scope runtime:read is needed")}},
			2, []string{"forbidden"}, ""},
		{"drift of no kind", "drift --kind in_sync", nil, 64, []string{"in_sync"}, ""},

		{"operations", "operations --outcome failure --error-code conflict --since 2026-03-01T00:00:00Z --until 2026-03-02T01:00:00+01:00 --limit 5",
			map[string][]reply{"GET /operations?error_code=conflict&limit=6&outcome=failure&since=2026-03-01T00%3A00%3A00Z&until=2026-03-02T00%3A00%3A00Z": {ok(`{"operations":[` + operation1 + `]}`)}},
			0, []string{"42", "two lines\uFFFD[31m"}, ""},
		{"operations of a game", "operations demo-1 --since 2026-02-15T00:00:00Z", map[string][]reply{"GET /runtimes/demo-1/operations?limit=101": {ok(`{"operations":[` + operation1 + `,` + operation2 + `]}`)}},
			0, []string{"42"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, row.replies)
			code, stdout, stderr := s.run(cli.Shell{}, strings.Fields(row.args)...)
			require.Equal(t, row.code, code, stdout+stderr)
			for _, says := range row.says {
				require.Contains(t, stdout+stderr, says)
			}
			require.NotContains(t, stdout+stderr, token)
			require.NotContains(t, stdout+stderr, "\x1b")
			if row.body != "" {
				require.JSONEq(t, row.body, s.bodies[0])
			}
			for _, sent := range s.tokens {
				require.Equal(t, "Bearer "+token, sent)
			}
		})
	}
}

// TestFilterOfOneGame proves that the rows of one game are filtered as those of
// all games are, which the API does not do.
func TestFilterOfOneGame(t *testing.T) {
	t.Parallel()
	for args, ids := range map[string][]int64{
		"":                             {42, 41},
		"--outcome success":            {41},
		"--error-code conflict":        {42},
		"--since 2026-03-01T12:00:00Z": {42},
		"--until 2026-03-01T12:00:00Z": {41},
		"--since 1s":                   {},
		"--limit 1":                    {42},
	} {
		s := newServer(t, map[string][]reply{})
		for _, limit := range []string{"101", "2"} {
			s.replies["GET /runtimes/demo-1/operations?limit="+limit] = []reply{ok(`{"operations":[` + operation1 + `,` + operation2 + `]}`)}
		}
		code, stdout, stderr := s.run(cli.Shell{}, strings.Fields("operations demo-1 --json "+args)...)
		require.Zero(t, code, stderr)
		var page client.OperationPage
		require.NoError(t, json.Unmarshal([]byte(stdout), &page))
		listed := []int64{}
		for _, row := range page.Operations {
			listed = append(listed, row.ID)
		}
		require.Equal(t, ids, listed, args)
	}
}

// TestJSON proves that with --json there is one document of the API's own shape
// and nothing else on standard output, whatever the exit code.
func TestJSON(t *testing.T) {
	t.Parallel()
	const patchPath, look = "POST /runtimes/demo-1/patch", "GET /patches/" + patchID
	accepted := reply{http.StatusAccepted, opened}
	for _, row := range []struct {
		args    string
		replies map[string][]reply
		code    int
		want    string
	}{
		{"runtimes show demo-1", map[string][]reply{"GET /runtimes/demo-1": {ok(runtime1)}}, 0, runtime1},
		{"runtimes register demo-1 1.4.2", map[string][]reply{"POST /runtimes": {{201, runtime1}}}, 0, runtime1},
		{"runtimes list", map[string][]reply{"GET /runtimes?limit=101": {ok(`{"runtimes":[]}`)}}, 0, `{"runtimes":[]}`},
		{"runtimes list --limit 0", map[string][]reply{
			"GET /runtimes?limit=1000":          {ok(`{"runtimes":[` + runtime1 + `],"next_cursor":"n"}`)},
			"GET /runtimes?cursor=n&limit=1000": {ok(`{"runtimes":[` + runtime1 + `]}`)},
		}, 0, `{"runtimes":[` + runtime1 + `,` + runtime1 + `]}`},
		{"versions show 1.4.3", map[string][]reply{"GET /engine-versions/1.4.3": {ok(version1)}}, 0, version1},
		{"patches show " + patchID, map[string][]reply{look: {ok(conflicted)}}, 0, conflicted},
		{"patches cancel " + patchID, map[string][]reply{"POST /patches/" + patchID + "/cancel": {accepted}}, 0, opened},
		{"patches retry " + patchID + " --reason x", map[string][]reply{"POST /patches/" + patchID + "/retry": {accepted}}, 0, opened},
		{"patches show " + patchID, map[string][]reply{look: {ok(doubted)}}, 0, doubted},
		{"reconcile demo-1 --mode enforce", map[string][]reply{"POST /runtimes/demo-1/reconcile": {{http.StatusAccepted, reconciling}}, look: {ok(reconciled)}}, 0, reconciled},
		{"drift", map[string][]reply{"GET /drift?limit=101": {ok(`{"findings":[],"last_pass":` + pass1 + `}`)}}, 0, `{"findings":[],"last_pass":` + pass1 + `}`},
		{"drift", map[string][]reply{"GET /drift?limit=101": {ok(`{"findings":[]}`)}}, 0, `{"findings":[]}`},
		{"drift --limit 0 --resolved", map[string][]reply{
			"GET /drift?limit=1000&resolved=true":          {ok(`{"findings":[` + finding1 + `],"last_pass":` + pass1 + `,"next_cursor":"n"}`)},
			"GET /drift?cursor=n&limit=1000&resolved=true": {ok(`{"findings":[` + finding2 + `]}`)},
		}, 0, `{"findings":[` + finding1 + `,` + finding2 + `],"last_pass":` + pass1 + `}`},
		{"patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {ok(patching), ok(done)}}, 0, done},
		{"patch demo-1 1.4.3", map[string][]reply{patchPath: {accepted}, look: {ok(conflicted)}}, 2, conflicted},
		{"patch demo-1 1.5.0 --dry-run", map[string][]reply{patchPath: {ok(`{"dry_run":true,"allowed":false,"game_id":"demo-1","code":"conflict","checks":[]}`)}},
			2, `{"dry_run":true,"allowed":false,"game_id":"demo-1","code":"conflict","checks":[]}`},
	} {
		code, stdout, stderr := newServer(t, row.replies).run(cli.Shell{}, append(strings.Fields(row.args), "--json")...)
		require.Equal(t, row.code, code, stderr)
		require.JSONEq(t, row.want, stdout, row.args)
	}
}

// TestBrokenListIsNoJSON proves that a list which ends in an error is no document
// that could be taken for the whole.
func TestBrokenListIsNoJSON(t *testing.T) {
	t.Parallel()
	replies := func() map[string][]reply {
		return map[string][]reply{
			"GET /runtimes?limit=1000":          {ok(`{"runtimes":[` + runtime1 + `],"next_cursor":"n"}`)},
			"GET /runtimes?cursor=n&limit=1000": {problem(403, "forbidden", "no more")},
		}
	}
	code, stdout, stderr := newServer(t, replies()).run(cli.Shell{}, "runtimes", "list", "--limit", "0", "--json")
	require.Equal(t, cli.ExitRefused, code)
	require.Contains(t, stderr, "forbidden")
	require.False(t, json.Valid([]byte(stdout)), stdout)

	code, stdout, _ = newServer(t, replies()).run(cli.Shell{}, "runtimes", "list", "--limit", "0")
	require.Equal(t, cli.ExitRefused, code)
	require.Contains(t, stdout, "demo-1", "what was read is shown")
}
