package activities

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"galaxy/gamemaster/internal/domain/drift"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// Watch has the steps of the watch, which compares all records with their
// containers. It is registered with a worker as a whole: every exported method
// is an activity.
type Watch struct {
	pages    ports.RuntimePager
	runtimes ports.RuntimeRecordStore
	rtm      ports.RTMClient
	drift    ports.DriftStore
	runs     ports.PatchRuns
	log      ports.OperationLogStore
}

// WatchDependencies are what the steps of the watch need; all are required.
type WatchDependencies struct {
	RuntimePages   ports.RuntimePager
	RuntimeRecords ports.RuntimeRecordStore
	RTM            ports.RTMClient
	Drift          ports.DriftStore
	Runs           ports.PatchRuns
	OperationLogs  ports.OperationLogStore
}

// NewWatch returns the steps over deps, or an error that names what is missing.
func NewWatch(deps WatchDependencies) (*Watch, error) {
	switch {
	case deps.RuntimePages == nil:
		return nil, errors.New("new watch: nil runtime pages")
	case deps.RuntimeRecords == nil:
		return nil, errors.New("new watch: nil runtime records")
	case deps.RTM == nil:
		return nil, errors.New("new watch: nil rtm client")
	case deps.Drift == nil:
		return nil, errors.New("new watch: nil drift store")
	case deps.Runs == nil:
		return nil, errors.New("new watch: nil patch runs")
	case deps.OperationLogs == nil:
		return nil, errors.New("new watch: nil operation logs")
	}
	return &Watch{
		pages: deps.RuntimePages, runtimes: deps.RuntimeRecords, rtm: deps.RTM,
		drift: deps.Drift, runs: deps.Runs, log: deps.OperationLogs,
	}, nil
}

// CheckPageInput asks for one page of the records to be compared.
type CheckPageInput struct {
	// After is the last record of the page before; nil asks for the first page.
	After *PagePosition `json:"after,omitempty"`
	// Size is how many records are on a page, 1 to [ports.MaxPage].
	Size int `json:"size"`
	// Heal is how many of the differences may be given back to be healed.
	Heal int `json:"heal,omitempty"`
}

// PagePosition is the place of a record in the list of all.
type PagePosition struct {
	CreatedAt time.Time `json:"created_at"`
	GameID    string    `json:"game_id"`
}

// CheckPageResult is what the page came to. It is small however many records
// differ: the findings themselves are in the store.
type CheckPageResult struct {
	Counts drift.Counts `json:"counts"`
	// Next is the position of the page's last record; nil when no page follows.
	Next *PagePosition `json:"next,omitempty"`
	// Heal are differences that a reconciliation can heal.
	Heal []Healing `json:"heal,omitempty"`
	// Silent says that Runtime Manager did not answer, for as long as a page is
	// worth waiting for it; the records that were left count as unknown.
	Silent  bool `json:"silent,omitempty"`
	Attempt int  `json:"attempt"`
}

// Healing names a reconciliation that is due.
type Healing struct {
	GameID string `json:"game_id"`
	// PatchID is new: made here, because a workflow can make none, so that it
	// stands in the history.
	PatchID string `json:"patch_id"`
}

// PageProgress is what the step tells with its heartbeats.
type PageProgress struct {
	Looked int64 `json:"looked"`
	Of     int   `json:"of"`
}

const (
	// lookers is how many containers are asked for at once: enough to hide the
	// way there and back, few enough that Runtime Manager hardly notices.
	lookers = 8

	// silentAfter is how many calls in a row have to go unanswered before Runtime
	// Manager is taken to be down: one or two are a lost connection, and the
	// records that are left would each wait for nothing.
	silentAfter = 5

	// pageTries is how often a page is tried while Runtime Manager is silent: with
	// the waits in between half a minute, the better part of a restart. After it
	// the walk goes on behind the page: five games in a row whose containers
	// Runtime Manager cannot tell of must not hide all the games behind them.
	pageTries = 6
)

// CheckPage compares one page of the records with their containers and keeps
// the findings. A record that seems to differ is looked at once more, closely,
// before it counts; a container that Runtime Manager does not tell of is no
// finding and ends none. Done again it finds the same, but for what has changed.
// It fails for now with service_unavailable.
func (w *Watch) CheckPage(ctx context.Context, input CheckPageInput) (CheckPageResult, error) {
	const op = "check page"
	query := ports.RuntimePageInput{Limit: input.Size}
	if input.After != nil {
		query.After = &ports.RuntimePosition{CreatedAt: input.After.CreatedAt, GameID: input.After.GameID}
	}
	rows, err := w.pages.PageRuntimes(ctx, query)
	if err != nil {
		return CheckPageResult{}, failed(ctx, op, err)
	}
	walk := newWalk(w, rows)
	ctx, done := aliveWith(ctx, walk.progress)
	defer done()
	if err := walk.run(ctx); err != nil {
		return CheckPageResult{}, failed(ctx, op, err)
	}
	if walk.silence != nil && attempt(ctx) < pageTries {
		return CheckPageResult{}, failed(ctx, op, walk.silence)
	}
	result, note := walk.tell(input.Heal)
	note.Now = time.Now().UTC()
	if err := w.drift.Note(ctx, note); err != nil {
		return CheckPageResult{}, failed(ctx, op, err)
	}
	if len(rows) == input.Size {
		last := rows[len(rows)-1]
		result.Next = &PagePosition{CreatedAt: last.CreatedAt, GameID: last.GameID}
	}
	result.Attempt = attempt(ctx)
	return result, nil
}

