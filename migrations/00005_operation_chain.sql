-- +goose Up

-- The audit log is for ever: what is in it is neither changed nor removed, and
-- each entry is chained to the one before of its game, so that `gamemaster audit
-- verify` finds and names what was changed all the same, by somebody who may.

-- What each entry was when it was written. It does not refer to operation_log:
-- an entry that is gone has to leave its link behind.
CREATE TABLE operation_chain (
    operation_id bigint NOT NULL PRIMARY KEY,
    game_id      text   NOT NULL,
    -- 1, 2, 3 and so on within the game, in the order of the commits, which need
    -- not be that of the ids.
    seq          bigint NOT NULL,
    -- The hash of the entry before; 32 zero bytes for the first one.
    prev_hash    bytea  NOT NULL,
    hash         bytea  NOT NULL,

    CONSTRAINT operation_chain_seq_positive CHECK (seq > 0),
    CONSTRAINT operation_chain_hash_lengths CHECK (octet_length(prev_hash) = 32 AND octet_length(hash) = 32)
);
CREATE UNIQUE INDEX operation_chain_in_order ON operation_chain (game_id, seq);

-- The last link of each game, without which the last entries could go unseen.
-- An append holds its game's row until it commits, and no other game's.
CREATE TABLE operation_chain_heads (
    game_id text   NOT NULL PRIMARY KEY,
    seq     bigint NOT NULL,
    hash    bytea  NOT NULL,

    CONSTRAINT operation_chain_heads_hash_length CHECK (octet_length(hash) = 32)
);

-- The hash of one link: SHA-256 over the name of the format, the link and every
-- column of the entry, each as Postgres sends it in binary behind its length in
-- four bytes, -1 for NULL. So no two entries have the same bytes, and the reader
-- recomputes the hash from what it is sent. A release that adds a column to
-- operation_log changes the format's name with it, for the entries of then on.
-- +goose StatementBegin
CREATE FUNCTION operation_link_hash(entry operation_log, seq bigint, prev bytea) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    -- Written out, because an array of the fields that is put together takes several
    -- times as long, under the lock of the game's head.
    RETURN sha256(
        int4send(octet_length(convert_to('gamemaster operation 1', 'UTF8'))) || convert_to('gamemaster operation 1', 'UTF8')
        || int4send(octet_length(prev)) || prev
        || int4send(8) || int8send(seq)
        || int4send(8) || int8send(entry.id)
        || int4send(octet_length(convert_to(entry.game_id, 'UTF8'))) || convert_to(entry.game_id, 'UTF8')
        || int4send(octet_length(convert_to(entry.op_kind, 'UTF8'))) || convert_to(entry.op_kind, 'UTF8')
        || int4send(octet_length(convert_to(entry.op_source, 'UTF8'))) || convert_to(entry.op_source, 'UTF8')
        || int4send(octet_length(convert_to(entry.source_ref, 'UTF8'))) || convert_to(entry.source_ref, 'UTF8')
        || int4send(octet_length(convert_to(entry.actor, 'UTF8'))) || convert_to(entry.actor, 'UTF8')
        || int4send(octet_length(convert_to(entry.outcome, 'UTF8'))) || convert_to(entry.outcome, 'UTF8')
        || int4send(octet_length(convert_to(entry.error_code, 'UTF8'))) || convert_to(entry.error_code, 'UTF8')
        || int4send(octet_length(convert_to(entry.error_message, 'UTF8'))) || convert_to(entry.error_message, 'UTF8')
        || int4send(8) || timestamptz_send(entry.started_at)
        || coalesce(int4send(8) || timestamptz_send(entry.finished_at), int4send(-1))
        || int4send(octet_length(convert_to(entry.patch_id, 'UTF8'))) || convert_to(entry.patch_id, 'UTF8')
        || int4send(octet_length(convert_to(entry.run_id, 'UTF8'))) || convert_to(entry.run_id, 'UTF8')
        || int4send(octet_length(convert_to(entry.reason, 'UTF8'))) || convert_to(entry.reason, 'UTF8')
        || int4send(1) || boolsend(entry.noop)
        || int4send(octet_length(convert_to(entry.from_version, 'UTF8'))) || convert_to(entry.from_version, 'UTF8')
        || int4send(octet_length(convert_to(entry.from_image_ref, 'UTF8'))) || convert_to(entry.from_image_ref, 'UTF8')
        || int4send(octet_length(convert_to(entry.to_version, 'UTF8'))) || convert_to(entry.to_version, 'UTF8')
        || int4send(octet_length(convert_to(entry.to_image_ref, 'UTF8'))) || convert_to(entry.to_image_ref, 'UTF8')
        || int4send(octet_length(convert_to(entry.undo, 'UTF8'))) || convert_to(entry.undo, 'UTF8'));
