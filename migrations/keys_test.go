package migrations_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/devstack/stacktest"
)

// Proves that the schema refuses keys that cannot be, each by the constraint
// that is there for it.
func TestWrongKeysAreRefused(t *testing.T) {
	conn := connect(t, stacktest.Database(t))
	const sound = "decode(repeat('00', 32), 'hex')"
	insert := func(values string) string {
		return "INSERT INTO idempotency_keys (caller, key, fingerprint, patch_id, run_id, result, claim, claimed_until) VALUES " + values
	}
	for _, c := range []struct{ constraint, statement string }{
		{"idempotency_keys_caller_bounded", insert("(' ', 'k', " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_caller_bounded", insert("(repeat('c', 257), 'k', " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_key_bounded", insert("('c', '', " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_key_bounded", insert("('c', repeat('ü', 128), " + sound + ", 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_fingerprint_length", insert("('c', 'k', '', 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_fingerprint_length", insert("('c', 'k', decode(repeat('00', 33), 'hex'), 'p', '', NULL, NULL, NULL)")},
		{"idempotency_keys_patch_id_not_blank", insert("('c', 'k', " + sound + ", E'\\t', '', NULL, NULL, NULL)")},
		{"idempotency_keys_claim_not_blank", insert("('c', 'k', " + sound + ", 'p', '', NULL, '', now())")},
		{"idempotency_keys_claim_has_end", insert("('c', 'k', " + sound + ", 'p', '', NULL, 'x', NULL)")},
		{"idempotency_keys_claim_has_end", insert("('c', 'k', " + sound + ", 'p', '', NULL, NULL, now())")},
		{"idempotency_keys_settled_unclaimed", insert("('c', 'k', " + sound + ", 'p', 'r', NULL, 'x', now())")},
		{"idempotency_keys_result_of_a_run", insert("('c', 'k', " + sound + ", 'p', '', '{}', NULL, NULL)")},
		{"idempotency_keys_pkey", insert("('c', 'k', " + sound + ", 'p', '', NULL, NULL, NULL), ('c', 'k', " + sound + ", 'q', '', NULL, NULL, NULL)")},
	} {
		t.Run(c.constraint, func(t *testing.T) {
			_, err := conn.Exec(t.Context(), c.statement)
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused, c.statement)
			require.Equal(t, c.constraint, refused.ConstraintName, c.statement)
		})
	}
	_, err := conn.Exec(t.Context(), insert("(repeat('ü', 256), repeat('k', 255), "+sound+", 'p', 'r', 'null', NULL, NULL), ('c', 'k', "+sound+", 'p', '', NULL, 'x', 'infinity')"))
	require.NoError(t, err)
}
