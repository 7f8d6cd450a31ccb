package patch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/domain/patch"
)

// TestOpenQueryValidate proves that nothing gets into a query for Temporal that
// would have to be escaped, nor a prefix that shows every game.
func TestOpenQueryValidate(t *testing.T) {
	good := patch.OpenQuery{GameID: "g-1", GamePrefixes: []string{"g", "demo-_"}, Limit: patch.MaxOpenPage}
	require.NoError(t, good.Validate())
	require.NoError(t, patch.OpenQuery{Limit: 1}.Validate())
	for name, spoil := range map[string]func(*patch.OpenQuery){
		"no game id":     func(q *patch.OpenQuery) { q.GameID = "No Such" },
		"quote":          func(q *patch.OpenQuery) { q.GamePrefixes = []string{"g", "a' OR 'a"} },
		"empty prefix":   func(q *patch.OpenQuery) { q.GamePrefixes = []string{""} },
		"no limit":       func(q *patch.OpenQuery) { q.Limit = 0 },
		"too many":       func(q *patch.OpenQuery) { q.Limit = patch.MaxOpenPage + 1 },
		"negative limit": func(q *patch.OpenQuery) { q.Limit = -1 },
	} {
		query := good
		spoil(&query)
		err := query.Validate()
		require.Error(t, err, name)
		require.Equal(t, name == "no game id", codeOf(err) == patch.CodeInvalidRequest, name)
	}
}

// TestOpenQueryKeeps proves that both conditions have to hold.
func TestOpenQueryKeeps(t *testing.T) {
	for _, row := range []struct {
		query patch.OpenQuery
		game  string
		want  bool
	}{
		{patch.OpenQuery{}, "any", true},
		{patch.OpenQuery{GameID: "a-1"}, "a-1", true},
		{patch.OpenQuery{GameID: "a-1"}, "a-12", false},
		{patch.OpenQuery{GamePrefixes: []string{"b-", "a-"}}, "a-1", true},
		{patch.OpenQuery{GamePrefixes: []string{"b-", "a-"}}, "c-a-1", false},
		{patch.OpenQuery{GamePrefixes: []string{"a_"}}, "ab1", false},
		{patch.OpenQuery{GameID: "a-1", GamePrefixes: []string{"b-"}}, "a-1", false},
		{patch.OpenQuery{GameID: "a-1", GamePrefixes: []string{"a-"}}, "a-1", true},
	} {
		require.Equal(t, row.want, row.query.Keeps(row.game), "%v keeps %s", row.query, row.game)
	}
}
