package auth

import (
	"errors"
	"fmt"
	"strings"
)

// maxFaults bounds the length of an error: nobody mends more at once.
const maxFaults = 100

// faults collects what is wrong with a policy, each with its place.
type faults struct {
	list  []string
	seen  map[string]bool
	count int
}

// at notes what is wanted at a place. Only the first fault of a place and of
// what is inside it counts: what could not be read is not found missing as well.
func (f *faults) at(place, format string, args ...any) {
	for outer := place; outer != ""; outer = outer[:max(0, strings.LastIndexAny(outer, ".["))] {
		if f.seen[outer] {
			return
		}
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[place] = true
	f.add(place + ": " + fmt.Sprintf(format, args...))
}

// add notes a fault that leaves others of its place to be told.
func (f *faults) add(text string) {
	if f.count++; f.count <= maxFaults {
		f.list = append(f.list, text)
	}
}

// err returns all faults as one error, a line each, or nil.
func (f *faults) err() error {
	if f.count == 0 {
		return nil
	}
	text := strings.Join(f.list, "\n")
	if more := f.count - len(f.list); more > 0 {
		text += fmt.Sprintf("\nand %d more", more)
	}
	return errors.New(text)
}
