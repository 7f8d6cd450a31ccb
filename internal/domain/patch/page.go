package patch

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Page is what a run tells of itself to the operator who opens it in Temporal's
// UI: in ten seconds what happens, why it waits and what may be done. It is
// plain data, so that the same run always tells the same.
type Page struct {
	// Reconciles says that the run is a reconciliation.
	Reconciles bool
	State      State
	Budgets    Budgets
	// Because is the failure that the container is put back for; empty while
	// there is none.
	Because string
	// Steps are those that have ended, the last [MaxSteps] of them, and More how
	// many there were before.
	Steps []Step
	More  int
	// Result is set at the end.
	Result *Result
	// fresh says that the tries of the last step are not known yet.
	fresh bool
}

// Step is one step that has ended.
type Step struct {
	Name string
	// Doing is its summary.
	Doing        string
	Began, Ended time.Time
	// Attempts is zero when nobody counted them.
	Attempts int
	// Failure is empty when it succeeded.
	Failure string
}

const (
	// MaxSteps is how many steps a page tells: a run without an operator has six,
	// and one that was retried for days should still be read at once.
	MaxSteps = 12

	// maxQuoted bounds a text of others on the page, in bytes.
	maxQuoted = 300

	// pageTime is how the page tells times, which are all in UTC.
	pageTime = "2006-01-02 15:04:05 UTC"
)

// Begin has the state tell what the run does now, or waits for when step is
// empty, and until when at the latest; a budget of zero is no bound.
func (page *Page) Begin(step, doing string, now time.Time, budget time.Duration) {
	page.State.Step, page.State.Doing, page.State.Attempts = step, doing, 0
	page.State.Since, page.State.Until = now.UTC(), time.Time{}
	if budget > 0 {
		page.State.Until = page.State.Since.Add(budget)
	}
}

// End keeps the step that was begun last.
func (page *Page) End(now time.Time) {
	page.Steps = append(page.Steps, Step{
		Name: page.State.Step, Doing: page.State.Doing, Began: page.State.Since, Ended: now.UTC(),
	})
	if over := len(page.Steps) - MaxSteps; over > 0 {
		page.Steps, page.More = page.Steps[over:], page.More+over
	}
	page.State.Until = time.Time{}
	page.fresh = true
}

// Tried completes the step that has just ended, once; failure is empty when it
// succeeded. A step that was not begun on the page is not told.
func (page *Page) Tried(attempts int, failure string) {
	page.State.Attempts = attempts
	if page.fresh {
		last := &page.Steps[len(page.Steps)-1]
		last.Attempts, last.Failure = attempts, failure
	}
	page.fresh = false
}

// Uncounted leaves the tries of the step that has just ended untold: what comes
// next under its name is another try of another kind.
func (page *Page) Uncounted() { page.fresh = false }

// Markdown is the text of the page: no tables, whose cells the UI runs into each
// other, and no images, which it does not show.
func (page Page) Markdown() string {
	var b strings.Builder
	if page.Result != nil {
		page.tellEnd(&b)
	} else {
		page.tellNow(&b)
	}
	page.tellSteps(&b)
	return b.String()
}

// titles say in a word or two where a run is.
var titles = map[Phase]string{
	PhaseValidating:    "Validating",
	PhasePatching:      "Patching",
	PhaseRecording:     "Recording",
	PhaseCompensating:  "Putting the container back",
	PhaseNeedsOperator: "Waiting for an operator",
	PhaseAuditing:      "Writing the audit row",
}

func (page Page) tellNow(b *strings.Builder) {
	state := page.State
	title := titles[state.Phase]
	if page.Reconciles && state.Phase == PhaseCompensating {
		title = "Reconciling"
	}
	b.WriteString("**" + title + ":** game " + Quoted(state.GameID))
	if move := page.move(); move != "" {
		b.WriteString(", " + move)
	}
	b.WriteString("\n\n")
	if state.Doing != "" {
		line(b, "Now", page.doing())
		line(b, "Since", state.Since.Format(pageTime)+page.until())
	}
	if page.Because != "" {
		line(b, "Because", Quoted(page.Because))
	}
	if state.Phase == PhaseNeedsOperator && state.LastError != "" {
		line(b, "The undo failed with", Quoted(state.LastError))
	}
	told := page.advice()
	line(b, "Do", told.do)
	line(b, "Leave alone", told.leave)
	line(b, "Next", told.next)
}

