package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/client"
)

// TestDriftTellsOfTheWatch proves that a watch that has never come to an end is
// told from one that found nothing, and counts that are kept back from zeros.
func TestDriftTellsOfTheWatch(t *testing.T) {
	t.Parallel()
	const pass = `{"id":"r","started_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:01:00Z"`
	for _, row := range []struct {
		body            string
		passed, counted bool
	}{
		{`{"findings":[]}`, false, false},
		{`{"findings":[],"last_pass":` + pass + `}}`, true, false},
		{`{"findings":[],"last_pass":` + pass + `,"counts":{"checked":0,"in_sync":0,"image_drift":0,"missing":0,"extra":0,"skipped":0,"unknown":0}}}`, true, true},
	} {
		page, err := newClient(t, pagesOf(row.body)).ListDrift(t.Context(), client.ListDriftParams{})
		require.NoError(t, err)
		require.Empty(t, page.Findings)
		require.Equal(t, row.passed, page.LastPass != nil, row.body)
		if row.passed {
			require.Equal(t, time.Date(2026, 3, 1, 12, 1, 0, 0, time.UTC), page.LastPass.FinishedAt)
			require.Equal(t, row.counted, page.LastPass.Counts != nil, row.body)
		}
	}
	_, err := newClient(t, pagesOf(`{"patches":[]}`)).ListDrift(t.Context(), client.ListDriftParams{})
	var wrong *client.AnswerError
	require.ErrorAs(t, err, &wrong, "another list must not pass as an empty one")
}

// TestWhatIsZeroIsLeftOut proves that conditions which were not given are not
// sent, a truth value among them, and that those which were are.
func TestWhatIsZeroIsLeftOut(t *testing.T) {
	t.Parallel()
	var sent []map[string][]string
	c := newClient(t, pagesOf(`{"findings":[]}`).recording(func(query map[string][]string) { sent = append(sent, query) }))
	for _, params := range []client.ListDriftParams{{}, {Resolved: true, Kind: client.DriftExtra, Limit: 5}} {
		_, err := c.ListDrift(t.Context(), params)
		require.NoError(t, err)
	}
	require.Empty(t, sent[0])
	require.Equal(t, map[string][]string{"resolved": {"true"}, "kind": {"extra"}, "limit": {"5"}}, sent[1])
}

// TestDecisionSentTwice proves that a decision whose answer was lost is sent
// again as it was, and that what the patch says of the second one is told.
func TestDecisionSentTwice(t *testing.T) {
	t.Parallel()
	s := answering(reply{lost: true}, problem(http.StatusConflict, "not_in_doubt"))
	_, err := newClient(t, s).RetryPatch(t.Context(), patchID, "it is back")
	require.True(t, client.IsCode(err, client.CodeNotInDoubt))
	require.Equal(t, 2, s.tries())
}
