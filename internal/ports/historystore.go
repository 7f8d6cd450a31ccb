package ports

import (
	"context"
	"time"

	"galaxy/gamemaster/internal/domain/history"
)

//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_historystore.go -package=mocks galaxy/gamemaster/internal/ports HistoryStore
//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_closedruns.go -package=mocks galaxy/gamemaster/internal/ports ClosedRuns
//go:generate go tool -modfile=../../tools/go.mod mockgen -destination=../adapters/mocks/mock_replayer.go -package=mocks galaxy/gamemaster/internal/ports Replayer

// HistoryStore keeps the histories of closed runs.
type HistoryStore interface {
	// Keep stores the history of run, whose Size and ExportedAt are not looked
	// at, with what people did to it, and takes it off the misses. A run that is
	// kept already keeps what it has.
	Keep(ctx context.Context, run history.Run, document []byte) error
	// Unkept returns those of runs that are neither kept nor missed, in order.
	Unkept(ctx context.Context, runs []history.Ref) ([]history.Ref, error)

	// Miss notes that the history of a run could not be exported, and why.
	Miss(ctx context.Context, run history.Ref, reason string) error
	// Missed returns at most limit of the runs that are still missed and due to
	// be tried again, the one that was tried longest ago first.
	Missed(ctx context.Context, limit int) ([]history.Ref, error)

	// Mark returns up to when the closed runs have been looked through under a
	// name; zero when never. SetMark sets it, and never back.
	Mark(ctx context.Context, name string) (time.Time, error)
	SetMark(ctx context.Context, name string, mark time.Time) error

	// ListHistories returns the kept runs of a patch, the one that closed last
	// first, at most limit of them.
	ListHistories(ctx context.Context, patchID string, limit int) ([]history.Run, error)
	// ReadHistory returns the JSON of a kept run of a patch. It returns
	// [history.ErrNotFound] when there is none, and [history.ErrTooLarge] when it
	// has more than most bytes.
	ReadHistory(ctx context.Context, patchID, runID string, most int) ([]byte, error)

	// ListInterventions returns what people did to the kept runs of a patch, also
	// to those whose histories were dropped since, the latest first, at most limit
	// of it.
	ListInterventions(ctx context.Context, patchID string, limit int) ([]history.Intervention, error)

	// PruneHistories drops at most limit histories of runs that closed before an
	// instant, the oldest first, and returns how many it were. What people did to
	// the runs stays.
	PruneHistories(ctx context.Context, before time.Time, limit int) (int, error)
}

// ClosedRuns tells of the runs that have closed, as Temporal knows them.
type ClosedRuns interface {
	// PageClosed returns a page of the runs that closed at or after since;
	// pageToken is that of the page before, empty for the first.
	PageClosed(ctx context.Context, since time.Time, pageToken []byte) (history.ClosedPage, error)
	// History returns a run, open or closed, with its history as JSON. It returns
	// [history.ErrNotFound] when Temporal has forgotten the run, and
	// [history.ErrTooLarge] when the JSON would have more than most bytes.
	History(ctx context.Context, run history.Ref, most int) (history.Run, []byte, error)
}

// Replayer replays histories through the workflows of this program.
type Replayer interface {
	// Replay returns why the history does not replay; nil when it does.
	Replay(document []byte) error
}
