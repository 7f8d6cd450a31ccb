package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// output is standard output, which remembers what could not be written: a list
// that is cut off by a full disk must not look like the whole.
type output struct {
	io.Writer
	written int
	err     error
}

// Write writes through.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	o.written += n
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("write the output: %w", err)
	}
	return n, err
}

// printJSON prints value as one indented document.
func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// printable makes text of others fit for a screen: what would move the cursor,
// change colours or turn the direction of writing becomes visible.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\n', r == ' ', unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r):
			return r
		}
		return utf8.RuneError
	}, text)
}

// cell is text for a table: one line, and no longer than limit characters.
func cell(text string, limit int) string {
	text = printable(strings.Join(strings.Fields(text), " "))
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

// field is a line of a record that is shown.
type field struct {
	name  string
	value any
}

// printFields prints the fields that have a value, one in a line.
func printFields(out io.Writer, fields ...field) {
	for _, f := range fields {
		if text := textOf(f.value); text != "" {
			fmt.Fprintf(out, "%-13s %s\n", f.name, printable(text))
		}
	}
}

// textOf is how a value of a record is shown; empty when it has none.
func textOf(value any) string {
	switch value := value.(type) {
	case *time.Time:
		if value == nil {
			return ""
		}
		return textOf(*value)
	case time.Time:
		if value.IsZero() {
			return ""
		}
		return value.UTC().Format("2006-01-02 15:04:05Z")
	}
	return fmt.Sprint(value)
}