END
$$;
-- +goose StatementEnd

-- Chains one entry. It is a trigger AFTER the insert: one BEFORE it would move
-- the chain on for an append that finds its row there and writes nothing. Its
-- rights are the owner's, so that the service needs none on the chain.
-- +goose StatementBegin
CREATE FUNCTION operation_log_chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    head operation_chain_heads;
    next bytea;
BEGIN
    SELECT * INTO head FROM operation_chain_heads WHERE game_id = NEW.game_id FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO operation_chain_heads (game_id, seq, hash)
            VALUES (NEW.game_id, 0, decode(repeat('00', 32), 'hex')) ON CONFLICT (game_id) DO NOTHING;
        SELECT * INTO head FROM operation_chain_heads WHERE game_id = NEW.game_id FOR UPDATE;
    END IF;
    next := operation_link_hash(NEW, head.seq + 1, head.hash);
    INSERT INTO operation_chain (operation_id, game_id, seq, prev_hash, hash)
        VALUES (NEW.id, NEW.game_id, head.seq + 1, head.hash, next);
    UPDATE operation_chain_heads SET seq = head.seq + 1, hash = next WHERE game_id = NEW.game_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION operation_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: the audit log is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Entries are kept for ever; see docs/history.md.';
END
$$;
-- +goose StatementEnd

-- Whose rights a function has must not depend on what its caller put in front of
-- the tables. The schema is the one that this file makes its tables in.
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['operation_log_chain()', 'operation_log_refuse()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', name, current_schema());
    END LOOP;
END
$$;
-- +goose StatementEnd

-- From here on writers of the log wait, readers do not, until the file is
-- through: what is chained here and what the trigger chains from then on must not
-- leave out an entry in between. Appends that give up meanwhile are tried again
-- by their runs. Behind a transaction that holds the log it fails, as 00003 does,
-- and is to be run again.
SET LOCAL lock_timeout = '2s';
LOCK TABLE operation_log IN SHARE ROW EXCLUSIVE MODE;

-- The entries of before, in the order of their ids.
-- +goose StatementBegin
DO $$
DECLARE
    entry operation_log;
    game text;
    place bigint;
    last bytea;
    next bytea;
BEGIN
    FOR entry IN SELECT * FROM operation_log ORDER BY game_id, id LOOP
        IF game IS DISTINCT FROM entry.game_id THEN
            IF game IS NOT NULL THEN
                INSERT INTO operation_chain_heads (game_id, seq, hash) VALUES (game, place, last);
            END IF;
            game := entry.game_id;
            place := 0;
            last := decode(repeat('00', 32), 'hex');
        END IF;
        place := place + 1;
        next := operation_link_hash(entry, place, last);
        INSERT INTO operation_chain (operation_id, game_id, seq, prev_hash, hash)
            VALUES (entry.id, game, place, last, next);
        last := next;
    END LOOP;
    IF game IS NOT NULL THEN
        INSERT INTO operation_chain_heads (game_id, seq, hash) VALUES (game, place, last);
    END IF;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER operation_log_chain AFTER INSERT ON operation_log
    FOR EACH ROW EXECUTE FUNCTION operation_log_chain();

-- By statement, so that one which meets no row is refused as well.
CREATE TRIGGER operation_log_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON operation_log
    FOR EACH STATEMENT EXECUTE FUNCTION operation_log_refuse();

-- The chain is the trigger's alone: what reaches it otherwise is refused.
CREATE TRIGGER operation_chain_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON operation_chain
    FOR EACH STATEMENT EXECUTE FUNCTION operation_log_refuse();
CREATE TRIGGER operation_chain_refuse_insert BEFORE INSERT ON operation_chain
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION operation_log_refuse();
CREATE TRIGGER operation_chain_heads_refuse BEFORE DELETE OR TRUNCATE ON operation_chain_heads
    FOR EACH STATEMENT EXECUTE FUNCTION operation_log_refuse();
CREATE TRIGGER operation_chain_heads_refuse_write BEFORE INSERT OR UPDATE ON operation_chain_heads
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION operation_log_refuse();
