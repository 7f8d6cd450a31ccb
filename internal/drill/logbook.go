package drill

import (
	"strings"
	"sync"
)

const (
	// maxLog bounds what is kept of one process's log, in bytes; the oldest goes
	// first. A worker writes about 1 kB per patch, so that it holds thousands.
	maxLog = 8 << 20
	// maxTail is how much of a log an error repeats, in bytes: about a screen.
	maxTail = 4 << 10
)

// logBook keeps what a process writes.
type logBook struct {
	name string

	mu   sync.Mutex
	text []byte
	// dropped is how much was before text.
	dropped int
	changed chan struct{}
}

func newLogBook(name string) *logBook { return &logBook{name: name, changed: make(chan struct{})} }

// Write keeps the chunk. It never fails.
func (b *logBook) Write(chunk []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, chunk...)
	if over := len(b.text) - maxLog; over > 0 {
		// A quarter at once, so that not every line moves all the others.
		over += maxLog / 4
		b.text = append([]byte(nil), b.text[over:]...)
		b.dropped += over
	}
	close(b.changed)
	b.changed = make(chan struct{})
	return len(chunk), nil
}

// end returns the place behind everything that was written so far.
func (b *logBook) end() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped + len(b.text)
}

// since returns what was written from a place on, and a channel that is closed
// when there is more.
func (b *logBook) since(place int) (string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.from(place), b.changed
}

// kept returns what was written from a place on, and whether the beginning of it
// is gone.
func (b *logBook) kept(place int) (text string, truncated bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.from(place), place < b.dropped
}

// from is what is left of what was written from a place on. The caller holds mu.
func (b *logBook) from(place int) string {
	return string(b.text[min(max(place-b.dropped, 0), len(b.text)):])
}

// before returns what is left of what was written before a place.
func (b *logBook) before(place int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text[:min(max(place-b.dropped, 0), len(b.text))])
}

// tail returns the last of it.
func (b *logBook) tail(limit int) string {
	text, _ := b.since(b.end() - limit)
	return text
}

// about returns the lines in which word stands.
func (b *logBook) about(word string) string {
	text, _ := b.since(0)
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			lines.WriteString(line)
		}
	}
	return lines.String()
}
