package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// limits are the flags of a list that may be long.
type limits struct {
	Limit int `help:"How many to list at most; 0 lists all." default:"100"`
}

// maxPage is the longest page of the API.
const maxPage = 1000

// Validate is called by kong.
func (l limits) Validate() error {
	if l.Limit < 0 {
		return fmt.Errorf("--limit: %d is less than none", l.Limit)
	}
	return nil
}

// page is how long the pages to ask for should be: one row more than is wanted
// tells whether there are more.
func (l limits) page() int {
	if l.Limit == 0 {
		return maxPage
	}
	return min(l.Limit+1, maxPage)
}

// listing is how a list is printed.
type listing[T any] struct {
	// key is that of the API's page.
	key     string
	columns []string
	row     func(T) []string
	// besides is what the page has beside its items, by its key; tables leave it
	// to who prints them.
	besides map[string]any
}

// printList prints up to limit items as they come in, all of them for 0, and
// says on stderr when there are more. An error of items ends it; JSON that was
// begun is then left without its end, so that nobody takes it for the whole.
func printList[T any](p *process, asJSON bool, l listing[T], items iter.Seq2[T, error], limit int) error {
	sink := sink[T](&tables[T]{listing: l, out: p.stdout, bold: p.bold})
	if asJSON {
		sink = &document[T]{key: l.key, besides: l.besides, out: p.stdout}
	}
	listed, more := 0, false
	for item, err := range items {
		if err != nil {
			sink.flush()
			return err
		}
		if more = limit > 0 && listed == limit; more {
			break
		}
		if err := sink.add(item); err != nil {
			return err
		}
		listed++
	}
	sink.flush()
	if err := sink.end(); err != nil {
		return err
	}
	switch {
	case more:
		fmt.Fprintf(p.stderr, "only the first %d; --limit 0 lists all\n", limit)
	case listed == 0 && !asJSON:
		fmt.Fprintf(p.stderr, "no %s\n", strings.ReplaceAll(l.key, "_", " "))
	}
	return nil
}

// sink is where a list goes, item by item.
type sink[T any] interface {
	add(item T) error
	// flush prints what was held back; end what comes after the last item.
	flush()
	end() error
}

// document prints the API's page of all items, each in a line of its own.
type document[T any] struct {
	key     string
	besides map[string]any
	out     io.Writer
	begun   bool
}

func (d *document[T]) add(item T) error {
	line, err := json.Marshal(item)
	if err != nil {
		return fmt.Errorf("print %s: %w", d.key, err)
	}
	before := ",\n"
	if !d.begun {
		before = d.begin()
	}
	fmt.Fprintf(d.out, "%s%s", before, line)
	return nil
}

func (d *document[T]) begin() string {
	d.begun = true
	return fmt.Sprintf("{%q: [\n", d.key)
}

func (d *document[T]) flush() {}

func (d *document[T]) end() error {
	before := "\n"
	if !d.begun {
		before = fmt.Sprintf("{%q: [", d.key)
	}
	fmt.Fprint(d.out, before+"]")
	for _, key := range slices.Sorted(maps.Keys(d.besides)) {
		value, err := json.Marshal(d.besides[key])
		if err != nil {
			return fmt.Errorf("print %s: %w", key, err)
		}
		fmt.Fprintf(d.out, ",\n%q: %s", key, value)
	}
	fmt.Fprint(d.out, "}\n")
	return nil
}

// tableRows is how many rows are held back to be laid out together: a screen
// has fewer, and a list of any length takes no more memory than that.
const tableRows = 200

// tables prints a list as one table after the other, of which only the first has
// a header. Each keeps the widths of those before it.
type tables[T any] struct {
	listing[T]
	out    io.Writer
	bold   bool
	rows   [][]string
	widths []int
}

func (t *tables[T]) add(item T) error {
	t.rows = append(t.rows, t.row(item))
	if len(t.rows) == tableRows {
		t.flush()
	}
	return nil
}

func (t *tables[T]) flush() {
	if len(t.rows) == 0 {
		return
	}
	first := t.widths == nil
	if first {
		t.widths = make([]int, len(t.columns))
		t.widen(t.columns)
	}
	writer := table.NewWriter()
	writer.SetStyle(t.style())
	if first {
		writer.AppendHeader(rowOf(t.columns))
	}
	for _, row := range t.rows {
		t.widen(row)
		writer.AppendRow(rowOf(row))
	}
	configs := make([]table.ColumnConfig, len(t.widths))
	for i, width := range t.widths {
		configs[i] = table.ColumnConfig{Number: i + 1, WidthMin: width}
	}
	writer.SetColumnConfigs(configs)
	for line := range strings.Lines(writer.Render()) {
		// The last column is padded like the others.
		fmt.Fprintln(t.out, strings.TrimRight(line, " \n"))
	}
	t.rows = t.rows[:0]
}

func (t *tables[T]) end() error { return nil }

func (t *tables[T]) widen(row []string) {
	for i, value := range row {
		t.widths[i] = max(t.widths[i], text.StringWidthWithoutEscSequences(value))
	}
}

// style is light, without a frame, and bold in its header on a screen.
func (t *tables[T]) style() table.Style {
	style := table.StyleLight
	style.Options = table.Options{SeparateColumns: false, SeparateHeader: t.bold}
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	if t.bold {
		style.Color.Header = text.Colors{text.Bold}
	}
	return style
}

func rowOf(values []string) table.Row {
	row := make(table.Row, len(values))
	for i, value := range values {
		row[i] = value
	}
	return row
}
