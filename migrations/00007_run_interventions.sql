-- +goose Up

-- What people did to runs from outside: cancel, reset, terminate and the like. It
-- is read from the history of a run that has closed, in the same statement that
-- keeps the history, and stays when that is dropped.
CREATE TABLE run_interventions (
    run_id   text        NOT NULL,
    -- The number of the event that tells of it.
    event_id bigint      NOT NULL,
    -- Empty for a run that somebody started by hand about no patch or no game.
    patch_id text        NOT NULL,
    game_id  text        NOT NULL,
    at       timestamptz NOT NULL,
    action   text        NOT NULL,
    -- Empty when Temporal does not know it.
    identity text        NOT NULL,
    reason   text        NOT NULL,

    PRIMARY KEY (run_id, event_id),
    CONSTRAINT run_interventions_run_id_bounded CHECK (run_id ~ '[^[:space:]]' AND length(run_id) <= 256),
    CONSTRAINT run_interventions_event_id_positive CHECK (event_id > 0),
    CONSTRAINT run_interventions_patch_id_bounded CHECK (length(patch_id) <= 256),
    CONSTRAINT run_interventions_game_id_bounded CHECK (length(game_id) <= 256),
    CONSTRAINT run_interventions_action_known
        CHECK (action IN ('start', 'cancel', 'reset', 'terminate', 'retry', 'abandon', 'signal', 'pause', 'unpause')),
    CONSTRAINT run_interventions_texts_bounded CHECK (length(identity) <= 256 AND length(reason) <= 1024)
);

CREATE INDEX run_interventions_by_patch ON run_interventions (patch_id, at) WHERE patch_id <> '';

-- By statement, as for the audit log, to which it belongs.
CREATE TRIGGER run_interventions_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON run_interventions
    FOR EACH STATEMENT EXECUTE FUNCTION operation_log_refuse();
