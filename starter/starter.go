// Package starter starts, joins, awaits and looks at patches. It is the only
// place that knows Temporal's start options.
package starter

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/workflows"
)

// AuditLog is where a patch is found that Temporal has forgotten.
type AuditLog interface {
	// ListByPatch returns the entries of patchID, one per run, newest first.
	ListByPatch(ctx context.Context, patchID string) ([]operation.OperationEntry, error)
}

// Options of a [Starter].
type Options struct {
	// Client is connected to the namespace of the patches; required.
	Client client.Client
	// AuditLog is required.
	AuditLog AuditLog
	// TaskQueue is where the workers poll; empty means [workflows.TaskQueue].
	TaskQueue string
	// Budgets go into every run that is started; zero fields mean the defaults.
	Budgets patch.Budgets
}

// Starter starts and reads patches. It is safe for concurrent use.
type Starter struct {
	client    client.Client
	log       AuditLog
	taskQueue string
	budgets   patch.Budgets
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
	return &Starter{
		client: options.Client, log: options.AuditLog,
		taskQueue: options.TaskQueue, budgets: options.Budgets.OrDefaults(),
	}, nil
}

// startTries bounds the race against open runs that close between the refused
// start and the look at them: each try loses only to another run that ended in
// that moment.
const startTries = 5

// Start starts the patch, or joins the game's open one when that is on its way
// to the same version. A request with force joins only a run with force,
// because the other one may find nothing to do; a request with an expected
// version joins only a run that expects the same.
//
// Starting the same patch id again returns its run, open or closed, and starts
// none, for as long as no other patch of the game came after it: Temporal keeps
// the request ids of a game's latest run, and the patch id is one. That takes a
// client that was made with [DialOptions]. With any other the SDK makes up a
// request id for each call: the open run is still joined, but a patch id whose
// run has closed is carried out a second time.
//
// It returns a [*patch.Refusal] with patch_in_progress when the game's open
// patch is another one, and with service_unavailable when Temporal cannot say.
func (s *Starter) Start(ctx context.Context, request patch.Request) (patch.Handle, error) {
	ctx = withRequestID(ctx, request.PatchID)
	for range startTries {
		run, err := s.client.ExecuteWorkflow(ctx, s.startOptions(request), workflows.PatchRuntimeType,
			workflows.Input{Request: request, Budgets: s.budgets})
		if err == nil {
			return patch.Handle{
				PatchID: request.PatchID, GameID: request.GameID, WorkflowID: run.GetID(), RunID: run.GetRunID(),
			}, nil
		}
		var started *serviceerror.WorkflowExecutionAlreadyStarted
		if !errors.As(err, &started) {
			return patch.Handle{}, notStarted(ctx, request, err)
		}
		handle, err := s.join(ctx, request, started.RunId)
		if !errors.Is(err, errClosed) {
			return handle, err
		}
	}
	return patch.Handle{}, &patch.Refusal{
		Code:    patch.CodeServiceUnavailable,
		Message: "the game's patches end faster than this one can start, try again",
	}
}

func (s *Starter) startOptions(request patch.Request) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:        patch.WorkflowID(request.GameID),
		TaskQueue: s.taskQueue,
		// No execution timeout: a run that waits for an operator must not
		// vanish.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		Memo:                                     memo(request),
		TypedSearchAttributes:                    workflows.Attributes(request),
		StaticSummary:                            summary(request),
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

// maxSummary is Temporal's bound on a static summary, in bytes.
const maxSummary = 200

func summary(request patch.Request) string {
	return patch.Truncate(fmt.Sprintf("patch %s to %s (%s)",
		request.GameID, request.Version, request.OpSource.OrDefault()), maxSummary)
}

// errClosed says that the run that stood in the way is closed by now.
var errClosed = errors.New("run is closed")

// join returns the handle of the open run, if request may share its result.
func (s *Starter) join(ctx context.Context, request patch.Request, runID string) (patch.Handle, error) {
	open, err := s.describe(ctx, patch.WorkflowID(request.GameID), runID)
	if errors.Is(err, patch.ErrNotFound) || (err == nil && !open.isOpen()) {
		return patch.Handle{}, errClosed
	}
	if err != nil {
		return patch.Handle{}, unavailable(ctx, "look at the open patch", err)
	}
	if open.serves(request) {
		handle := open.handle
		handle.Joined = true
		return handle, nil
	}
	if _, err := engineversion.ParseSemver(request.Version); err != nil {
		// It would be refused whatever is open; better told why.
		return patch.Handle{}, request.Validate()
	}
	return patch.Handle{}, &patch.Refusal{
		Code: patch.CodePatchInProgress,
		Message: fmt.Sprintf("patch %s of this game to version %q %s force%s is open, wait for its end",
			open.handle.PatchID, open.version, withOrWithout(open.force), expecting(open.expected)),
		PatchID: open.handle.PatchID,
	}
}

func withOrWithout(force bool) string {
	if force {
		return "with"
	}
	return "without"
}

func expecting(version string) string {
	if version == "" {
		return ""
	}
	return fmt.Sprintf(", from %q", version)
}

// notStarted is the refusal of a start that failed. Temporal's own refusal, such
// as of a search attribute that the namespace does not have, started nothing.
func notStarted(ctx context.Context, request patch.Request, err error) error {
	refusal := unavailable(ctx, "start the patch", err)
	var invalid *serviceerror.InvalidArgument
	var nowhere *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	if errors.As(err, &invalid) || errors.As(err, &nowhere) || errors.As(err, &denied) {
		return refusal
	}
	return maybeStarted(request, refusal)
}

// maybeStarted names the request's own patch in a refusal: a start without an
// answer may have taken place.
func maybeStarted(request patch.Request, err error) error {
	var refusal *patch.Refusal
	if errors.As(err, &refusal) {
		refusal.PatchID = request.PatchID
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
