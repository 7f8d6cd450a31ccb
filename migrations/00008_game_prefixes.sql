-- +goose Up

-- Who may see only some games sees those whose ids begin in some way. Without an
-- index that has their beginnings, a page for somebody with few games reads the
-- whole fleet. The operator class makes it one whatever the database's collation;
-- a primary key can have no other than the default.
CREATE INDEX runtime_records_by_game ON runtime_records (game_id text_pattern_ops);

-- The same for the audit log, in place of the index that has had these columns
-- since 00002, so that an append writes no more of them: the operator class finds
-- what is equal as well.
CREATE INDEX operation_log_by_game_prefix ON operation_log (game_id text_pattern_ops, started_at DESC, id DESC);

-- As in 00003: readers wait from here on, and it gives up before the service's
-- three seconds are over.
SET LOCAL lock_timeout = '2s';
DROP INDEX operation_log_by_game_start;
ALTER INDEX operation_log_by_game_prefix RENAME TO operation_log_by_game_start;
