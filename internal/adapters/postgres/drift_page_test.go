package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/ports"
)

func walkDrift(t *testing.T, store *postgres.Drift, input ports.DriftPageInput, between func([]drift.Finding)) []drift.Finding {
	t.Helper()
	return walk(t, input.Limit, func(after *drift.Finding) ([]drift.Finding, error) {
		if after != nil {
			input.BelowID = after.ID
		}
		return store.PageDrift(t.Context(), input)
	}, between)
}

func findingIDs(findings []drift.Finding) []int64 {
	found := []int64{}
	for _, finding := range findings {
		found = append(found, finding.ID)
	}
	return found
}

// Proves, against the rows as a whole, that pages of any size give every finding
// once and in order, under every mixture of conditions.
func TestPagesOfDrift(t *testing.T) {
	store, _ := newDrift(t)
	names := []string{"a_b", "axb", "c", "c1"}
	for n := range 60 {
		note(t, store, found(n, newFinding(names[n%4], drift.Kinds()[n/4%3])))
	}
	note(t, store, inSync(60, "c"))
	all := walkDrift(t, store, ports.DriftPageInput{Resolved: true, Limit: 100}, nil)
	require.Len(t, all, 60)
	require.True(t, slices.IsSortedFunc(all, func(a, b drift.Finding) int { return int(b.ID - a.ID) }))

	kept := 0
	for _, gameID := range append(names, "", "nobody") {
		for _, kind := range append(drift.Kinds(), "") {
			for _, resolved := range []bool{false, true} {
				for _, prefixes := range [][]string{nil, {"a_b"}, {"c", "ax"}, {"_"}} {
					input := ports.DriftPageInput{GameID: gameID, Kind: kind, Resolved: resolved, GamePrefixes: prefixes}
					want := slices.DeleteFunc(slices.Clone(all), func(finding drift.Finding) bool { return !keeps(input, finding) })
					kept += len(want)
					for _, limit := range []int{1, 7, 60, ports.MaxPage} {
						input.Limit = limit
						require.Equal(t, findingIDs(want), findingIDs(walkDrift(t, store, input, nil)), "%+v", input)
					}
				}
			}
		}
	}
	require.Greater(t, kept, 500, "the mixtures keep something")
}

func keeps(input ports.DriftPageInput, finding drift.Finding) bool {
	return (input.GameID == "" || finding.GameID == input.GameID) &&
		(input.Kind == "" || finding.Kind == input.Kind) &&
		(input.Resolved || finding.ResolvedAt == nil) &&
		(input.GamePrefixes == nil || slices.ContainsFunc(input.GamePrefixes, func(prefix string) bool {
			return strings.HasPrefix(finding.GameID, prefix)
		}))
}

// Proves that findings that are opened between two pages double nothing and hide
// nothing.
func TestPagesOfDriftWhileRowsCome(t *testing.T) {
	store, _ := newDrift(t)
	for n := range 12 {
		note(t, store, found(n, newFinding(fmt.Sprintf("g%d", n), drift.Missing)))
	}
	before := findingIDs(walkDrift(t, store, ports.DriftPageInput{Limit: 100}, nil))
	rows := walkDrift(t, store, ports.DriftPageInput{Limit: 5}, func(rows []drift.Finding) {
		note(t, store, found(20, newFinding(fmt.Sprintf("new%d", len(rows)), drift.Missing)))
	})
	require.Equal(t, before, findingIDs(rows))
}

// Proves that a page that cannot be is called invalid.
func TestPageDriftInvalidInput(t *testing.T) {
	store, _ := newDrift(t)
	for name, input := range map[string]ports.DriftPageInput{
		"no limit": {},
		"limit":    {Limit: ports.MaxPage + 1},
		"kind":     {Kind: drift.InSync, Limit: 1},
		"below":    {BelowID: -1, Limit: 1},
		"game":     {GameID: "a\x00b", Limit: 1},
		"prefix":   {GamePrefixes: []string{"a", "a\xffb"}, Limit: 1},
	} {
		_, err := store.PageDrift(t.Context(), input)
		require.ErrorIs(t, err, ports.ErrInvalidInput, name)
	}
}
