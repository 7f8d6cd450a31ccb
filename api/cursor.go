package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"
)

// cursor is a place in a list, as it travels in next_cursor: base64url of JSON.
// It is opaque to callers and says nothing that the page did not; whoever makes
// one up gets a place in the same list.
type cursor struct {
	// Time, Key and ID are the last row's: the instant it is sorted by, the game
	// id, and the id of an audit row or a finding.
	Time time.Time `json:"t,omitzero"`
	Key  string    `json:"k,omitempty"`
	ID   int64     `json:"i,omitempty"`
	// Page is Temporal's own token.
	Page []byte `json:"p,omitempty"`
	// List is the list that the place is in: places of another one would be
	// understood, and end it early.
	List string `json:"l"`
}

// The lists that have places.
const (
	listRuntimes   = "runtimes"
	listDue        = "due"
	listOperations = "operations"
	listOpen       = "open"
	listDrift      = "drift"
)

// encodeCursor returns c as text.
func encodeCursor(c cursor) string {
	encoded, err := json.Marshal(c)
	if err != nil {
		// Only a year of five digits in a row gets here.
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

var errCursor = errors.New("cannot be read, want the next_cursor of the page before")

// maxCursor bounds a cursor, in bytes; the contract has the same bound.
const maxCursor = 2048

// decodeCursor reads what encodeCursor wrote.
func decodeCursor(text string) (cursor, error) {
	if len(text) > maxCursor {
		return cursor{}, errCursor
	}
	encoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return cursor{}, errCursor
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	var c cursor
	if err := decoder.Decode(&c); err != nil {
		return cursor{}, errCursor
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) || !utf8.ValidString(c.Key) || bytes.ContainsRune([]byte(c.Key), 0) {
		return cursor{}, errCursor
	}
	return c, nil
}

// placeOf reads the cursor of a request for a list; nil asks for the first page.
// fits says whether the cursor has what the list is sorted by.
func placeOf(text, list string, fits func(cursor) bool) (*cursor, *problem) {
	if text == "" {
		return nil, nil
	}
	c, err := decodeCursor(text)
	if err != nil || c.List != list || !fits(c) {
		return nil, mend("cursor", errCursor.Error())
	}
	return &c, nil
}

func timeAndKey(c cursor) bool { return !c.Time.IsZero() && c.Key != "" && c.ID == 0 && c.Page == nil }
func timeAndID(c cursor) bool  { return !c.Time.IsZero() && c.ID > 0 && c.Key == "" && c.Page == nil }
func onlyID(c cursor) bool     { return c.ID > 0 && c.Time.IsZero() && c.Key == "" && c.Page == nil }
func pageToken(c cursor) bool  { return len(c.Page) > 0 && c.Time.IsZero() && c.Key == "" && c.ID == 0 }

// maxPage is the largest page, as the contract has it.
const maxPage = 1000

// defaultPage is the page of a caller who asks for no size: what fits on a few
// screens.
const defaultPage = 100

// pageSize returns the limit of a request.
func pageSize(limit int) int {
	if limit == 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// cut returns at most limit rows, and whether there are more: who reads a page
// asks for one row more than it shows.
func cut[T any](rows []T, limit int) (page []T, more bool) {
	if len(rows) <= limit {
		return rows, false
	}
	return rows[:limit], true
}
