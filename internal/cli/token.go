package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"galaxy/gamemaster/internal/auth"
)

type tokenCommand struct {
	Hash tokenHashCommand `cmd:"" help:"Read a token from standard input and print its entry for the auth file, to be put below tokens:."`
}

type tokenHashCommand struct {
	Name  string       `required:"" help:"Name of the caller, for the audit log."`
	Scope []auth.Scope `help:"What the caller may do, may be given several times: ${scopes}" enum:"${scopes}" default:"runtime:read"`
	Game  []string     `help:"Prefix of the game ids that the caller may see; all games without one; may be given several times."`
}

// Run prints the entry. The token itself is not printed, and is no argument, since
// others see those.
func (c *tokenHashCommand) Run(p *process) error {
	token, err := p.secret("Token: ")
	if err != nil {
		return err
	}
	entry, err := auth.Entry(c.Name, c.Scope, c.Game, token)
	if err != nil {
		return refused(err)
	}
	fmt.Fprint(p.stdout, entry)
	return nil
}

// maxSecret is more than any token may have, so that one that is too long is seen
// to be so.
const maxSecret = 64 << 10

// secret reads a line from standard input, without showing it on a screen.
func (p *process) secret(prompt string) (string, error) {
	if file, ok := p.stdin.(*os.File); ok && p.asks {
		return p.secretFrom(int(file.Fd()), prompt)
	}
	text, err := io.ReadAll(io.LimitReader(p.stdin, maxSecret))
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	// The end of the line is the shell's, not the token's.
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

// secretFrom reads from a terminal, which shows what is typed again afterwards,
// also when the process is told to stop meanwhile.
func (p *process) secretFrom(terminal int, prompt string) (string, error) {
	shown, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	fmt.Fprint(p.stderr, prompt)
	defer fmt.Fprintln(p.stderr)
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		done <- read{text, err}
	}()
	select {
	case <-p.ctx.Done():
		return "", errors.Join(p.ctx.Err(), term.Restore(terminal, shown))
	case got := <-done:
		return string(got.text), got.err
	}
}
