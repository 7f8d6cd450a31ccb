package client

import (
	"errors"
	"iter"
)

// pages walks through the items of all pages, the first of which is that of
// cursor. Each range over it begins anew. After an error, which comes with a zero
// item, there is no further one.
func pages[T any](cursor string, read func(cursor string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for at := cursor; ; {
			items, next, err := read(at)
			if err == nil && next != "" && next == at {
				// It would never end.
				err = errors.New("the API answered a page with its own cursor as the next one")
			}
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			at = next
		}
	}
}
