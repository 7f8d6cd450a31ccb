package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"galaxy/gamemaster/internal/domain/operation"
)

// ChainSummary is what [OperationLog.VerifyChain] has looked at.
type ChainSummary struct {
	Games, Entries, Faults int
}

const verifyOp = "verify operation log"

// chainedColumns are what the hash of a link covers, in the order of its format;
// operation_link_hash of the migrations has the same. They stay what they are
// when entryColumns grow: a format that has more columns is another format.
const chainedColumns = `l.id, l.game_id, l.op_kind, l.op_source, l.source_ref, l.actor, l.outcome, l.error_code, l.error_message,
	l.started_at, l.finished_at, l.patch_id, l.run_id, l.reason, l.noop,
	l.from_version, l.from_image_ref, l.to_version, l.to_image_ref, l.undo`

const (
	chainLinks = `SELECT c.game_id, c.seq, c.operation_id, c.prev_hash, c.hash, h.seq, h.hash, ` + chainedColumns + `
		FROM operation_chain AS c
		LEFT JOIN operation_chain_heads AS h ON h.game_id = c.game_id
		LEFT JOIN operation_log AS l ON l.id = c.operation_id
		WHERE $1 IN ('', c.game_id) ORDER BY c.game_id, c.seq`

	unchainedEntries = `SELECT l.game_id, l.id FROM operation_log AS l
		WHERE $1 IN ('', l.game_id) AND NOT EXISTS (SELECT FROM operation_chain AS c WHERE c.operation_id = l.id)
		ORDER BY l.id`

	headsOfNothing = `SELECT h.game_id, h.seq, h.hash FROM operation_chain_heads AS h
		WHERE $1 IN ('', h.game_id) AND NOT EXISTS (SELECT FROM operation_chain AS c WHERE c.game_id = h.game_id)
		ORDER BY h.game_id`

	idleGuards = `SELECT on_table || ': ' || name FROM (VALUES
			('operation_log', 'operation_log_chain'), ('operation_log', 'operation_log_refuse'),
			('operation_chain', 'operation_chain_refuse'), ('operation_chain', 'operation_chain_refuse_insert'),
			('operation_chain_heads', 'operation_chain_heads_refuse'), ('operation_chain_heads', 'operation_chain_heads_refuse_write'),
			('run_interventions', 'run_interventions_refuse')
		) AS wanted (on_table, name)
		WHERE NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = on_table::regclass AND t.tgname = name AND t.tgenabled IN ('O', 'A'))
		ORDER BY 1`

	// linkFields is how many columns of chainLinks come before those of the entry.
	linkFields = 7

	// verifyTimeout is the server's limit for reading the chain, which is sorted
	// and sent in one statement: a hundred thousand entries take a second or two,
	// so that an hour is enough for more than anybody will have.
	verifyTimeout = time.Hour
)

// VerifyChain reads the whole audit log, or that of one game when gameID is not
// empty, and holds each entry against the chain that was made when it was
// written. The hashes are computed here, from what the database sends, so that
// a function that somebody changed there hides nothing. Each fault is given to
// report as it is found.
//
// It reads one snapshot: entries may be appended meanwhile. Entries are streamed,
// and one at a time is kept. The error says that it could not be read to the end;
// what was reported until then stands.
func (s *OperationLog) VerifyChain(
	ctx context.Context, gameID string, report func(operation.ChainFault),
) (summary ChainSummary, err error) {
	if err := checkText(verifyOp, gameID); err != nil {
		return ChainSummary{}, err
	}
	v := verification{ctx: ctx, gameID: gameID, report: func(faults ...operation.ChainFault) {
		for _, fault := range faults {
			summary.Faults++
			report(fault)
		}
	}}
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		v.tx = tx
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = "+milliseconds(verifyTimeout)); err != nil {
			return err
		}
		// After an error the transaction answers nothing but that there was one.
		for _, look := range []func() error{v.guards, func() error { return v.links(&summary) }, v.unchained, v.lostChains} {
			if err := look(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return summary, failed(verifyOp, err)
	}
	return summary, nil
}

// verification is one reading of the log.
type verification struct {
	ctx    context.Context //nolint:containedctx // It lives as long as one call.
	tx     pgx.Tx
	gameID string
	report func(...operation.ChainFault)
}

// each runs a statement and calls with the raw values of each row, which are
// the driver's and gone with the next one.
func (v *verification) each(sql string, with func(values [][]byte) error) error {
	// Binary whatever the URL says: it is what was hashed.
	rows, err := v.tx.Query(v.ctx, sql, pgx.QueryExecModeCacheDescribe, pgx.QueryResultFormats{pgx.BinaryFormatCode}, v.gameID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := with(rows.RawValues()); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (v *verification) guards() error {
	rows, err := v.tx.Query(v.ctx, idleGuards)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		v.report(operation.ChainFault{Kind: operation.Unguarded, Detail: "a trigger is gone or switched off: " + name})
	}
	return err
}

func (v *verification) links(summary *ChainSummary) error {
	var check operation.ChainCheck
	game := ""
	err := v.each(chainLinks, func(values [][]byte) error {
		link, err := linkOf(values)
		if err != nil {
			return err
		}
		if link.GameID != game {
			summary.Games++
			game = link.GameID
		}
		summary.Entries++
		v.report(check.Next(link)...)
		return nil
	})
	if err == nil {
		v.report(check.End()...)
	}
	return err
}

// linkOf reads a row of chainLinks.
func linkOf(values [][]byte) (operation.ChainLink, error) {
	link := operation.ChainLink{GameID: string(values[0])}
	err := errors.Join(
		number(values[1], &link.Seq), number(values[2], &link.OperationID), hash(values[3], &link.PrevHash), hash(values[4], &link.Hash))
	if values[5] != nil {
		link.Head = &operation.ChainHead{}
		err = errors.Join(err, number(values[5], &link.Head.Seq), hash(values[6], &link.Head.Hash))
	}
	if entry := values[linkFields:]; entry[0] != nil {
		link.Entry, link.EntryGameID = entry, string(entry[1])
	}
	return link, err
}

func (v *verification) unchained() error {
	return v.each(unchainedEntries, func(values [][]byte) error {
		fault := operation.ChainFault{
			Kind: operation.EntryUnchained, GameID: string(values[0]), Detail: "the entry is in no chain: it was written past it, or its link is gone",
		}
		err := number(values[1], &fault.OperationID)
		v.report(fault)
		return err
	})
}

func (v *verification) lostChains() error {
	return v.each(headsOfNothing, func(values [][]byte) error {
		var head operation.ChainHead
		err := errors.Join(number(values[1], &head.Seq), hash(values[2], &head.Hash))
		v.report(operation.LostChain(string(values[0]), head))
		return err
	})
}

func number(value []byte, into *int64) error {
	if len(value) != 8 {
		return fmt.Errorf("a number of %d bytes", len(value))
	}
	*into = int64(binary.BigEndian.Uint64(value)) //nolint:gosec // The bits are the number's.
	return nil
}

func hash(value []byte, into *operation.ChainHash) error {
	if len(value) != len(into) {
		return fmt.Errorf("a hash of %d bytes", len(value))
	}
	copy(into[:], value)
	return nil
}
