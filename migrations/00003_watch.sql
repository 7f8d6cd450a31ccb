-- +goose Up

-- The highest fencing number that was given out for each game. It does not refer
-- to runtime_records: a game that is deleted and registered anew goes on with
-- higher numbers, because Runtime Manager remembers those of before.
CREATE TABLE runtime_fences (
    game_id  text        NOT NULL PRIMARY KEY,
    fence    bigint      NOT NULL,
    taken_at timestamptz NOT NULL,

    CONSTRAINT runtime_fences_game_id_shape
        CHECK (game_id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    -- 2^53 - 2^20: with the attempts that are counted on from it, a number stays
    -- below 2^53, which every JSON reader holds exactly.
    CONSTRAINT runtime_fences_fence_bounded
        CHECK (fence BETWEEN 1 AND 9007199253692416)
);

-- What the watch found: a record and a container that do not agree. It does not
-- refer to runtime_records: resolved findings outlive their game.
CREATE TABLE drift_findings (
    id                  bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    game_id             text        NOT NULL,
    kind                text        NOT NULL,
    -- What the row said and what ran, as it was seen last; in no index, so not
    -- held to any length.
    record_status       text        NOT NULL,
    record_version      text        NOT NULL,
    record_image_ref    text        NOT NULL,
    container_image_ref text        NOT NULL DEFAULT '',
    container_status    text        NOT NULL DEFAULT '',
    container_running   boolean     NOT NULL DEFAULT false,
    -- The times are not held to be in order: every worker has its own clock.
    first_seen_at       timestamptz NOT NULL,
    last_seen_at        timestamptz NOT NULL,
    -- NULL while it is open.
    resolved_at         timestamptz,

    CONSTRAINT drift_findings_game_id_shape
        CHECK (game_id ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    CONSTRAINT drift_findings_kind_known
        CHECK (kind IN ('image_drift', 'missing', 'extra'))
);

-- A game has one open finding at most; the watch finds it by this.
CREATE UNIQUE INDEX drift_findings_one_open ON drift_findings (game_id) WHERE resolved_at IS NULL;

-- PageDrift in its one order, whole (which is the primary key's) and under each
-- of its conditions. Open findings are few among many resolved ones, so they
-- have indexes of their own. None has a time in it: to see a finding again
-- changes no index.
CREATE INDEX drift_findings_open ON drift_findings (id DESC) WHERE resolved_at IS NULL;
CREATE INDEX drift_findings_open_by_kind ON drift_findings (kind, id DESC) WHERE resolved_at IS NULL;
CREATE INDEX drift_findings_by_kind ON drift_findings (kind, id DESC);
CREATE INDEX drift_findings_by_game ON drift_findings (game_id, id DESC) WHERE resolved_at IS NOT NULL;

-- What is dropped when it is old enough.
CREATE INDEX drift_findings_by_resolved ON drift_findings (resolved_at) WHERE resolved_at IS NOT NULL;

-- What each pass of the watch came to.
CREATE TABLE drift_passes (
    -- The run that made it.
    id          text        NOT NULL PRIMARY KEY,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    checked     bigint      NOT NULL,
    in_sync     bigint      NOT NULL,
    image_drift bigint      NOT NULL,
    missing     bigint      NOT NULL,
    extra       bigint      NOT NULL,
    skipped     bigint      NOT NULL,
    unknown     bigint      NOT NULL,

    CONSTRAINT drift_passes_id_bounded
        CHECK (id ~ '[^[:space:]]' AND length(id) <= 256),
    CONSTRAINT drift_passes_counts_not_negative
        CHECK (least(checked, in_sync, image_drift, missing, extra, skipped, unknown) >= 0)
);

-- The last pass, and those that are old enough to be dropped.
CREATE INDEX drift_passes_by_finish ON drift_passes (finished_at DESC, id DESC);

-- A reconciliation leaves an entry too. The table is not read for the new rule:
-- every row met the old one, which is within it. New rows are held to it from
-- now on, and the next file, a transaction of its own, has the rest looked at
-- while others write.
--
-- It comes last, because it keeps readers waiting until the end of the file. To
-- get there it has to wait for those who read the table now, and everybody else
-- waits behind it: so it gives up, and the whole file with it, before the
-- service's own three seconds are over. Behind a backup that is at work it fails,
-- and is to be run again.
SET LOCAL lock_timeout = '2s';
ALTER TABLE operation_log
    DROP CONSTRAINT operation_log_op_kind_known,
    ADD CONSTRAINT operation_log_op_kind_known CHECK (op_kind IN ('patch', 'reconcile')) NOT VALID;
