-- +goose Up

-- The history of every run that has closed, as Temporal had it: it is there when
-- Temporal has forgotten the run.
CREATE TABLE run_histories (
    run_id        text        NOT NULL PRIMARY KEY,
    -- Empty for a run that somebody started by hand about no patch.
    patch_id      text        NOT NULL,
    workflow_id   text        NOT NULL,
    workflow_type text        NOT NULL,
    status        text        NOT NULL,
    started_at    timestamptz NOT NULL,
    closed_at     timestamptz NOT NULL,
    events        integer     NOT NULL,
    -- Of the JSON, in bytes.
    size          bigint      NOT NULL,
    -- The JSON, by gzip.
    history       bytea       NOT NULL,
    exported_at   timestamptz NOT NULL,
    -- What came of replaying the stored JSON; empty when it passed.
    replay_error  text        NOT NULL,

    -- The bounds keep what is indexed within an index entry.
    CONSTRAINT run_histories_run_id_bounded CHECK (run_id ~ '[^[:space:]]' AND length(run_id) <= 256),
    CONSTRAINT run_histories_patch_id_bounded CHECK (length(patch_id) <= 256),
    CONSTRAINT run_histories_counts_positive CHECK (events > 0 AND size > 0)
);
-- It is compressed already; Postgres need not try again.
ALTER TABLE run_histories ALTER COLUMN history SET STORAGE EXTERNAL;

CREATE INDEX run_histories_by_patch ON run_histories (patch_id, closed_at DESC) WHERE patch_id <> '';
-- Prune takes the oldest first.
CREATE INDEX run_histories_by_closed ON run_histories (closed_at);

-- The runs whose history could not be exported, which are tried again.
CREATE TABLE run_history_misses (
    run_id      text        NOT NULL PRIMARY KEY,
    workflow_id text        NOT NULL,
    error       text        NOT NULL,
    attempts    integer     NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,

    CONSTRAINT run_history_misses_run_id_bounded CHECK (run_id ~ '[^[:space:]]' AND length(run_id) <= 256)
);

-- Up to when the closed runs have been looked through, by schedule.
CREATE TABLE run_history_marks (
    name text        NOT NULL PRIMARY KEY,
    mark timestamptz NOT NULL
);
