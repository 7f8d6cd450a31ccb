package rtmsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// maxBody bounds a request's body, in bytes.
	maxBody = 64 << 10
	// bodyTimeout is how long a client may take to send it.
	bodyTimeout = 10 * time.Second
)

// reply is a JSON answer.
type reply struct {
	status int
	body   any
}

func (r reply) write(w http.ResponseWriter) {
	encoded, err := json.Marshal(r.body)
	if err != nil { // every body is made of strings, numbers and times
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = w.Write(append(encoded, '\n')) // a client that went away is no fault
}

// failed is an answer in the contract's error envelope.
func failed(status int, code, message string) reply {
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	return reply{status, map[string]detail{"error": {code, message}}}
}

// refuse answers 400 for an [*InputError] and 500 for all else, which is the
// state file: its fault is told, since whoever reads it owns the machine.
func refuse(err error) reply {
	if input, ok := errors.AsType[*InputError](err); ok {
		return failed(http.StatusBadRequest, "invalid_request", input.Error())
	}
	return failed(http.StatusInternalServerError, "internal_error", err.Error())
}

// decode reads the body as one JSON object with known fields and nothing
// behind it, or returns an [*InputError].
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	// The deadline is set here and not on the server, whose ReadTimeout would
	// also end a request that hangs.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout)) // a recorder has no connection
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = control.SetReadDeadline(time.Time{})
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &InputError{"body", fmt.Sprintf("must not be longer than %d bytes", maxBody)}
	}
	if err != nil {
		return &InputError{"body", "cannot be read"}
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return &InputError{"body", "must be a JSON object"}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return inputError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return &InputError{"body", "must hold one JSON object and nothing behind it"}
	}
	return nil
}

// inputError names the field that the decoder stumbled over.
func inputError(err error) error {
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &InputError{wrongType.Field, fmt.Sprintf("must be %s, not %s", wrongType.Type.Kind(), wrongType.Value)}
	}
	// The decoder has no type for it, only this text.
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &InputError{strings.Trim(field, `"`), "is not a field of this request"}
	}
	return &InputError{"body", "must be a JSON object"}
}
