package patch

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"galaxy/gamemaster/internal/domain/runtime"
)

// MaxOpenPage bounds the patches of one page: it is what Temporal lists at once.
const MaxOpenPage = 1000

// OpenQuery asks for a page of the open patches.
type OpenQuery struct {
	// GameID keeps the one game's patch; empty keeps every game's.
	GameID string
	// GamePrefixes keeps the games whose id begins with one of them, also beside
	// GameID; empty keeps all.
	GamePrefixes []string
	// Limit is 1 to [MaxOpenPage].
	Limit int
	// PageToken is [OpenPage.NextPageToken] of the page before; empty asks for the
	// first page.
	PageToken []byte
}

// Validate reports the first reason why there is no such page. It is a
// [*Refusal] when the game id is at fault, since that is the caller's own.
func (query OpenQuery) Validate() error {
	if query.GameID != "" {
		if err := checkGameID(query.GameID); err != nil {
			return err
		}
	}
	for _, prefix := range query.GamePrefixes {
		// What a game id can begin with is a game id itself. An empty prefix would
		// show every game.
		if !runtime.ValidGameID(prefix) {
			return fmt.Errorf("list open patches: no game id begins with %q", prefix)
		}
	}
	if query.Limit < 1 || query.Limit > MaxOpenPage {
		return fmt.Errorf("list open patches: limit is %d, want 1 to %d", query.Limit, MaxOpenPage)
	}
	return nil
}

// Keeps reports whether a patch of gameID belongs on the page.
func (query OpenQuery) Keeps(gameID string) bool {
	if query.GameID != "" && query.GameID != gameID {
		return false
	}
	return len(query.GamePrefixes) == 0 || slices.ContainsFunc(query.GamePrefixes, func(prefix string) bool {
		return strings.HasPrefix(gameID, prefix)
	})
}

// OpenPage is one page of the open patches, those that started last first.
type OpenPage struct {
	Patches []Open
	// NextPageToken is empty on the last page. It is opaque, and fits the same
	// conditions only.
	NextPageToken []byte
}

// Open is an open patch in a list, or an open reconciliation, which holds its
// game like one.
type Open struct {
	// Handle has no patch id when the run was started by hand.
	Handle Handle
	// Reconciles says that it is a reconciliation, and Mode of which kind; empty
	// when it was started by hand.
	Reconciles bool
	Mode       Mode
	// Version is where the patch goes; empty for a reconciliation.
	Version string
	// ExpectedVersion is that of its request; may be empty.
	ExpectedVersion string
	Force           bool
	// Phase is set as far as it is known without asking the run itself;
	// [PhaseNeedsOperator] always is.
	Phase Phase
	// Actor is who asked for it; may be empty.
	Actor     string
	StartedAt time.Time
}
