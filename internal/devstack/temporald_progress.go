package devstack

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

const (
	temporaldWhat = "building the Temporal server (first time only)"

	// temporaldLineEvery spaces the lines of a log: enough to see it is alive.
	temporaldLineEvery = 10 * time.Second

	// temporaldBarEvery spaces the looks of a bar, whose clock should tick.
	temporaldBarEvery = time.Second
)

// temporaldProgress reports a build: as a bar on a terminal, as a line now and
// then everywhere else.
type temporaldProgress struct {
	out     io.Writer
	started time.Time
	bar     *progressbar.ProgressBar // nil when out is no terminal
	ended   chan struct{}
	gone    sync.WaitGroup

	mu      sync.Mutex
	modules int // fetched
	total   int // packages to build; 0 = not known yet
	done    int
}

func newTemporaldProgress(out io.Writer) *temporaldProgress {
	p := &temporaldProgress{out: out, started: time.Now(), ended: make(chan struct{})}
	every := temporaldLineEvery
	if file, ok := out.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		every = temporaldBarEvery
		p.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(temporaldWhat),
			progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24))
	} else {
		fmt.Fprintln(out, temporaldWhat+", a few minutes")
	}
	p.gone.Go(func() { p.tick(every) })
	return p
}

// tick shows the state again and again until the end.
func (p *temporaldProgress) tick(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-ticker.C:
			p.show()
		}
	}
}

func (p *temporaldProgress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Describe(temporaldWhat + ": " + p.state())
		return
	}
	fmt.Fprintf(p.out, "%s: %s, %s\n", temporaldWhat, p.state(), time.Since(p.started).Round(time.Second))
}

// state is the work done, in words. Only changes of the build cache between the
// two steps can make the count pass the total.
func (p *temporaldProgress) state() string {
	switch {
	case p.total == 0 && p.modules == 0:
		return "looking what there is to do"
	case p.total == 0:
		return fmt.Sprintf("%d modules fetched", p.modules)
	case p.done >= p.total:
		return "linking"
	default:
		return fmt.Sprintf("%d/%d packages", p.done, p.total)
	}
}

// fetching takes a line of the go command while it looks for packages.
func (p *temporaldProgress) fetching(line string) {
	if !strings.HasPrefix(line, "go: downloading ") {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.modules++
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
}

// begin starts the count of packages.
func (p *temporaldProgress) begin(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = max(total, 1)
	if p.bar != nil {
		p.bar.Reset()
		p.bar.ChangeMax(p.total)
	}
}

// built takes a line of the go command while it builds: a package path, or a
// complaint that starts with something else.
func (p *temporaldProgress) built(line string) {
	if line == "" || strings.ContainsAny(line, " \t#") {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if p.bar != nil && p.done < p.total { // the last step, linking, keeps the bar open
		_ = p.bar.Add(1)
	}
}

// stop ends the report; whether the build succeeded is its caller's to say.
func (p *temporaldProgress) stop() {
	close(p.ended)
	p.gone.Wait()
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
