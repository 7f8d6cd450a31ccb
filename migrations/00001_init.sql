-- +goose Up

-- The runtime records: one row per game, the source of truth that the engine
-- container follows.
CREATE TABLE runtime_records (
    game_id                text        NOT NULL PRIMARY KEY,
    status                 text        NOT NULL,
    current_image_ref      text        NOT NULL,
    -- Not held to be semver: a record with an unreadable version is answered
    -- by a code of its own, so it must be possible to have one.
    current_engine_version text        NOT NULL,
    engine_health          text        NOT NULL DEFAULT '',
    next_generation_at     timestamptz,
    skip_next_tick         boolean     NOT NULL DEFAULT false,
    current_turn           bigint      NOT NULL DEFAULT 0,
    -- The times are not held to be in order: every writer has its own clock.
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    started_at             timestamptz,
    stopped_at             timestamptz,
    finished_at            timestamptz,

    CONSTRAINT runtime_records_game_id_shape
        CHECK (game_id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    CONSTRAINT runtime_records_status_known
        CHECK (status IN ('starting', 'running', 'generation_in_progress', 'generation_failed',
                          'engine_unreachable', 'stopped', 'finished')),
    CONSTRAINT runtime_records_image_ref_not_blank
        CHECK (current_image_ref ~ '[^[:space:]]'),
    CONSTRAINT runtime_records_engine_version_not_blank
        CHECK (current_engine_version ~ '[^[:space:]]'),
    CONSTRAINT runtime_records_turn_not_negative
        CHECK (current_turn >= 0)
);

-- List, ListByStatus and ListDueRunning, each in its order.
CREATE INDEX runtime_records_by_created ON runtime_records (created_at DESC, game_id);
CREATE INDEX runtime_records_by_status ON runtime_records (status, created_at DESC, game_id);
CREATE INDEX runtime_records_due ON runtime_records (next_generation_at, game_id) WHERE status = 'running';

-- The registry of engine versions.
CREATE TABLE engine_versions (
    version    text        NOT NULL PRIMARY KEY,
    image_ref  text        NOT NULL,
    status     text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),

    -- Strict semver 2.0.0, the expression of semver.org with [0-9] for \d,
    -- which would let in the digits of every script.
    CONSTRAINT engine_versions_version_semver
        CHECK (length(version) <= 128 AND version ~ (
            '^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)'
            || '(-(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?'
            || '(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$')),
    CONSTRAINT engine_versions_image_ref_not_blank
        CHECK (image_ref ~ '[^[:space:]]'),
    CONSTRAINT engine_versions_status_known
        CHECK (status IN ('active', 'deprecated'))
);

-- The audit log. It does not refer to runtime_records: refusals of games that
-- do not exist are kept too, and rows outlive their game.
CREATE TABLE operation_log (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    game_id        text        NOT NULL,
    op_kind        text        NOT NULL,
    op_source      text        NOT NULL,
    source_ref     text        NOT NULL DEFAULT '',
    outcome        text        NOT NULL,
    error_code     text        NOT NULL DEFAULT '',
    error_message  text        NOT NULL DEFAULT '',
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz,
    patch_id       text        NOT NULL DEFAULT '',
    run_id         text        NOT NULL DEFAULT '',
    reason         text        NOT NULL DEFAULT '',
    noop           boolean     NOT NULL DEFAULT false,
    from_version   text        NOT NULL DEFAULT '',
    from_image_ref text        NOT NULL DEFAULT '',
    to_version     text        NOT NULL DEFAULT '',
    to_image_ref   text        NOT NULL DEFAULT '',
    undo           text        NOT NULL DEFAULT '',

    -- Whatever was asked for is kept, also what no game could be called; the
    -- bound keeps it within what an index entry holds.
    CONSTRAINT operation_log_game_id_bounded
        CHECK (game_id ~ '[^[:space:]]' AND length(game_id) <= 256),
    CONSTRAINT operation_log_op_kind_known
        CHECK (op_kind IN ('patch')),
    CONSTRAINT operation_log_op_source_known
        CHECK (op_source IN ('admin_rest', 'admin_cli', 'system')),
    CONSTRAINT operation_log_outcome_known
        CHECK (outcome IN ('success', 'failure')),
    CONSTRAINT operation_log_error_code_on_failure
        CHECK ((outcome = 'success' AND error_code = '')
            OR (outcome <> 'success' AND error_code ~ '[^[:space:]]'))
);

-- One row per run of a patch; a retried append finds the first one.
CREATE UNIQUE INDEX operation_log_one_per_run ON operation_log (patch_id, run_id) WHERE patch_id <> '';
CREATE INDEX operation_log_by_game ON operation_log (game_id, id DESC);
CREATE INDEX operation_log_by_patch ON operation_log (patch_id, id DESC) WHERE patch_id <> '';
