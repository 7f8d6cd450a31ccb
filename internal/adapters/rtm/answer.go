package rtm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"galaxy/gamemaster/internal/ports"
)

const (
	// maxText bounds a code, a message or a status of Runtime Manager, in
	// bytes: they go to logs, histories and audit rows.
	maxText = 200

	// maxImageRef bounds an image reference, in bytes: name, tag and digest
	// together stay under 500.
	maxImageRef = 1024

	// maxRetryAfter bounds what Runtime Manager may ask for: an hour by mistake
	// must not hold a game for an hour. A pause that outlasts the budget of the
	// step that waits ends the step at once.
	maxRetryAfter = 5 * time.Minute
)

// kinds and exceptions are the one table that tells permanent from transient.
// By class: a redirect or a refusal stays what it is, a broken server may
// recover.
var kinds = map[int]error{
	2: nil,
	3: ports.ErrRTMRejected,
	4: ports.ErrRTMRejected,
	5: ports.ErrRTMUnavailable,
}

var exceptions = map[int]error{
	http.StatusRequestTimeout:          ports.ErrRTMUnavailable,
	http.StatusTooEarly:                ports.ErrRTMUnavailable,
	http.StatusTooManyRequests:         ports.ErrRTMUnavailable,
	http.StatusNotImplemented:          ports.ErrRTMRejected,
	http.StatusHTTPVersionNotSupported: ports.ErrRTMRejected,
}

// verdict returns nil for 2xx and otherwise the sentinel of the status. A
// status that HTTP does not know proves nothing, so it counts as no answer.
func verdict(status int) error {
	if kind, ok := exceptions[status]; ok {
		return kind
	}
	if kind, ok := kinds[status/100]; ok {
		return kind
	}
	return ports.ErrRTMUnavailable
}

// answer is what came back, read to the end. readErr says why body is not
// whole.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	readErr error
}

// container reads the answer as the container of gameID. Nothing but a 200 that
// names the game and fills every field will do: a 202 has not done anything
// yet, and a page that some proxy put there has none of the fields. The
// Content-Type is not looked at, the fields prove more.
func (a answer) container(gameID string) (ports.Container, error) {
	var container ports.Container
	switch {
	case a.status != http.StatusOK:
		return container, errors.New("the contract knows no such answer")
	case a.readErr != nil:
		return container, a.readErr
	case json.Unmarshal(a.body, &container) != nil:
		return container, errors.New("the answer is not the contract's JSON")
	case container.GameID != gameID:
		return container, errors.New("the answer speaks of another game")
	case container.ImageRef == "" || !printable(container.ImageRef, maxImageRef):
		return container, errors.New("the answer names no image")
	case container.Status == "" || !printable(container.Status, maxText):
		return container, errors.New("the answer names no status")
	}
	return container, nil
}

// fence reads the answer as the word that input is in force. Nothing but a 200
// that names the game and the number will do: on it hangs whether a call that
// was given up on can still land.
func (a answer) fence(input ports.RTMFenceInput) error {
	var said struct {
		GameID string `json:"game_id"`
		Fence  int64  `json:"fence"`
	}
	switch {
	case a.status != http.StatusOK:
		return errors.New("the contract knows no such answer")
	case a.readErr != nil:
		return a.readErr
	case json.Unmarshal(a.body, &said) != nil:
		return errors.New("the answer is not the contract's JSON")
	case said.GameID != input.GameID:
		return errors.New("the answer speaks of another game")
	case said.Fence != input.Fence:
		return errors.New("the answer speaks of another number")
	}
	return nil
}

// unreadable is the error of a 2xx that does not say what it should.
func (a answer) unreadable(err error) *ports.RTMError {
	return unanswered(a.status, fmt.Errorf("unreadable or contradicting answer (HTTP %d): %w", a.status, err))
}

// recognized returns nil for a refusal in the contract's envelope, which is what
// an id that no game can have is answered with.
func (a answer) recognized() error {
	failure := a.failure()
	switch {
	case a.status >= http.StatusInternalServerError, a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return failure
	case a.readErr != nil:
		return a.unreadable(a.readErr)
	case a.status < http.StatusBadRequest || failure.Code == "":
		return unanswered(a.status, fmt.Errorf("HTTP %d, and not the contract's refusal of a game that is not there", a.status))
	}
	return nil
}

// failure is the error of a status that is not a success. A body that is cut
// off or no error envelope costs the code and the message, not the verdict.
func (a answer) failure() *ports.RTMError {
	var envelope struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	failure := &ports.RTMError{Kind: verdict(a.status), Status: a.status}
	if a.readErr == nil && json.Unmarshal(a.body, &envelope) == nil {
		failure.Code = clean(envelope.Error.Code)
		failure.Message = clean(envelope.Error.Message)
	}
	if errors.Is(failure.Kind, ports.ErrRTMUnavailable) {
		failure.RetryAfter = retryAfter(a.header)
	}
	return failure
}

// staleFence is the code of a 412 to a call that carries a fencing number.
const staleFence = "stale_fence"

// fenceable is failure for a call that carries a fencing number. A 412 with
// another code is not of Runtime Manager's fencing and stays a plain refusal.
func (a answer) fenceable() *ports.RTMError {
	failure := a.failure()
	if a.status == http.StatusPreconditionFailed && failure.Code == staleFence {
		failure.Err = ports.ErrFenced
	}
	return failure
}

// retryAfter reads Retry-After, in seconds or as a date (RFC 9110, 10.2.3),
// and returns at most maxRetryAfter, zero for anything that is not a time to
// come. A date is measured against the answer's own Date, so that the two
// clocks need not agree.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 32)
		if err != nil { // all digits: only too large a number fails
			return maxRetryAfter
		}
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

// clean makes text fit for a log line: valid UTF-8, printable, on one line, at
// most maxText bytes, cut between runes.
func clean(text string) string {
	var cleaned strings.Builder
	for _, char := range text {
		if !unicode.IsPrint(char) {
			char = ' '
		}
		if cleaned.Len()+utf8.RuneLen(char) > maxText {
			break
		}
		cleaned.WriteRune(char)
	}
	return strings.TrimSpace(cleaned.String())
}

// printable reports whether text is valid UTF-8 of at most limit bytes without
// control or format characters.
func printable(text string, limit int) bool {
	return len(text) <= limit && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, func(char rune) bool { return !unicode.IsPrint(char) })
}
