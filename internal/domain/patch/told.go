package patch

import "strings"

// told is how the sentence of the audit row begins for each line of the undo
// table.
var told = []struct {
	line  Line
	words string
}{
	{LineLeftAlone, "container left alone"},
	{LineInLine, "container already on "},
	{LineRecreated, "container recreated on "},
	{LineMissing, "there is no container, nor was there one before"},
	{LineAbandoned, "abandoned, container may differ from the row"},
}

// ToldLines returns every line that an audit row can tell: the others are not
// the end of an undo.
func ToldLines() []Line {
	lines := make([]Line, 0, len(told))
	for _, t := range told {
		lines = append(lines, t.line)
	}
	return lines
}

// LineTold returns the line that the sentence of an audit row tells; empty when
// it tells none.
func LineTold(sentence string) Line {
	for _, t := range told {
		if strings.HasPrefix(sentence, t.words) {
			return t.line
		}
	}
	return ""
}

// wordsOf returns the words of line, or the line itself when it has none.
func wordsOf(line Line) string {
	for _, t := range told {
		if t.line == line {
			return t.words
		}
	}
	return string(line)
}
