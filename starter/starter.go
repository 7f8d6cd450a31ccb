// Package starter starts, joins, awaits, looks at and steers patches and
// reconciliations. It is the only place that knows Temporal's start options.
package starter

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
	"galaxy/gamemaster/workflows"
)

// AuditLog is where a patch is found that Temporal has forgotten.
type AuditLog interface {
	// ListByPatch returns the entries of patchID, one per run, newest first.
	ListByPatch(ctx context.Context, patchID string) ([]operation.OperationEntry, error)
}

// Outcomes hears of audit rows as they are committed, which is before their runs
// close.
type Outcomes interface {
	// Await waits until the audit row of a run is committed; false when ctx ends
	// first, and at once when nothing can be heard.
	Await(ctx context.Context, runID string) bool
	// Heard reports whether that of a run was heard of lately.
	Heard(runID string) bool
	// Success returns the row of a run that did its patch and undid nothing, and
	// the record while that is where the row says, or [patch.ErrNotFound].
	Success(ctx context.Context, patchID, runID string) (operation.OperationEntry, runtime.RuntimeRecord, error)
}

// Options of a [Starter].
type Options struct {
	// Client is connected to the namespace of the patches; required.
	Client client.Client
	// AuditLog is required.
	AuditLog AuditLog
	// Outcomes lets a patch that went well be answered before its run has closed;
	// without it, Temporal is waited for.
	Outcomes Outcomes
	// TaskQueue is where the workers poll; empty means [workflows.TaskQueue].
	TaskQueue string
	// Budgets go into every run that is started; zero fields mean the defaults.
	Budgets patch.Budgets
	// Eager asks for the first task of each run with the answer to its start, for a
	// worker on the same client. The client has to have been answered once before it
	// is shared: the SDK reads what the server is capable of without its lock there.
	Eager bool
}

// Starter starts, reads and steers patches. It is safe for concurrent use.
type Starter struct {
	client    client.Client
	log       AuditLog
	outcomes  Outcomes
	taskQueue string
	budgets   patch.Budgets
	eager     bool
}

// New returns a Starter, or an error that names the option at fault.
func New(options Options) (*Starter, error) {
	if options.Client == nil {
		return nil, errors.New("new starter: nil client")
	}
	if options.AuditLog == nil {
		return nil, errors.New("new starter: nil audit log")
	}
	if err := options.Budgets.Validate(); err != nil {
		return nil, fmt.Errorf("new starter: %w", err)
	}
	if options.TaskQueue == "" {
		options.TaskQueue = workflows.TaskQueue
	}
	if options.Outcomes == nil {
		options.Outcomes = silence{}
	}
	return &Starter{
		client: options.Client, log: options.AuditLog, outcomes: options.Outcomes,
		taskQueue: options.TaskQueue, budgets: options.Budgets.OrDefaults(), eager: options.Eager,
	}, nil
}

// Start starts the patch, or joins the game's open one when that is on its way
// to the same version. A request with force joins only a run with force,
// because the other one may find nothing to do; a request with an expected
// version joins only a run that expects the same. A run that it joins, and that
// waits for an operator, is told to try again, since to ask for the version
// once more is to decide just that; see [Starter.Retry].
//
// Starting the same patch id again returns its run, open or closed, and starts
// none, for as long as no other patch of the game came after it: Temporal keeps
// the request ids of a game's latest run, and the patch id is one. That takes a
// client that was made with [DialOptions]. With any other the SDK makes up a
// request id for each call: the open run is still joined, but a patch id whose
// run has closed is carried out a second time. A repeat of a patch id is no new
// decision: the run that it leads to is not told to try again once more.
//
// It returns a [*patch.Refusal] with patch_in_progress when another patch or a
// reconciliation of the game is open, and with service_unavailable when Temporal
// cannot say, or when the run that it should join could not be told to try
// again.
func (s *Starter) Start(ctx context.Context, request patch.Request) (patch.Handle, error) {
	options := s.options(request.GameID)
	options.Memo = memo(request)
	options.TypedSearchAttributes = workflows.Attributes(request)
	options.StaticSummary, options.StaticDetails = request.Summary(), request.Details(s.budgets)
	return s.begin(ctx, beginning{
		patchID: request.PatchID, gameID: request.GameID, options: options,
		workflow: workflows.PatchRuntimeType, input: workflows.Input{Request: request, Budgets: s.budgets},
		join: func(ctx context.Context, open described) (patch.Handle, error) { return s.join(ctx, request, open) },
	})
}

