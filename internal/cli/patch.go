package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"galaxy/gamemaster/api"
	"galaxy/gamemaster/internal/domain/operation"
	"galaxy/gamemaster/internal/domain/patch"
)

type patchCommand struct {
	Game    string `arg:"" help:"Game to patch."`
	Version string `arg:"" help:"Engine version to move to, such as 1.4.3."`

	Server    string `help:"URL of the API." default:"http://127.0.0.1:8080" env:"GAMEMASTER_SERVER"`
	Token     string `help:"Bearer token; better given by the environment, where others do not see it." env:"GAMEMASTER_TOKEN"`
	Reason    string `help:"Reason for the audit log."`
	SourceRef string `help:"Your own reference, such as a ticket."`
	Force     bool   `help:"Recreate the container also when the game is on the version already."`
}

// Run asks for the patch, follows it, and exits 0 when it is done, 1 when it
// failed and 2 when it was refused.
func (c *patchCommand) Run(p *process) error {
	client, err := newRESTClient(c.Server, c.Token)
	if err != nil {
		return refused(err)
	}
	follower := &follower{client: client, out: p.stdout}
	patchID, err := follower.ask(p.ctx, c)
	if err == nil {
		err = follower.follow(p.ctx, patchID)
	}
	if refusedByAPI(err) {
		return refused(err)
	}
	return err
}

// follower shows a patch while it goes on.
type follower struct {
	client *restClient
	out    io.Writer
	shown  string
}

const (
	// followInterval is how often the patch is looked at: often enough to see
	// phases that last seconds, seldom enough for a hundred shells.
	followInterval = 250 * time.Millisecond
	// followFaults is how many looks in a row may fail before the command gives
	// up: a restart of the API takes seconds.
	followFaults = 40
	// askTries and askPause repeat a request that was not answered, through a
	// restart of the API; the key makes it the same request.
	askTries = 4
	askPause = time.Second
)

// maybeAsked adds the patch that may have been started although the answer did
// not say so.
func maybeAsked(err error) error {
	var problem *problemError
	if errors.As(err, &problem) && problem.Status >= http.StatusInternalServerError && problem.PatchID != "" {
		return fmt.Errorf("%w; look at GET /api/v1/internal/patches/%s", err, problem.PatchID)
	}
	return err
}

// ask sends the request and returns the patch's id.
func (f *follower) ask(ctx context.Context, c *patchCommand) (string, error) {
	body := api.PatchBody{
		Version: c.Version, SourceRef: c.SourceRef, Reason: c.Reason, Force: c.Force,
		OpSource: string(operation.OpSourceAdminCLI),
	}
	headers := map[string]string{"Prefer": "respond-async", "Idempotency-Key": rand.Text()}
	path := "/api/v1/internal/runtimes/" + url.PathEscape(c.Game) + "/patch"
	for try := 1; ; try++ {
		var accepted api.PatchAccepted
		_, err := f.client.do(ctx, restRequest{http.MethodPost, path, headers, body}, &accepted)
		if err == nil {
			fmt.Fprintf(f.out, "patch %s to %s: %s\n", c.Game, c.Version, accepted.PatchID)
			return accepted.PatchID, nil
		}
		if refusedByAPI(err) || try == askTries {
			return "", maybeAsked(err)
		}
		select {
		case <-ctx.Done():
			return "", maybeAsked(err)
		case <-time.After(askPause):
		}
	}
}

// look is the answer of GET /patches/{patch_id}, open or closed.
type look struct {
	api.PatchClosed
	Phase     patch.Phase `json:"phase"`
	Step      string      `json:"step"`
	Attempts  int         `json:"attempts"`
	LastError string      `json:"last_error"`
}

func (f *follower) follow(ctx context.Context, patchID string) error {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	faults := 0
	for {
		var seen look
		_, err := f.client.do(ctx, restRequest{method: http.MethodGet, path: "/api/v1/internal/patches/" + patchID}, &seen)
		switch {
		case err == nil && seen.State == "closed":
			return f.end(seen)
		case err == nil:
			faults = 0
			f.show(seen)
		case refusedByAPI(err) || faults == followFaults || ctx.Err() != nil:
			return fmt.Errorf("%w; the patch goes on, look at it with GET /api/v1/internal/patches/%s", err, patchID)
		default:
			faults++
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped looking; the patch goes on, look at it with GET /api/v1/internal/patches/%s", patchID)
		case <-ticker.C:
		}
	}
}

// show prints a line when something is new.
func (f *follower) show(seen look) {
	line := fmt.Sprintf("  %-14s", seen.Phase)
	if seen.Step != "" {
		line += " " + seen.Step
	}
	if seen.Attempts > 1 {
		line += fmt.Sprintf(", attempt %d", seen.Attempts)
	}
	if seen.LastError != "" {
		line += ": " + seen.LastError
	}
	if line != f.shown {
		fmt.Fprintln(f.out, line)
		f.shown = line
	}
}

// end prints how it ended, and turns a failure into the error of its exit code.
func (f *follower) end(seen look) error {
	if seen.Outcome == operation.OutcomeSuccess {
		if seen.Noop {
			fmt.Fprintf(f.out, "  done           on %s already, nothing was recreated\n", seen.To.Version)
		} else {
			fmt.Fprintf(f.out, "  done           %s -> %s (%s)\n", seen.From.Version, seen.To.Version, seen.To.ImageRef)
		}
		return nil
	}
	if seen.Undo != nil {
		fmt.Fprintf(f.out, "  undone         %s\n", seen.Undo.Sentence())
	}
	err := fmt.Errorf("%s: %s", seen.Code, seen.Message)
	if seen.Code.Closing() == patch.ClosesCompleted {
		return refused(err)
	}
	return err
}
