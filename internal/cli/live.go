package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"galaxy/gamemaster/client"
)

// phaseView prints one line for each phase, for who reads it later.
type phaseView struct {
	out   io.Writer
	shown string
}

func (v *phaseView) show(seen client.Patch) {
	if seen.Phase == "" || seen.Phase == v.shown {
		return
	}
	v.shown = seen.Phase
	fmt.Fprintln(v.out, printable(strings.TrimRight(fmt.Sprintf("  %-14s %s", seen.Phase, seen.Doing), " ")))
}

func (v *phaseView) close() {}

// drawEvery is from one frame to the next while nothing is heard: seconds are
// what is told.
const drawEvery = time.Second

// liveView draws one patch in place: the phases that it has passed, and what it
// does or waits for now, with its times going on.
type liveView struct {
	p      *process
	stop   context.CancelFunc
	ended  chan struct{}
	mu     sync.Mutex
	screen screen
	seen   client.Patch
	// passed are the lines of the phases before, and since when the one of now was
	// seen.
	passed []string
	since  time.Time
}

func newLiveView(ctx context.Context, p *process) *liveView {
	ctx, stop := context.WithCancel(ctx)
	v := &liveView{p: p, stop: stop, ended: make(chan struct{}), screen: screen{out: p.stdout}}
	go v.goOn(ctx)
	return v
}

// goOn draws the times anew.
func (v *liveView) goOn(ctx context.Context) {
	defer close(v.ended)
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			v.mu.Lock()
			v.draw()
			v.mu.Unlock()
		}
	}
}

func (v *liveView) show(seen client.Patch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := time.Now(); seen.Phase != v.seen.Phase {
		if v.seen.Phase != "" {
			v.pass(now)
		}
		v.since = now
	}
	v.seen = seen
	v.draw()
}

// close leaves the phases and what each took; of a patch that waits for an
// operator, what is to be done.
func (v *liveView) close() {
	v.stop()
	<-v.ended
	if v.seen.Phase == "" || waitsForOperator(v.seen) {
		return
	}
	v.pass(time.Now())
	v.screen.draw(v.p.fit(v.passed))
}

// pass notes that the phase of now is over.
func (v *liveView) pass(now time.Time) {
	v.passed = append(v.passed, fmt.Sprintf("  %-14s %s", phaseOrNone(v.seen), forHowLong(now.Sub(v.since))))
}

// maxPassed is how many phases before are shown: all of a patch that nobody has
// to decide about.
const maxPassed = 6

func (v *liveView) draw() {
	if v.seen.PatchID == "" {
		return
	}
	v.p.drawing.Store(true)
	columns, _ := v.p.extent()
	lines := append(slices.Clone(v.passed[max(len(v.passed)-maxPassed, 0):]), motion(v.seen, time.Now(), columns)...)
	v.screen.draw(v.p.fit(lines))
}

// titled is a text of others with a title ahead of it, broken between words into
// lines of that many columns; what does not fit in the most lines is cut. Without
// a text there is none.
func titled(title, told string, columns, most int) []string {
	if told == "" {
		return nil
	}
	// Of a terminal that has no room for both, the text is cut by who fits it.
	room := max(columns-len(title), len(title))
	words := strings.Split(text.WrapSoft(plain(told), room), "\n")
	if len(words) > most {
		words = append(words[:most-1:most-1], text.Snip(strings.TrimRight(words[most-1], " ")+" …", room, "…"))
	}
	for i, line := range words {
		words[i] = strings.TrimRight(title+line, " ")
		title = strings.Repeat(" ", len(title))
	}
	return words
}

// fit cuts lines to what the screen has room for.
func (p *process) fit(lines []string) []string {
	columns, rows := p.extent()
	fitting := make([]string, 0, min(len(lines), rows))
	for _, line := range lines[:min(len(lines), rows)] {
		fitting = append(fitting, text.Snip(line, columns, "…"))
	}
	return fitting
}

// motionLines is how many lines one of the texts about a patch may take: all of
// the longest on a terminal of 80 columns.
const motionLines = 5

// motion tells where an open patch is, in lines of that many columns: what it
// does, how often it was tried, for how long, and for what it waits.
func motion(seen client.Patch, now time.Time, columns int) []string {
	head := fmt.Sprintf("  %-14s %s", phaseOrNone(seen), plain(seen.Doing))
	if seen.Step != "" {
		head += " (" + plain(seen.Step) + ")"
	}
	if seen.Attempts > 0 {
		head += fmt.Sprintf(", attempt %d", seen.Attempts)
	}
	lines := []string{strings.TrimRight(head, " ")}
	add := func(name, told string) {
		lines = append(lines, titled(fmt.Sprintf("    %-12s ", name), told, columns, motionLines)...)
	}
	add("for", times(seen, now))
	add("waits for", waitsFor(seen, now))
	if waitsForOperator(seen) {
		add("try again", decide("retry", seen.PatchID))
		add("give up", decide("abandon", seen.PatchID))
	}
	add("asked", askedBy(seen, now))
	return lines
}

// maxPlain bounds a text of others in a frame, in characters: what the widest
// screens show.
const maxPlain = 300

// plain is a text of others in a frame: one line that cannot move the cursor.
func plain(told string) string { return cell(told, maxPlain) }

func phaseOrNone(seen client.Patch) string { return plain(cmp.Or(seen.Phase, "open")) }

// times tells for how long the step or the wait goes on, and how long it may.
func times(seen client.Patch, now time.Time) string {
	if seen.Since.IsZero() {
		return ""
	}
	told := forHowLong(now.Sub(seen.Since))
	if !seen.Until.IsZero() {
		told += ", " + forHowLong(seen.Until.Sub(now)) + " more at most"
	}
	return told
}

// waitsFor is the reason of a wait, empty when nothing is waited for.
func waitsFor(seen client.Patch, now time.Time) string {
	told := seen.LastError
	if told == "" && seen.Phase == "" && seen.Step == "" {
		told = "a worker that tells where it is; does one run?"
	}
	if seen.NextAttemptAt.IsZero() {
		return told
	}
	// Ahead of the error, which may be longer than the line.
	return strings.TrimSuffix("next try in "+forHowLong(seen.NextAttemptAt.Sub(now))+": "+told, ": ")
}

func askedBy(seen client.Patch, now time.Time) string {
	if seen.StartedAt.IsZero() {
		return ""
	}
	told := forHowLong(now.Sub(seen.StartedAt)) + " ago"
	if seen.Actor != "" {
		told += " by " + seen.Actor
	}
	return told
}

// forHowLong is a time in seconds; clocks of two machines that differ make none
// negative.
func forHowLong(d time.Duration) string { return max(d.Round(time.Second), 0).String() }
