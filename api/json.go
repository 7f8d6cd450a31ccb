package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"galaxy/gamemaster/api/contract"
	"galaxy/gamemaster/internal/domain/patch"
)

// maxDepth bounds the nesting of a body: no request of the contract has more
// than one level, and a deep one is only there to cost stack.
const maxDepth = 8

// checkJSON looks for what decoders disagree about: keys that are there twice
// (encoding/json takes the last), anything after the value, and text that is
// not UTF-8 or half a surrogate pair. Two readers of one request must not
// understand different things. The body has to be one JSON object; what is in
// it is for the schema to say.
func checkJSON(encoded []byte) []contract.FieldError {
	if !utf8.Valid(encoded) {
		return bodyFault("is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	opening, err := decoder.Token()
	switch {
	case errors.Is(err, io.EOF):
		return bodyFault("is empty, want a JSON object")
	case err != nil:
		return bodyFault("is not JSON: " + err.Error())
	case opening != json.Delim('{'):
		return bodyFault("want a JSON object")
	}
	reader := jsonReader{decoder: decoder}
	if err := reader.object(1); err != nil {
		return bodyFault("is not JSON: " + unended(err).Error())
	}
	if len(reader.mistakes) == 0 {
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return bodyFault("has something after the object, want nothing there")
		}
	}
	return reader.mistakes
}

func bodyFault(detail string) []contract.FieldError {
	return []contract.FieldError{{Field: fieldBody, Detail: detail}}
}

// jsonReader walks a value token by token. Its error is one of syntax, which
// ends the walk; mistakes are in what the syntax says.
type jsonReader struct {
	decoder  *json.Decoder
	mistakes []contract.FieldError
}

func (r *jsonReader) blame(key, detail string) {
	if len(r.mistakes) < maxFieldErrors {
		r.mistakes = append(r.mistakes, contract.FieldError{Field: patch.Truncate(key, maxFieldName), Detail: detail})
	}
}

// object reads the members of an object, its closing brace included.
func (r *jsonReader) object(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	seen := map[string]bool{}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return err
		}
		// Inside an object the decoder gives nothing but strings as keys.
		key, _ := token.(string)
		if seen[key] {
			r.blame(key, "is there twice, want it once")
		}
		seen[key] = true
		if err := r.value(key, depth); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	return err
}

// value reads the value of key, whatever it is.
func (r *jsonReader) value(key string, depth int) error {
	token, err := r.decoder.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case string:
		if strings.ContainsRune(token, utf8.RuneError) {
			// encoding/json puts it in the place of half a surrogate pair; it
			// never is what somebody meant to write.
			r.blame(key, "has a broken character (U+FFFD or half a surrogate pair), want none")
		}
	case json.Delim:
		if token == '{' {
			return r.object(depth + 1)
		}
		return r.array(key, depth+1)
	}
	return nil
}

// array reads the elements of an array, its closing bracket included.
func (r *jsonReader) array(key string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	for r.decoder.More() {
		if err := r.value(key, depth); err != nil {
			return err
		}
	}
	_, err := r.decoder.Token()
	return err
}

// unended says it plainly when the JSON stops in the middle.
func unended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}
