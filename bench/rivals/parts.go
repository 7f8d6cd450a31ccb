package rivals

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"galaxy/gamemaster/internal/adapters/postgres"
	"galaxy/gamemaster/internal/adapters/rtm"
	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/internal/ports"
)

// parts are the product's own adapters, put together as the product does. Their
// methods are the five steps of the specification, which every rival calls; how
// each is kept from being lost is the rival's own affair.
type parts struct {
	pool     *pgxpool.Pool
	runtimes ports.RuntimeRecordStore
	versions ports.EngineVersionStore
	log      ports.OperationLogStore
	rtm      *rtm.Client
}

// openParts reads DATABASE_URL and RTM_URL, as the product does.
func openParts(ctx context.Context) (*parts, error) {
	pool, err := postgres.Open(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	manager, err := rtm.New(rtm.Options{BaseURL: os.Getenv("RTM_URL")})
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &parts{
		pool: pool, runtimes: postgres.NewRuntimeRecords(pool), versions: postgres.NewEngineVersions(pool),
		log: postgres.NewOperationLog(pool), rtm: manager,
	}, nil
}

func (p *parts) close() {
	p.rtm.Close()
	p.pool.Close()
}

// move is a patch with what is known of it after the checks.
type move struct {
	GameID string    `json:"game_id"`
	Key    string    `json:"key"`
	Began  time.Time `json:"began"`
	// The version and the image before and after; those before are empty until
	// the record was loaded, and the image after until the version was found.
	FromVersion string `json:"from_version"`
	FromImage   string `json:"from_image"`
	ToVersion   string `json:"to_version"`
	ToImage     string `json:"to_image"`
}

func newMove(gameID, version string) move {
	return move{GameID: gameID, Key: uuid.NewString(), Began: time.Now().UTC(), ToVersion: version}
}

// errRefused says that the patch cannot be done, however often it is tried.
var errRefused = errors.New("refused")

// load is the first step: the game's record, which has to be running.
func (p *parts) load(ctx context.Context, m move) (move, error) {
	record, err := p.runtimes.Get(ctx, m.GameID)
	if errors.Is(err, runtime.ErrNotFound) {
		return m, fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return m, err
	}
	if record.Status != runtime.StatusRunning {
		return m, fmt.Errorf("%w: runtime is %s", errRefused, record.Status)
	}
	m.FromVersion, m.FromImage = record.CurrentEngineVersion, record.CurrentImageRef
	return m, nil
}

// validate is the second step: the version, which has to be active and of the
// same major and minor.
func (p *parts) validate(ctx context.Context, m move) (move, error) {
	version, err := p.versions.Get(ctx, m.ToVersion)
	if errors.Is(err, engineversion.ErrNotFound) {
		return m, fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return m, err
	}
	same, err := engineversion.IsPatchUpgrade(m.FromVersion, m.ToVersion)
	if err != nil || !same || version.Status != engineversion.StatusActive {
		return m, fmt.Errorf("%w: %s cannot follow %s", errRefused, m.ToVersion, m.FromVersion)
	}
	m.ToImage = version.ImageRef
	return m, nil
}

// recreate is the third step, and with another image its undo. The simulator
// wants a fencing number, which the clock is good enough for where nothing is
// fenced off.
func (p *parts) recreate(ctx context.Context, m move, image, key string) error {
	err := p.rtm.Patch(ctx, ports.RTMPatchInput{
		GameID: m.GameID, ImageRef: image, IdempotencyKey: key, Fence: time.Now().UnixMicro(),
	})
	if errors.Is(err, ports.ErrRTMRejected) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// update is the fourth step: the rotation by compare-and-swap on the status.
func (p *parts) update(ctx context.Context, m move) error {
	err := p.runtimes.UpdateImage(ctx, ports.UpdateImageInput{
		GameID: m.GameID, ExpectedStatus: runtime.StatusRunning,
		CurrentImageRef: m.ToImage, CurrentEngineVersion: m.ToVersion, Now: time.Now().UTC(),
	})
	if errors.Is(err, runtime.ErrConflict) || errors.Is(err, runtime.ErrNotFound) {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return err
}

// audit is the last step: the row of the log, of a failure when there is one. It
// is written once for a key, however often it is tried.
func (p *parts) audit(ctx context.Context, m move, failure string) error {
	finished := time.Now().UTC()
	entry := operation.OperationEntry{
		GameID: m.GameID, OpKind: operation.OpKindPatch, OpSource: operation.OpSourceAdminRest,
		Outcome: operation.OutcomeSuccess, StartedAt: m.Began, FinishedAt: &finished, PatchID: m.Key, RunID: m.Key,
		FromVersion: m.FromVersion, FromImageRef: m.FromImage, ToVersion: m.ToVersion, ToImageRef: m.ToImage,
	}
	if failure != "" {
		entry.Outcome, entry.ErrorCode, entry.ErrorMessage = operation.OutcomeFailure, "service_unavailable", failure
	}
	_, err := p.log.Append(ctx, entry)
	return err
}

// answer tells of a move that was done.
func (m move) answer() Answer {
	return Answer{Outcome: success, FromVersion: m.FromVersion, ToVersion: m.ToVersion}
}
