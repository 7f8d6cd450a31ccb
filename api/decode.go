package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"galaxy/gamemaster/internal/domain/engineversion"
	"galaxy/gamemaster/internal/domain/patch"
)

// PatchBody is the body of a request for a patch. Version is required, but may
// be anything: whether it is a version is for the patch to say.
type PatchBody struct {
	Version string `json:"version"`
	// SourceRef is the caller's own reference, at most [patch.MaxSourceRef]
	// bytes.
	SourceRef string `json:"source_ref,omitempty"`
	// OpSource becomes admin_rest when it is missing or unknown.
	OpSource string `json:"op_source,omitempty"`
	// Reason is for the audit log, at most [patch.MaxReason] bytes; it may
	// have several lines.
	Reason string `json:"reason,omitempty"`
	// Force recreates the container also when the game is on Version already.
	Force bool `json:"force,omitempty"`
}

// member is a key that the body may have: the name, where its value goes (one
// of text and flag), and what the value may be.
type member struct {
	name  string
	text  *string
	flag  *bool
	limit int  // bytes; 0 is no limit but the body's
	lines bool // line breaks and tabs are allowed
}

func (body *PatchBody) members() []member {
	return []member{
		{name: "version", text: &body.Version, limit: engineversion.MaxLength},
		{name: "source_ref", text: &body.SourceRef, limit: patch.MaxSourceRef},
		{name: "op_source", text: &body.OpSource},
		{name: "reason", text: &body.Reason, limit: patch.MaxReason, lines: true},
		{name: "force", flag: &body.Force},
	}
}

// decodePatch reads the one JSON object that encoded has to be. It is stricter
// than encoding/json, which takes keys in any case, the last of several equal
// ones, and anything after the value: two readers of one request must not
// understand different things. The mistakes it returns name the key, or "body"
// where there is none.
func decodePatch(encoded []byte) (PatchBody, []FieldError) {
	var body PatchBody
	if !utf8.Valid(encoded) {
		return PatchBody{}, bodyFault("is not valid UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	opening, err := decoder.Token()
	switch {
	case errors.Is(err, io.EOF):
		return PatchBody{}, bodyFault(`is empty, want a JSON object such as {"version":"1.4.3"}`)
	case err != nil:
		return PatchBody{}, bodyFault("is not JSON: " + err.Error())
	case opening != json.Delim('{'):
		return PatchBody{}, bodyFault(`want a JSON object such as {"version":"1.4.3"}`)
	}
	mistakes, err := readMembers(decoder, body.members())
	if err != nil {
		return PatchBody{}, bodyFault("is not JSON: " + err.Error())
	}
	if _, err := decoder.Token(); len(mistakes) == 0 && !errors.Is(err, io.EOF) {
		mistakes = bodyFault("has something after the object, want nothing there")
	}
	if len(mistakes) > 0 {
		return PatchBody{}, mistakes
	}
	return body, nil
}

func bodyFault(detail string) []FieldError { return []FieldError{{Field: "body", Detail: detail}} }

// readMembers reads the members of an object, its closing brace included. The
// error is one of syntax; mistakes are in what the syntax says.
func readMembers(decoder *json.Decoder, members []member) (mistakes []FieldError, err error) {
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, unended(err)
		}
		// Inside an object the decoder gives nothing but strings as keys.
		key, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, unended(err)
		}
		var mistake string
		if seen[key] {
			mistake = "is there twice, want it once"
		} else {
			mistake = readMember(members, key, bytes.TrimSpace(value))
		}
		seen[key] = true
		if mistake != "" && len(mistakes) < maxFieldErrors {
			mistakes = append(mistakes, FieldError{Field: patch.Truncate(key, 64), Detail: mistake})
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, unended(err)
	}
	if !seen["version"] && len(mistakes) < maxFieldErrors {
		mistakes = append(mistakes, FieldError{Field: "version", Detail: "is required, want one such as 1.4.3"})
	}
	return mistakes, nil
}

// unended says it plainly when the JSON stops in the middle.
func unended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}

// readMember puts value where the member named key wants it, and returns what
// is wrong with either, or "".
func readMember(members []member, key string, value []byte) string {
	for _, member := range members {
		switch {
		case member.name == key && member.flag != nil:
			return readFlag(member, value)
		case member.name == key:
			return readText(member, value)
		}
	}
	for _, member := range members {
		if strings.EqualFold(member.name, key) {
			return fmt.Sprintf("is unknown, want %q: keys are case-sensitive", member.name)
		}
	}
	names := make([]string, len(members))
	for i, member := range members {
		names[i] = member.name
	}
	return "is unknown, want only " + strings.Join(names, ", ")
}

func readFlag(member member, value []byte) string {
	switch string(value) {
	case "true", "false":
		*member.flag = string(value) == "true"
		return ""
	}
	return "is " + kind(value) + ", want true or false"
}

func readText(member member, value []byte) string {
	if len(value) == 0 || value[0] != '"' {
		return "is " + kind(value) + ", want a string"
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "is not a JSON string: " + err.Error()
	}
	if member.limit > 0 && len(text) > member.limit {
		return fmt.Sprintf("is %d bytes long, at most %d are allowed", len(text), member.limit)
	}
	for _, char := range text {
		switch {
		case member.lines && (char == '\n' || char == '\r' || char == '\t'):
		case unicode.IsControl(char):
			return fmt.Sprintf("has the control character %U, want none", char)
		case char == utf8.RuneError:
			// encoding/json puts it in the place of half a surrogate pair; it
			// never is what somebody meant to write.
			return "has a broken character (U+FFFD or half a surrogate pair), want none"
		}
	}
	*member.text = text
	return ""
}

// kind names the JSON type of value by its first byte.
func kind(value []byte) string {
	if len(value) == 0 {
		return "nothing"
	}
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
