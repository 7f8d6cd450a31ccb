package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"time"
)

// Shell is what a test gives a command of its process.
type Shell struct {
	Context context.Context
	Stdin   string
	// Asks says that somebody sits at Stdin; Bold that the output is a screen, and
	// Live that it can be drawn on.
	Asks, Bold, Live bool
	// Endless is a Stdin where nobody ever answers.
	Endless bool
	// Environ is the environment.
	Environ map[string]string
	// Tells says that stderr is a screen; Reads bounds a read, and NoticeAfter is
	// after how long it is told of.
	Tells              bool
	Reads, NoticeAfter time.Duration
	// Full says that nothing can be written to the output.
	Full bool
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// Run runs a command and returns its exit code and what it printed.
func (s Shell) Run(args ...string) (code int, stdout, stderr string) {
	if s.Context == nil {
		s.Context = context.Background()
	}
	var out, errs bytes.Buffer
	var into io.Writer = &out
	if s.Full {
		into = fullDisk{}
	}
	var in io.Reader = strings.NewReader(s.Stdin)
	if s.Endless {
		nobody, silent := io.Pipe()
		defer silent.Close()
		in = nobody
	}
	code = run(&process{
		ctx: s.Context, stdin: in, stdout: &output{Writer: into}, stderr: &errs, asks: s.Asks, bold: s.Bold, live: s.Live, environ: s.Environ,
		tells: s.Tells, reads: s.Reads, noticeAfter: s.NoticeAfter,
	}, args)
	return code, out.String(), errs.String()
}

// DevToken is the token of development stacks.
const DevToken = devToken

// SendsDevToken reports whether a command without credentials sends the token of
// development stacks to server.
func SendsDevToken(server string) bool { return (&remote{Server: server}).sendsDevToken() }

// KeyPairAge is how long a certificate's files are not looked at again.
const KeyPairAge = keyPairAge

// Certificates returns what serves the pair in the files.
func Certificates(certFile, keyFile string, logger *slog.Logger) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return (&keyPair{certFile: certFile, keyFile: keyFile, logger: logger}).current
}
