package operation

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// chainFormat names what the hash of a link covers; it is the first of what is
// hashed. The database's operation_link_hash has the same.
const chainFormat = "gamemaster operation 1"

// ChainHash is the hash of a link; zero in front of a game's first one.
type ChainHash [sha256.Size]byte

// ChainHead is the place and the hash of a game's last link.
type ChainHead struct {
	Seq  int64
	Hash ChainHash
}

// ChainLink is one link of a game's chain: what the database said of an entry
// when that was written, and the entry as it is now.
type ChainLink struct {
	GameID string
	// Seq counts the links of the game from 1.
	Seq         int64
	OperationID int64
	PrevHash    ChainHash
	Hash        ChainHash
	// EntryGameID is the game that the entry itself names.
	EntryGameID string
	// Entry are the entry's columns in the order of the format, each as Postgres
	// sends it in binary, nil for NULL; nil as a whole when the entry is gone.
	Entry [][]byte
	// Head is what the game's head says; nil when that is gone.
	Head *ChainHead
}

// LinkHash is the hash of a link: over the format's name, the hash of the link
// before, its place and the columns of its entry, each behind its length, so
// that no two entries have the same bytes.
func LinkHash(prev ChainHash, seq int64, entry [][]byte) ChainHash {
	sum := sha256.New()
	var length [4]byte
	add := func(field []byte) {
		size := ^uint32(0) // -1
		if field != nil {
			size = uint32(len(field)) //nolint:gosec // Postgres sends no field of 4 GiB.
		}
		binary.BigEndian.PutUint32(length[:], size)
		sum.Write(length[:])
		sum.Write(field)
	}
	add([]byte(chainFormat))
	add(prev[:])
	add(binary.BigEndian.AppendUint64(nil, uint64(seq))) //nolint:gosec // The bits are what is hashed.
	for _, field := range entry {
		add(field)
	}
	return ChainHash(sum.Sum(nil))
}

// ChainFaultKind is what is wrong with the audit log.
type ChainFaultKind string

// The kinds of a fault.
const (
	// EntryChanged: the entry is not the one that was written.
	EntryChanged ChainFaultKind = "changed"
	// EntryMissing: the link is there and its entry is gone.
	EntryMissing ChainFaultKind = "missing"
	// EntryUnchained: the entry is there and its link is not: it was written past
	// the chain, or its link is gone.
	EntryUnchained ChainFaultKind = "unchained"
	// LinksMissing: links are gone, and with them what their entries were.
	LinksMissing ChainFaultKind = "links_missing"
	// LinkBroken: the link does not follow the one before: one of them was
	// rewritten, or put into another place.
	LinkBroken ChainFaultKind = "broken"
	// HeadWrong: what the game's head says and its last link differ.
	HeadWrong ChainFaultKind = "head"
	// Unguarded: a trigger that keeps the log is gone or switched off.
	Unguarded ChainFaultKind = "unguarded"
)

// ChainFault is one thing that is wrong.
type ChainFault struct {
	Kind ChainFaultKind
	// GameID is empty for what concerns the whole log.
	GameID string
	// OperationID and Seq are zero where the fault is about no entry of its own.
	OperationID int64
	Seq         int64
	Detail      string
}

// ChainCheck holds the links of many games against each other, one after the
// other. The zero value is ready. It keeps one link, however many come.
type ChainCheck struct {
	last ChainLink
}

// Next takes the next link: games in any order, each game's links together and
// by Seq. It returns what is wrong with it, and with the end of the game before.
// It does not keep the link's Entry.
func (c *ChainCheck) Next(link ChainLink) []ChainFault {
	var faults []ChainFault
	if link.GameID != c.last.GameID {
		faults = c.End()
	}
	fault := func(kind ChainFaultKind, detail string) {
		faults = append(faults, ChainFault{
			Kind: kind, GameID: link.GameID, OperationID: link.OperationID, Seq: link.Seq, Detail: detail,
		})
	}
	switch expected := c.last.Seq + 1; {
	case link.Seq != expected:
		faults = append(faults, missingLinks(link.GameID, expected, link.Seq-1))
	case link.PrevHash != c.last.Hash:
		fault(LinkBroken, fmt.Sprintf("does not follow link %d: one of the two was rewritten, or the order was changed", c.last.Seq))
	}
	switch {
	case link.Entry == nil:
		fault(EntryMissing, "the entry is gone")
	case link.EntryGameID != link.GameID:
		fault(EntryChanged, fmt.Sprintf("the entry was of this game and says %q", link.EntryGameID))
	case LinkHash(link.PrevHash, link.Seq, link.Entry) != link.Hash:
		fault(EntryChanged, "the entry is not the one that was written")
	}
	link.Entry = nil
	c.last = link
	return faults
}

// End returns what is wrong with the end of the last game.
func (c *ChainCheck) End() []ChainFault {
	last := c.last
	c.last = ChainLink{}
	if last.GameID == "" {
		return nil
	}
	wrong := func(detail string) []ChainFault {
		return []ChainFault{{Kind: HeadWrong, GameID: last.GameID, Seq: last.Seq, Detail: detail}}
	}
	switch head := last.Head; {
	case head == nil:
		return wrong("the game's head is gone, so that entries may be missing at the end")
	case head.Seq > last.Seq:
		return []ChainFault{missingLinks(last.GameID, last.Seq+1, head.Seq)}
	case head.Seq < last.Seq || head.Hash != last.Hash:
		return wrong("the game's head and its last link differ: one of the two was rewritten")
	}
	return nil
}

// LostChain is the fault of a game that has a head and no link at all.
func LostChain(gameID string, head ChainHead) ChainFault { return missingLinks(gameID, 1, head.Seq) }

func missingLinks(gameID string, from, to int64) ChainFault {
	if from > to {
		// Links that come twice, or a head of nothing, which no log that was only
		// appended to has.
		return ChainFault{Kind: LinkBroken, GameID: gameID, Seq: from, Detail: "the links are not in order"}
	}
	return ChainFault{
		Kind: LinksMissing, GameID: gameID, Seq: from,
		Detail: fmt.Sprintf("links %d to %d are gone, and what their entries were is not known", from, to),
	}
}