// FinishPassInput is the end of a pass.
type FinishPassInput struct {
	// Pass has its FinishedAt set.
	Pass drift.Pass `json:"pass"`
	// KeepSince is the oldest time of the findings and passes that are kept.
	KeepSince time.Time `json:"keep_since"`
}

// FinishPassResult says that the summary is kept.
type FinishPassResult struct {
	Attempt int `json:"attempt"`
}

// FinishPass keeps the summary of a pass; done again it overwrites it. It fails
// for now with service_unavailable.
func (w *Watch) FinishPass(ctx context.Context, input FinishPassInput) (FinishPassResult, error) {
	err := w.drift.Finish(ctx, ports.FinishPassInput{Pass: input.Pass, KeepSince: input.KeepSince})
	if err != nil {
		return FinishPassResult{}, failed(ctx, "finish pass", err)
	}
	return FinishPassResult{Attempt: attempt(ctx)}, nil
}

// walk looks at the records of one page, several at once.
type walk struct {
	watch *Watch
	rows  []runtime.RuntimeRecord
	// seen has one place for each row; the zero value is a record that was not
	// looked at, or whose container Runtime Manager did not tell of.
	seen   []sighting
	looked atomic.Int64

	mu sync.Mutex
	// next is the row that is looked at next.
	next int
	// unanswered counts the calls in a row that Runtime Manager did not answer,
	// and silence is the last one's error once they are too many.
	unanswered int
	silence    error
	// fault is what keeps the page from being judged.
	fault error
}

func newWalk(watch *Watch, rows []runtime.RuntimeRecord) *walk {
	return &walk{watch: watch, rows: rows, seen: make([]sighting, len(rows))}
}

func (k *walk) progress() []any {
	return []any{PageProgress{Looked: k.looked.Load(), Of: len(k.rows)}}
}

// run looks at all rows, until Runtime Manager falls silent or something else
// goes wrong, which it returns.
func (k *walk) run(ctx context.Context) error {
	var group sync.WaitGroup
	for range lookers {
		group.Go(func() {
			for i, more := k.take(); more; i, more = k.take() {
				sighting, err := k.watch.look(ctx, k.rows[i])
				k.seen[i] = sighting
				k.looked.Add(1)
				k.judge(ctx, err)
			}
		})
	}
	group.Wait()
	return k.fault
}

// take returns the next row to look at, if there is a point in looking at it.
func (k *walk) take() (int, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next == len(k.rows) || k.silence != nil || k.fault != nil {
		return 0, false
	}
	k.next++
	return k.next - 1, true
}

// judge says what a look that failed means for the page.
func (k *walk) judge(ctx context.Context, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		k.fault = ctx.Err()
	case err == nil, errors.Is(err, ports.ErrRTMRejected):
		// A refusal is an answer: it says nothing of the games that follow.
		k.unanswered = 0
	case errors.Is(err, ports.ErrRTMUnavailable):
		if k.unanswered++; k.unanswered >= silentAfter {
			k.silence = err
		}
	default:
		k.fault = err
	}
}

// tell sums the page up, in the order of its rows.
func (k *walk) tell(heal int) (result CheckPageResult, note ports.NoteDriftInput) {
	result.Silent = k.silence != nil
	for _, seen := range k.seen {
		switch seen.what {
		case sawNothing:
			result.Counts.Unknown++
		case sawMotion:
			result.Counts.Skipped++
		case sawBoth:
			result.Counts.Count(seen.finding.Kind)
			if !seen.finding.Kind.IsDifference() {
				note.InSync = append(note.InSync, seen.finding.GameID)
				continue
			}
			note.Found = append(note.Found, seen.finding)
			if seen.heals && len(result.Heal) < heal {
				result.Heal = append(result.Heal, Healing{
					GameID: seen.finding.GameID, PatchID: patch.NewID(seen.finding.GameID),
				})
			}
		case sawNoRow:
			// It went away meanwhile, and its findings go with the end of the pass.
		}
	}
	return result, note
}
