//go:build browser

package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color/palette"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// The window: wide enough for the UI to show a run's tabs in one line.
const (
	width  = 1440
	height = 900
)

// tab is a tab of the browser that shows one page.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open shows the page in a tab of its own. A test that fails leaves a picture of
// what was there.
func open(t *testing.T, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium)
	p := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			p.shot("failed_" + filepath.Base(t.Name()))
		}
		cancel()
	})
	// The first call binds the tab's life to its context.
	require.NoError(t, chromedp.Do(ctx))
	p.show(url)
	return p
}

// show goes to another page in the same tab.
func (p *tab) show(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, chromedp.Navigate(url)))
}

// await waits until the expression is true in the page, and fails the test
// with a picture and the page's text when it never is. The functions of seen may
// be called in it.
func (p *tab) await(what, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		// Not the browser's own poll, which does not outlive a page that moves on to
		// another; in between there may be nothing to evaluate in.
		met, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("(() => {"+seen+"return "+expression+" })()"))
		if err == nil && met {
			return
		}
		select {
		case <-time.After(waitTick):
		case <-ctx.Done():
			text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
			p.t.Fatalf("never saw %s: %v\n%s", what, err, text)
		}
	}
}

// seen are the functions by which an expression finds what a person sees: find
// returns the visible element that a selector means and that has the text, if
// any is given; press presses it, and says whether it was there; says tells
// whether a text is there. The UI draws Markdown in frames that are closed to its
// own page, and gives them the text in their address.
const seen = `const find = (selector, text) => [...document.querySelectorAll(selector)].find(e =>
	e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && !e.disabled &&
	(text === undefined || e.innerText.trim() === text || e.innerText.trim().startsWith(text + "\n")));
const press = (selector, text) => { const e = find(selector, text); if (e) e.click(); return !!e; };
const frames = () => [...document.querySelectorAll("iframe")].map(e => new URL(e.src || "about:blank").search);
const says = text => [document.body.innerText, ...frames().map(search => [...new URLSearchParams(search).values()].join(" "))]
	.some(shown => shown.includes(text));
`

// see waits for a text on the page.
func (p *tab) see(text string) {
	p.t.Helper()
	p.await("the text "+text, "says("+quoted(text)+")")
}

// press waits for the element that can be seen, and presses it.
func (p *tab) press(selector string, text ...string) {
	p.t.Helper()
	call := "press(" + quoted(selector)
	for _, text := range text {
		call += ", " + quoted(text)
	}
	p.await(selector+" to press", call+")")
}

// fill puts text into the field in the place of what is there, as a person would
// who types it.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	p.await(selector+" to fill", "(e => e && (e.focus(), document.execCommand('selectAll'), document.activeElement === e))(find("+quoted(selector)+"))")
	_, err := chromedp.Call(p.ctx, input.InsertText, input.InsertTextParams{Text: text})
	require.NoError(p.t, err)
}

// act opens the menu of a run's actions and presses the one with the test id.
func (p *tab) act(action string) {
	p.t.Helper()
	p.press("button", "More Actions")
	p.press("[data-testid=" + action + "]")
}

// chooseUpdate opens the form by which a run is sent an update, and chooses one;
// shot keeps a picture of what there is to choose from.
func (p *tab) chooseUpdate(name string, shot ...string) {
	p.t.Helper()
	p.act("update-button")
	p.press("[data-testid=update-select-button]")
	p.await("what "+name+" is for", "!!find('dialog[open] [role=option]', "+quoted(name)+")")
	for _, picture := range shot {
		p.shot(picture)
	}
	p.press("dialog[open] [role=option]", name)
}

// reset resets the run to a workflow task, the first or the last, once the form
// was seen.
func (p *tab) reset(task, reason, shot string) {
	p.t.Helper()
	p.press("button", "Reset")
	p.press("[data-testid=workflow-reset-event-id-select-button]")
	p.await("the events to choose from", `!!find("dialog[open] [role=option]")`)
	// The events are shown as "number - type", two of each workflow task: its start,
	// to which there is no reset where that came with the run's own, and its end.
	choose := map[string]string{"first": `.find(e => /^4\b/.test(e.innerText.trim()))`, "last": ".at(-1)"}[task]
	p.await("the task to choose", `(e => e && (e.click(), true))([...document.querySelectorAll("dialog[open] [role=option]")]`+choose+`)`)
	p.fill("#reset-reason", reason)
	if shot != "" {
		p.shot(shot)
	}
	p.press("dialog[open] [data-testid=confirm-modal-button]")
}

// pauseStep pauses the step that is under way, once Runtime Manager has failed it;
// shots keep pictures of the step, and of the form.
func (p *tab) pauseStep(reason string, shots ...string) {
	p.t.Helper()
	keep := func(i int) {
		if i < len(shots) {
			p.shot(shots[i])
		}
	}
	p.press("[data-testid=pending-activities-tab]")
	p.see("runtime manager unavailable: HTTP 503")
	keep(0)
	p.press("button", "Pause")
	p.fill("#activity-pause-reason", reason)
	keep(1)
	p.confirm()
	p.see("PAUSED")
}

// confirm presses the button that the open form ends with, and waits until the
// form is gone.
func (p *tab) confirm() {
	p.t.Helper()
	p.press("dialog[open] [data-testid=confirm-modal-button]")
	p.await("the form to close", "!find('dialog[open]')")
}

// quoted is text as an expression.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be encoded
	}
	return string(encoded)
}

// settled is true when the browser has drawn what is there by now.
const settled = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`

// shot keeps a picture of what can be seen, without the UI's own navigation and
// with few enough colours to be small.
func (p *tab) shot(name string) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](settled, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err)
	corner, err := chromedp.Run(ctx, chromedp.Evaluate[image.Point](
		`(e => e ? {X: Math.floor(e.getBoundingClientRect().left), Y: 48} : {X: 0, Y: 0})(document.querySelector("main"))`))
	require.NoError(p.t, err)
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	dir := os.Getenv("GAMEMASTER_SCREENSHOTS")
	if dir == "" {
		dir = p.t.ArtifactDir()
	}
	require.NoError(p.t, os.MkdirAll(dir, 0o755))
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), small(p.t, picture, corner), 0o644))
}

// small cuts off what is left of the corner and above it.
func small(t *testing.T, picture []byte, corner image.Point) []byte {
	decoded, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	few := image.NewPaletted(image.Rectangle{Max: decoded.Bounds().Max.Sub(corner)}, palette.Plan9)
	draw.Draw(few, few.Bounds(), decoded, corner, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few))
	return out.Bytes()
}

// foreign returns what the page loaded from anywhere but origin.
func (p *tab) foreign(origin string) []string {
	p.t.Helper()
	found, err := chromedp.Run(p.ctx, chromedp.Evaluate[[]string](
		"performance.getEntriesByType('resource').map(e => e.name).filter(name => !name.startsWith("+quoted(origin)+") && !name.startsWith('data:'))"))
	require.NoError(p.t, err)
	return found
}
