package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
	"galaxy/gamemaster/internal/domain/runtime"
)

// started is the answer to a request for a patch, and how its end is to be
// printed.
type started struct {
	patch  client.Patch
	err    error
	asJSON bool
	// watched shows it live on a screen, and elsewhere little: its phases and its
	// end.
	watched bool
}

// follow shows a patch while it goes on and how it ended; a failure is the error
// of its exit code. JSON is of the end, or of what was seen last.
func follow(ctx context.Context, p *process, games *client.Client, s started) error {
	if s.err != nil {
		return maybeStarted(s.err)
	}
	f := &follower{out: p.stdout}
	if s.asJSON {
		f.out = io.Discard
	}
	f.view = f
	switch {
	case s.asJSON || !s.watched:
	case p.live:
		f.view = newLiveView(ctx, p)
	default:
		f.view = &phaseView{out: f.out}
	}
	seen, watchErr := f.watch(ctx, games, s.patch)
	f.view.close()
	var err error
	if s.asJSON {
		err = printJSON(p.stdout, seen)
	}
	if watchErr != nil {
		return errors.Join(watchErr, err)
	}
	return errors.Join(f.end(seen), err)
}

// view shows a patch each time that it was looked at.
type view interface {
	show(seen client.Patch)
	// close leaves what was shown last, and ends what goes on beside.
	close()
}

// follower prints what is new about a patch.
type follower struct {
	out io.Writer
	// view is the follower itself, or what shows the patch in its place.
	view  view
	shown string
}

func (f *follower) close() {}

func (f *follower) watch(ctx context.Context, games *client.Client, seen client.Patch) (client.Patch, error) {
	fmt.Fprintf(f.out, "%s of %s: %s\n", kindOf(seen), seen.GameID, seen.PatchID)
	if _, plain := f.view.(*follower); !plain && seen.RunURL != "" {
		// Whole, and only once: it is longer than most screens are wide.
		fmt.Fprintf(f.out, "  page           %s\n", printable(seen.RunURL))
	}
	if seen.State == client.StateClosed {
		return seen, nil
	}
	patchID := seen.PatchID
	for patch, err := range games.WatchPatch(ctx, patchID) {
		switch {
		case err != nil && errors.Is(err, context.Canceled):
			return seen, &exit{ExitUnavailable, fmt.Errorf("stopped looking; the patch goes on, look at it with: gamemaster patches show %s", patchID)}
		case err != nil:
			return seen, fmt.Errorf("%w; the patch goes on, look at it with: gamemaster patches show %s", err, patchID)
		case patch.State == client.StateOpen:
			f.view.show(patch)
		}
		seen = patch
		if waitsForOperator(seen) {
			// For as long as it takes; nobody is to wait for that at a prompt.
			return seen, &exit{ExitUnavailable, fmt.Errorf("patch %s waits for an operator: retry or abandon it", patchID)}
		}
	}
	return seen, nil
}

func waitsForOperator(seen client.Patch) bool {
	return seen.State == client.StateOpen && seen.Phase == string(patch.PhaseNeedsOperator)
}

// show prints a line when something is new.
func (f *follower) show(seen client.Patch) {
	line := fmt.Sprintf("  %-14s", seen.Phase)
	switch {
	case seen.Phase == "" && seen.Step == "":
		line += " no worker tells where it is; does one run?"
	case waitsForOperator(seen):
		line += " an operator has to decide"
	}
	if seen.Step != "" {
		line += " " + seen.Step
	}
	if seen.Attempts > 1 {
		line += fmt.Sprintf(", attempt %d", seen.Attempts)
	}
	if seen.LastError != "" {
		line += ": " + seen.LastError
	}
	if waitsForOperator(seen) {
		line += fmt.Sprintf("\n%17stry again: %s\n%17sgive up:   %s", "", decide("retry", seen.PatchID), "", decide("abandon", seen.PatchID))
	}
	if line = printable(line); line != f.shown {
		fmt.Fprintln(f.out, line)
		f.shown = line
	}
}

// end prints how it ended, and turns a failure into the error of its exit code.
func (f *follower) end(ended client.Patch) error {
	if ended.Outcome == client.OutcomeSuccess {
		fmt.Fprintf(f.out, "  done           %s\n", printable(done(ended)))
		return nil
	}
	if sentence := undone(ended.RunID, ended.Undo); sentence != "" {
		fmt.Fprintf(f.out, "  undone         %s\n", printable(sentence))
	}
	return endOf(ended)
}

// endOf is nil for a success, and otherwise the error of the exit code.
func endOf(ended client.Patch) error {
	if ended.Outcome == client.OutcomeSuccess {
		return nil
	}
	err := fmt.Errorf("%s: %s", ended.Code, ended.Message)
	if patch.Code(ended.Code).Closing() == patch.ClosesCompleted {
		return refused(err)
	}
	return err
}

// done tells a success.
func done(ended client.Patch) string {
	noop := ended.Noop != nil && *ended.Noop
	switch reconciled := ended.Kind == string(operation.OpKindReconcile); {
	case reconciled && noop:
		return "in line already, nothing was changed"
	case reconciled:
		return fmt.Sprintf("record and container are on %s (%s)", ended.To.Version, ended.To.ImageRef)
	case noop:
		return fmt.Sprintf("on %s already, nothing was recreated", ended.To.Version)
	}
	return fmt.Sprintf("%s -> %s (%s)", ended.From.Version, ended.To.Version, ended.To.ImageRef)
}

// undone tells the undo of a run in the words of the audit row; empty when there
// was none.
func undone(runID string, undo client.Undo) string {
	if undo.Line == "" && undo.Told == "" {
		return ""
	}
	told := patch.Undo{
		Line: patch.Line(undo.Line), RowStatus: runtime.Status(undo.RowStatus),
		Row: patch.Image{Version: undo.Row.Version, ImageRef: undo.Row.ImageRef}, Container: undo.Container, Fence: undo.Fence, Decided: undo.Decided,
		RunID: undo.RunID, Told: undo.Told,
	}
	for _, decision := range undo.Decisions {
		told.Decisions = append(told.Decisions, patch.Decision{
			Update: decision.Update, Command: patch.Command{Actor: decision.Actor, Reason: decision.Reason},
		})
	}
	return patch.Result{RunID: runID, Undo: &told}.UndoSentence()
}
