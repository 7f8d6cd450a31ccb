package cli

import (
	"fmt"
	"io"
	"strings"
)

// screenWidth is what fits on every screen, and screenHeight how many lines do.
const (
	screenWidth  = 79
	screenHeight = 24
)

// screen draws one frame over the other, where a terminal shows it.
type screen struct {
	out io.Writer
	// drawn is how many lines stand there.
	drawn int
}

// draw puts the lines in the place of those before, in one write, so that nothing
// flickers. They have to fit: one that a narrow terminal breaks would stay there.
func (s *screen) draw(lines []string) {
	frame := s.erasure()
	for _, line := range lines {
		frame += line + "\n"
	}
	s.drawn = strings.Count(frame, "\n")
	_, _ = io.WriteString(s.out, frame)
}

// clear takes what was drawn off the screen.
func (s *screen) clear() {
	_, _ = io.WriteString(s.out, s.erasure())
	s.drawn = 0
}

// erasure goes up to the first line, and takes everything below away.
func (s *screen) erasure() string {
	if s.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", s.drawn)
}
