-- +goose Up

-- What 00003 left to be looked at: the rows of before. Readers and writers of
-- the log go on while it is read. It is a file of its own because a transaction
-- keeps its locks, and that of 00003 keeps everybody out.
ALTER TABLE operation_log VALIDATE CONSTRAINT operation_log_op_kind_known;