// move is where the game goes.
func (page Page) move() string {
	from, to := page.State.From.Version, page.State.To.Version
	switch {
	case page.Reconciles:
		return ""
	case from == "":
		return "to " + Quoted(to)
	}
	return "from " + Quoted(from) + " to " + Quoted(to)
}

// doing tells the step, and where its attempts are: a workflow learns of them
// only when the step ends.
func (page Page) doing() string {
	if page.State.Step == "" {
		return Quoted(page.State.Doing)
	}
	return fmt.Sprintf("%s (step %s); its attempts, last error and next try are on the tab *Pending Activities*",
		Quoted(page.State.Doing), Quoted(page.State.Step))
}

// until tells when what is done now is given up at the latest. A step that an
// operator paused does not end before it is unpaused, of which a workflow learns
// nothing.
func (page Page) until() string {
	switch state := page.State; {
	case !state.Until.IsZero() && state.Step != "":
		return ", until " + state.Until.Format(pageTime) + " at the latest, unless it is paused"
	case !state.Until.IsZero():
		return ", until " + state.Until.Format(pageTime) + " at the latest"
	case state.Phase == PhaseAuditing, state.Phase == PhaseNeedsOperator:
		return ", for as long as it takes"
	}
	return ""
}

// tellEnd tells how the run ended.
func (page Page) tellEnd(b *strings.Builder) {
	result := *page.Result
	b.WriteString(page.ending() + "\n\n")
	if !result.IsSuccess() {
		line(b, "Because", Quoted(result.Message))
	}
	if result.Undo != nil {
		line(b, "What was undone", Quoted(result.UndoSentence()))
	}
	line(b, "Do", page.afterwards())
	line(b, "Took", result.FinishedAt.Sub(result.StartedAt).Round(time.Millisecond).String()+
		", until "+result.FinishedAt.UTC().Format(pageTime))
}

// ending is how the run ended, in one line. It tells what was, and not what is:
// a run that a reset gave its end only may come long after what it tells.
func (page Page) ending() string {
	result := *page.Result
	game, from, to := Quoted(result.GameID), Quoted(result.From.Version), Quoted(result.To.Version)
	switch {
	case !result.IsSuccess():
		return fmt.Sprintf("**%s:** game %s, code %s", endings[result.Code.Closing()], game, Quoted(string(result.Code)))
	case page.Reconciles && result.Noop:
		return fmt.Sprintf("**Done:** record and container of %s were in line already", game)
	case page.Reconciles:
		return fmt.Sprintf("**Done:** record and container of %s are on %s", game, to)
	case result.Noop && result.From != result.To:
		return fmt.Sprintf("**Done:** the run before the reset had moved %s from %s to %s; this run changed nothing", game, from, to)
	case result.Noop:
		return fmt.Sprintf("**Done:** %s was on %s already; this run changed nothing", game, to)
	}
	return fmt.Sprintf("**Done:** %s moved from %s to %s", game, from, to)
}

var endings = map[Closing]string{
	ClosesCompleted: "Refused", ClosesCanceled: "Cancelled", ClosesFailed: "Failed",
}

func (page Page) tellSteps(b *strings.Builder) {
	if len(page.Steps) == 0 {
		return
	}
	b.WriteString("\n**Done so far**\n\n")
	if page.More > 0 {
		b.WriteString("- " + strconv.Itoa(page.More) + " steps before\n")
	}
	for _, step := range page.Steps {
		took := step.Ended.Sub(step.Began).Round(time.Millisecond)
		b.WriteString("- " + step.Began.Format(time.TimeOnly) + " " + Quoted(step.Doing) + " (" + step.Name + "): " + took.String())
		if step.Attempts > 0 {
			b.WriteString(", attempts: " + strconv.Itoa(step.Attempts))
		}
		if step.Failure != "" {
			b.WriteString(", failed: " + Quoted(step.Failure))
		}
		b.WriteString("\n")
	}
}

func line(b *strings.Builder, name, text string) {
	if text != "" {
		b.WriteString("- **" + name + ":** " + text + "\n")
	}
}

// Quoted makes a text of others fit for Markdown: as code it can hold neither a
// link nor a heading that an operator would take for ours.
func Quoted(text string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r == '`':
			return '\''
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if cut := Truncate(plain, maxQuoted); cut != plain {
		plain = cut + "…"
	}
	if strings.TrimSpace(plain) == "" {
		return "(empty)"
	}
	return "`" + plain + "`"
}
