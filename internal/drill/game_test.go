package drill_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"galaxy/gamemaster/internal/drill"
)

// TestWaitForWhatCannotComeIsOver proves that a case does not wait its whole time
// for something that nothing can bring about any more, and does wait as long as
// something may.
func TestWaitForWhatCannotComeIsOver(t *testing.T) {
	never := func(context.Context) (bool, error) { return false, nil }
	for name, test := range map[string]struct {
		answers []drill.Answer
		says    string
		within  time.Duration
	}{
		"ended":          {[]drill.Answer{drill.AnswerOpen, drill.AnswerEnded}, "had ended", 2 * time.Minute},
		"refused":        {[]drill.Answer{drill.AnswerRefused}, "had ended", 2 * time.Minute},
		"open":           {[]drill.Answer{drill.AnswerEnded, drill.AnswerOpen}, "deadline", time.Hour},
		"unknown":        {[]drill.Answer{drill.AnswerUnknown}, "deadline", time.Hour},
		"nothing so far": {nil, "deadline", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				game, began := drill.AskedGame(ctx, test.answers...), time.Now()
				game.Until("it rains", never)
				require.ErrorContains(t, game.Err(), "it never came to that it rains")
				require.ErrorContains(t, game.Err(), test.says)
				require.LessOrEqual(t, time.Since(began), test.within)
			})
		})
	}
}
