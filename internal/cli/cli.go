// Package cli is the command line: it reads the environment, puts the parts
// together and runs them. Everything may be known here; nobody knows it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes of every command.
const (
	ExitDone = 0
	// ExitFailed: it was tried and did not come about.
	ExitFailed = 1
	// ExitRefused: it cannot be done as asked; asking again changes nothing.
	ExitRefused = 2
	// ExitUsage: the command line is wrong (EX_USAGE of sysexits.h).
	ExitUsage = 64
)

type grammar struct {
	Demo    demoCommand    `cmd:"" help:"Show the main job on a throw-away stack: a patch, a refusal, a conflict that is undone."`
	Dev     devCommand     `cmd:"" help:"Run everything on this machine: Postgres, Temporal with its UI, a Runtime Manager simulator, worker and API."`
	API     apiCommand     `cmd:"" name:"api" help:"Run the REST API."`
	Worker  workerCommand  `cmd:"" help:"Run a Temporal worker."`
	Migrate migrateCommand `cmd:"" help:"Bring the database schema up to date, or show how it stands."`
	Patch   patchCommand   `cmd:"" help:"Patch a game over REST and show the phases as they pass."`
	Rtmsim  rtmsimCommand  `cmd:"" help:"Run the Runtime Manager simulator (for development)."`
}

// process is what a command may use of the process that it runs in.
type process struct {
	ctx     context.Context
	stdout  io.Writer
	stderr  io.Writer
	environ map[string]string
}

// exit is an error with the exit code that it stands for.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string { return e.err.Error() }
func (e *exit) Unwrap() error { return e.err }

func refused(err error) error { return &exit{code: ExitRefused, err: err} }

// Main runs the command that args name and returns the exit code of the
// process. An interrupt or SIGTERM ends the command in good order; a second one
// ends it at once.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whoever asks twice does not want to wait.
	context.AfterFunc(ctx, stop)
	return run(&process{ctx: ctx, stdout: os.Stdout, stderr: os.Stderr, environ: environ()}, args)
}

func run(p *process, args []string) int {
	var commands grammar
	exited := -1
	parser, err := kong.New(&commands,
		kong.Name("gamemaster"),
		kong.Description("Patches running game engines through durable Temporal workflows."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(p.stderr, "gamemaster:", err)
		return ExitFailed
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		// --help has been answered.
		return exited
	}
	if err != nil {
		fmt.Fprintln(p.stderr, "gamemaster:", err)
		return ExitUsage
	}
	err = command.Run(p)
	if err == nil {
		return ExitDone
	}
	fmt.Fprintln(p.stderr, "gamemaster:", err)
	var coded *exit
	if errors.As(err, &coded) {
		return coded.code
	}
	return ExitFailed
}

func environ() map[string]string {
	variables := map[string]string{}
	for _, entry := range os.Environ() {
		for i := 1; i < len(entry); i++ {
			if entry[i] == '=' {
				variables[entry[:i]] = entry[i+1:]
				break
			}
		}
	}
	return variables
}
