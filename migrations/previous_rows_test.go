package migrations_test

import (
	"fmt"
	"strings"
)

// The statements of the releases before, with the columns that they name.
const (
	recordColumns = `game_id, status, current_image_ref, current_engine_version, engine_health,
		next_generation_at, skip_next_tick, current_turn, created_at, updated_at, started_at, stopped_at, finished_at`
	versionColumns    = `version, image_ref, status, created_at, updated_at`
	firstEntryColumns = `game_id, op_kind, op_source, source_ref, outcome, error_code, error_message,
		started_at, finished_at, patch_id, run_id, reason, noop,
		from_version, from_image_ref, to_version, to_image_ref, undo`
	keyColumns = `caller, key, fingerprint, patch_id, run_id, result, claim, claimed_until, created_at`

	insertRecordStatement = `INSERT INTO runtime_records (` + recordColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (game_id) DO NOTHING`
	claimStatement = `INSERT INTO idempotency_keys AS k (caller, key, fingerprint, patch_id, claim, claimed_until)
		VALUES ($1, $2, $3, $4, $5, clock_timestamp() + interval '1 minute')
		ON CONFLICT (caller, key) DO UPDATE SET claim = excluded.claim, claimed_until = excluded.claimed_until WHERE k.claim IS NULL`
	settleStatement = `UPDATE idempotency_keys SET patch_id = $3, run_id = $4, claim = NULL, claimed_until = NULL
		WHERE caller = $1 AND key = $2 AND run_id = ''`
)

func columns(list string) []string {
	names := strings.Split(list, ",")
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
	}
	return names
}

func appendStatement(entry []string) string {
	values := make([]string, len(entry))
	for i := range entry {
		values[i] = fmt.Sprintf("$%d", i+1)
	}
	return `INSERT INTO operation_log (` + strings.Join(entry, ", ") + `) VALUES (` + strings.Join(values, ", ") + `)
		ON CONFLICT (patch_id, run_id) WHERE patch_id <> '' DO NOTHING RETURNING id`
}

func byGameStatement(entry []string) string {
	return "SELECT id, " + strings.Join(entry, ", ") + " FROM operation_log WHERE game_id = $1 ORDER BY id DESC LIMIT $2"
}

// firstRows fill the tables of the first release: games in every status, with
// and without each time; patches that succeeded, were refused in every way,
// changed nothing, were put back, or had to be run again; games that never were;
// and what 00001 allows although nobody means it: versions that are none, texts
// too long for any index, times out of order and without end.
var firstRows = []string{
	`INSERT INTO runtime_records (` + recordColumns + `)
		SELECT 'game_' || status || '-' || n, status, 'engine:1.4.' || n, '1.4.' || n, CASE n WHEN 1 THEN '' ELSE 'healthy' END,
			CASE n WHEN 1 THEN NULL ELSE timestamptz '2031-04-05 06:07:08.123456Z' END, n = 2, n * 7,
			timestamptz '2031-01-01 00:00Z', timestamptz '2031-01-01 00:00Z' + n * interval '1 hour',
			CASE WHEN status <> 'starting' THEN timestamptz '2031-01-02 00:00Z' END,
			CASE WHEN status = 'stopped' THEN timestamptz '2031-01-03 00:00Z' END,
			CASE WHEN status = 'finished' THEN timestamptz '2031-01-04 00:00Z' END
		FROM unnest(ARRAY['starting', 'running', 'generation_in_progress', 'generation_failed', 'engine_unreachable', 'stopped', 'finished']) AS status,
			generate_series(1, 3) AS n`,
	`INSERT INTO runtime_records (` + recordColumns + `) VALUES
		('0', 'running', 'registry/engine@sha256:ü', 'not a version', repeat('ill ', 10000), NULL, true, 9223372036854775807, now(), now() - interval '1 year', NULL, now(), now()),
		(repeat('g', 64), 'stopped', E'\tx', (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n), '', 'infinity', false, 0, '-infinity', now(), NULL, NULL, NULL)`,
	`INSERT INTO engine_versions (` + versionColumns + `) VALUES
		('1.4.1', 'engine:1.4.1', 'deprecated', now() - interval '1 day', now()),
		('1.4.2', 'engine:1.4.2', 'active', now(), now()), ('1.4.3', 'engine:1.4.2', 'active', now(), now()),
		('1.5.0-rc.1+build.7', 'engine@sha256:00', 'active', now(), now() - interval '1 day'),
		('99999999999999999999.0.0', 'e', 'active', now(), now())`,
	`INSERT INTO operation_log (` + firstEntryColumns + `)
		SELECT 'game_running-1', 'patch', (ARRAY['admin_rest', 'admin_cli', 'system'])[n % 3 + 1], 'req-' || n,
			'failure', code, 'the ' || code || ' of ü', timestamptz '2031-04-05 06:07:08.123456Z', timestamptz '2031-04-05 06:07:09Z',
			'patch-' || n, 'run-' || n, 'hotfix', false, '1.4.1', 'engine:1.4.1', '1.4.2', 'engine:1.4.2', ''
		FROM unnest(ARRAY['invalid_request', 'runtime_not_found', 'engine_version_not_found', 'runtime_not_running', 'semver_patch_only',
			'conflict', 'patch_in_progress', 'cancelled', 'service_unavailable', 'internal_error']) WITH ORDINALITY AS refused (code, n)`,
	`INSERT INTO operation_log (` + firstEntryColumns + `) VALUES
		('game_running-1', 'patch', 'admin_rest', '', 'success', '', '', now(), now(), 'patch-1', 'run-again', '', false, '1.4.1', 'engine:1.4.1', '1.4.2', 'engine:1.4.2', ''),
		('game_running-1', 'patch', 'system', '', 'success', '', '', now(), NULL, 'patch-0', '', '', true, '1.4.2', 'engine:1.4.2', '1.4.2', 'engine:1.4.2', ''),
		('game_running-1', 'patch', 'admin_cli', '', 'failure', 'conflict', 'status changed', now(), now() - interval '1 hour', 'patch-20', 'r', '', false, '', '', '', '', 'put back'),
		('Never Was %', 'patch', 'admin_rest', '', 'failure', 'runtime_not_found', '', 'infinity', NULL, '', '', '', false, '', '', '', '', ''),
		('Never Was %', 'patch', 'admin_rest', '', 'failure', 'runtime_not_found', '', 'infinity', NULL, '', '', '', false, '', '', '', '', ''),
		(repeat('ü', 256), 'patch', 'system', repeat('s', 100000), 'failure',
			(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n), repeat('m', 100000), '-infinity', NULL, '', 'run-without-patch', '', false, '', '', '', '', '')`,
}

// restRows are what the second release added: entries with the name of their
// caller, and keys in each of their states, as long as they may be.
var restRows = []string{
	`INSERT INTO operation_log (` + firstEntryColumns + `, actor) VALUES
		('game_running-1', 'patch', 'admin_rest', 'req', 'success', '', '', now(), now(), 'patch-30', 'run-30', 'hotfix', false, '1.4.1', 'engine:1.4.1', '1.4.2', 'engine:1.4.2', '', 'ann@desk'),
		('game_running-2', 'patch', 'admin_cli', '', 'failure', 'precondition_failed', '', now(), now(), 'patch-31', 'run-31', '', false, '', '', '', '', '', repeat('ü', 1000))`,
	`INSERT INTO idempotency_keys (` + keyColumns + `) VALUES
		('me', 'claimed', decode(repeat('01', 32), 'hex'), 'patch-30', '', NULL, 'claim', now() + interval '1 minute', now()),
		('me', 'free', decode(repeat('02', 32), 'hex'), 'patch-30', '', NULL, NULL, NULL, now() - interval '1 year'),
		('me', 'settled', decode(repeat('03', 32), 'hex'), 'patch-30', 'run-30', NULL, NULL, NULL, now()),
		('you', 'settled', decode(repeat('04', 32), 'hex'), 'patch-30', 'run-30', '{"outcome": "success", "steps": [1, null]}', NULL, NULL, now()),
		(repeat('ü', 256), repeat('k', 255), decode(repeat('ff', 32), 'hex'), 'p', '', NULL, 'x', 'infinity', '-infinity')`,
}
