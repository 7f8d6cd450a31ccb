-- +goose Up

-- What each Idempotency-Key of each caller stands for. A key is claimed by one
-- request at a time until the run is known; then it is settled for good.
CREATE TABLE idempotency_keys (
    caller        text        NOT NULL,
    key           text        NOT NULL,
    -- Everything that the first request asked for, as a hash.
    fingerprint   bytea       NOT NULL,
    patch_id      text        NOT NULL,
    -- Empty until the key is settled.
    run_id        text        NOT NULL DEFAULT '',
    -- How the run ended; NULL until that is noted.
    result        jsonb,
    -- Whose turn it is to start the patch, and until when; NULL when nobody's.
    claim         text,
    claimed_until timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (caller, key),
    -- The bounds keep a key within what an index entry holds.
    CONSTRAINT idempotency_keys_caller_bounded
        CHECK (caller ~ '[^[:space:]]' AND length(caller) <= 256),
    CONSTRAINT idempotency_keys_key_bounded
        CHECK (octet_length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_keys_fingerprint_length
        CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_keys_patch_id_not_blank
        CHECK (patch_id ~ '[^[:space:]]'),
    CONSTRAINT idempotency_keys_claim_not_blank
        CHECK (claim ~ '[^[:space:]]'),
    CONSTRAINT idempotency_keys_claim_has_end
        CHECK ((claim IS NULL) = (claimed_until IS NULL)),
    CONSTRAINT idempotency_keys_settled_unclaimed
        CHECK (run_id = '' OR claim IS NULL),
    CONSTRAINT idempotency_keys_result_of_a_run
        CHECK (result IS NULL OR run_id <> '')
);

-- Prune takes the oldest first.
CREATE INDEX idempotency_keys_by_created ON idempotency_keys (created_at);

-- Who runs a version. 00001 does not bound the column, and what is too long for
-- an index entry must neither stop this file nor a writer: no registered version
-- is longer than the bound.
CREATE INDEX runtime_records_by_version ON runtime_records (current_engine_version, game_id)
    WHERE octet_length(current_engine_version) <= 128;

-- PageOperations in its one order, whole and under each of its conditions. The
-- bound is as above: every code that there is has less than a fourth of it.
CREATE INDEX operation_log_by_start ON operation_log (started_at DESC, id DESC);
CREATE INDEX operation_log_by_game_start ON operation_log (game_id, started_at DESC, id DESC);
CREATE INDEX operation_log_by_outcome ON operation_log (outcome, started_at DESC, id DESC);
CREATE INDEX operation_log_by_error_code ON operation_log (error_code, started_at DESC, id DESC)
    WHERE error_code <> '' AND octet_length(error_code) <= 256;

-- Under which name the caller was let in; empty in rows of before, and in those
-- of the version before, which does not know the column. It comes last: the
-- indexes above keep only writers waiting while they are built, this keeps
-- readers waiting too, until the end of the file.
ALTER TABLE operation_log ADD COLUMN actor text NOT NULL DEFAULT '';