// beginning is a run that is about to be started.
type beginning struct {
	patchID, gameID string
	options         client.StartWorkflowOptions
	workflow        string
	input           any
	// join returns the handle of the open run, if it serves as well, errClosed
	// when it has closed meanwhile, or a [*patch.Refusal].
	join func(ctx context.Context, open described) (patch.Handle, error)
}

// errClosed says that the run that stood in the way is closed by now.
var errClosed = errors.New("run is closed")

// startTries bounds the race against open runs that close between the refused
// start and the look at them: each try loses only to another run that ended in
// that moment.
const startTries = 5

// begin starts the run, or joins the one that stands in its way.
func (s *Starter) begin(ctx context.Context, b beginning) (patch.Handle, error) {
	ctx, starting := withStarting(ctx, b.patchID)
	for range startTries {
		run, err := s.client.ExecuteWorkflow(ctx, b.options, b.workflow, b.input)
		if err == nil {
			return patch.Handle{
				PatchID: b.patchID, GameID: b.gameID, WorkflowID: run.GetID(), RunID: run.GetRunID(), Begun: starting.begun,
			}, nil
		}
		var started *serviceerror.WorkflowExecutionAlreadyStarted
		if !errors.As(err, &started) {
			return patch.Handle{}, notStarted(ctx, b.patchID, err)
		}
		handle, err := s.joinRun(ctx, b, started.RunId)
		if !errors.Is(err, errClosed) {
			return handle, err
		}
	}
	return patch.Handle{}, &patch.Refusal{
		Code:    patch.CodeServiceUnavailable,
		Message: "the game's patches end faster than this one can start, try again",
	}
}

// joinRun looks at the run that stood in the way, and has b join it.
func (s *Starter) joinRun(ctx context.Context, b beginning, runID string) (patch.Handle, error) {
	open, err := s.describe(ctx, b.options.ID, runID)
	if errors.Is(err, patch.ErrNotFound) || (err == nil && !open.isOpen()) {
		return patch.Handle{}, errClosed
	}
	if err != nil {
		return patch.Handle{}, unavailable(ctx, "look at the open patch", err)
	}
	return b.join(ctx, open)
}

// options are those that keep a game to one open run, whatever it does.
func (s *Starter) options(gameID string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:               patch.WorkflowID(gameID),
		TaskQueue:        s.taskQueue,
		EnableEagerStart: s.eager,
		// No execution timeout: a run that waits for an operator must not
		// vanish.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}
}

func memo(request patch.Request) map[string]any {
	fields := map[string]any{
		workflows.MemoPatchID: request.PatchID,
		workflows.MemoVersion: request.Version,
		workflows.MemoForce:   request.Force,
	}
	if request.ExpectedVersion != "" {
		fields[workflows.MemoExpectedVersion] = request.ExpectedVersion
	}
	if request.Actor != "" {
		fields[workflows.MemoActor] = request.Actor
	}
	return fields
}

// notStarted is the refusal of a start that failed. Temporal's own refusal, such
// as of a search attribute that the namespace does not have, started nothing.
func notStarted(ctx context.Context, patchID string, err error) error {
	refusal := unavailable(ctx, "start the run", err)
	var invalid *serviceerror.InvalidArgument
	var nowhere *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	if errors.As(err, &invalid) || errors.As(err, &nowhere) || errors.As(err, &denied) {
		return refusal
	}
	return maybeStarted(patchID, refusal)
}

// maybeStarted names the request's own patch in a refusal: a start without an
// answer may have taken place.
func maybeStarted(patchID string, err error) error {
	var refusal *patch.Refusal
	if errors.As(err, &refusal) {
		refusal.PatchID = patchID
	}
	return err
}

// unavailable turns an error of Temporal into a refusal. The caller's own
// cancellation stays what it is.
func unavailable(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &patch.Refusal{
		Code:    patch.CodeServiceUnavailable,
		Message: fmt.Sprintf("cannot %s: Temporal answered: %s", what, err),
	}
}
