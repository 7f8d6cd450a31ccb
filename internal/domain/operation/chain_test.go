package operation_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/operation"
)

// TestLinkHash proves that the hash of a link is the same for ever, and another
// for whatever is another: a field's bounds, nothing instead of an empty one, the
// place, the link before.
func TestLinkHash(t *testing.T) {
	fields := func(texts ...string) (entry [][]byte) {
		for _, text := range texts {
			entry = append(entry, []byte(text))
		}
		return entry
	}
	first := operation.LinkHash(operation.ChainHash{}, 1, fields("ab", "c", ""))
	require.Equal(t, "075995a0b09c67ff7c336fb61d62a848e9f7cf4c4c0ad39cde49d97662b9977f", hex.EncodeToString(first[:]))
	seen := map[operation.ChainHash]bool{first: true}
	for _, other := range []operation.ChainHash{
		operation.LinkHash(operation.ChainHash{}, 1, fields("a", "bc", "")),
		operation.LinkHash(operation.ChainHash{}, 1, fields("ab", "c")),
		operation.LinkHash(operation.ChainHash{}, 1, append(fields("ab", "c"), nil)),
		operation.LinkHash(operation.ChainHash{}, 2, fields("ab", "c", "")),
		operation.LinkHash(operation.ChainHash{1}, 1, fields("ab", "c", "")),
	} {
		require.False(t, seen[other])
		seen[other] = true
	}
}

// TestChainCheckKeepsGamesApart proves that each game begins anew, and that the
// end of the last one is looked at as well.
func TestChainCheckKeepsGamesApart(t *testing.T) {
	link := func(game string, prev operation.ChainHash, seq int64) operation.ChainLink {
		entry := [][]byte{[]byte(game)}
		hash := operation.LinkHash(prev, seq, entry)
		return operation.ChainLink{
			GameID: game, EntryGameID: game, Seq: seq, PrevHash: prev, Hash: hash, Entry: entry,
			Head: &operation.ChainHead{Seq: 2, Hash: hash},
		}
	}
	var check operation.ChainCheck
	require.Empty(t, check.End(), "nothing is whole")
	for _, game := range []string{"a", "b"} {
		first := link(game, operation.ChainHash{}, 1)
		require.Empty(t, check.Next(first))
		require.Empty(t, check.Next(link(game, first.Hash, 2)))
	}
	require.Empty(t, check.End())

	require.Empty(t, check.Next(link("a", operation.ChainHash{}, 1)))
	faults := check.Next(link("b", operation.ChainHash{}, 1))
	require.Len(t, faults, 1)
	require.Equal(t, operation.LinksMissing, faults[0].Kind)
	require.Equal(t, "a", faults[0].GameID)
	faults = check.End()
	require.Len(t, faults, 1)
	require.Equal(t, "b", faults[0].GameID)
}
