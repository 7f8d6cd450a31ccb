// Package cli is the command line: it reads the environment, puts the parts
// together and runs them. Everything may be known here; nobody knows it.
//
// What asks a running API does so by package client and by nothing else; it
// prints tables for people, and with --json what the API says.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/mattn/go-isatty"
	"golang.org/x/term"

	"galaxy/gamemaster/client"
	"galaxy/gamemaster/internal/auth"
)

type grammar struct {
	Demo    demoCommand    `cmd:"" help:"Show the main job on a throw-away stack: a patch, a refusal, a conflict that is undone."`
	Drill   drillCommand   `cmd:"" help:"Break the whole product on a throw-away stack, and check that nothing is lost, doubled or left unexplained."`
	Dev     devCommand     `cmd:"" help:"Run everything on this machine: Postgres, Temporal with its UI, a Runtime Manager simulator, worker and API."`
	API     apiCommand     `cmd:"" name:"api" help:"Run the REST API."`
	Worker  workerCommand  `cmd:"" help:"Run a Temporal worker."`
	Migrate migrateCommand `cmd:"" help:"Bring the database schema up to date, or show how it stands."`
	Rtmsim  rtmsimCommand  `cmd:"" help:"Run the Runtime Manager simulator (for development)."`
	Doctor  doctorCommand  `cmd:"" help:"Check everything that the processes need, and say of each fault how to mend it."`

	Patch      patchCommand      `cmd:"" help:"Patch a game and show the phases as they pass."`
	Rollback   rollbackCommand   `cmd:"" help:"Patch a game back to an earlier version and show the phases as they pass."`
	Patches    patchesCommand    `cmd:"" help:"List patches, look at one, cancel it, or decide about one that waits for an operator."`
	Drift      driftCommand      `cmd:"" help:"List where records and containers differ."`
	Reconcile  reconcileCommand  `cmd:"" help:"Bring a game's record and container together."`
	Runtimes   runtimesCommand   `cmd:"" help:"List games, look at one, register or delete its record."`
	Versions   versionsCommand   `cmd:"" help:"List engine versions, look at one, add, deprecate or activate it."`
	Operations operationsCommand `cmd:"" help:"List the audit log, of all games or of one."`
	Audit      auditCommand      `cmd:"" help:"Verify the audit log, straight in the database."`
	Prune      pruneCommand      `cmd:"" help:"Drop what is older than it has to be kept, straight in the database."`
	Token      tokenCommand      `cmd:"" help:"Prepare tokens for the API's auth file."`

	Version kong.VersionFlag `help:"Print the build and end."`

	DrillWorker drillWorkerCommand `cmd:"" hidden:"" help:"Run a worker that breaks on purpose, against a throw-away stack."`

	Completion kongcompletion.Completion `cmd:"" help:"Show how to make the shell complete commands and flags."`
}

// choices are what flags offer, so that --help and completion know them.
func choices() kong.Vars {
	return kong.Vars{
		"runtime_statuses": anyOf(client.RuntimeStarting, client.RuntimeRunning, client.RuntimeGenerationInProgress,
			client.RuntimeGenerationFailed, client.RuntimeEngineUnreachable, client.RuntimeStopped, client.RuntimeFinished),
		"version":          version(),
		"version_statuses": anyOf(client.EngineVersionActive, client.EngineVersionDeprecated),
		"outcomes":         anyOf(client.OutcomeSuccess, client.OutcomeFailure),
		"drift_kinds":      anyOf(client.DriftImage, client.DriftMissing, client.DriftExtra),
		"reconcile_modes":  anyOf(client.ModeEnforce, client.ModeAdopt),
		"scopes":           anyOf(auth.Scopes()...),
	}
}

func anyOf[T ~string](values ...T) string {
	list := make([]string, len(values))
	for i, value := range values {
		list[i] = string(value)
	}
	return strings.Join(list, ",")
}

// process is what a command may use of the process that it runs in.
type process struct {
	ctx     context.Context
	stdin   io.Reader
	stdout  *output
	stderr  io.Writer
	environ map[string]string
	// asks says that somebody sits at stdin, who can be asked.
	asks bool
	// bold says that stdout is a screen that shows bold text, and live that frames
	// can be drawn in place there.
	bold, live bool
	// tells says that stderr is a screen, and drawing that stdout is one where a
	// frame stands, so that nothing else may be written.
	tells   bool
	drawing atomic.Bool
	// reads is how long a read of the API may take; 0 is what the client says.
	reads time.Duration
	// noticeAfter is after how long a read is told of; 0 is readNotice.
	noticeAfter time.Duration
	// size tells how large the screen is; nil is any.
	size func() (columns, lines int, err error)
}

// extent is how much fits on the screen, in columns and lines: one less than it
// has, so that no line is broken and nothing scrolls. It is asked anew each time,
// because people change their windows.
func (p *process) extent() (columns, lines int) {
	if p.size != nil {
		if columns, lines, err := p.size(); err == nil && columns > 1 && lines > 1 {
			return columns - 1, lines - 1
		}
	}
	return screenWidth, screenHeight
}

// Main runs the command that args name and returns the exit code of the
// process. An interrupt or SIGTERM ends the command in good order; a second one
// ends it at once.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Whoever asks twice does not want to wait.
	context.AfterFunc(ctx, stop)
	variables := environ()
	return run(&process{
		ctx: ctx, stdin: os.Stdin, stdout: &output{Writer: os.Stdout}, stderr: os.Stderr, environ: variables,
		asks:  isatty.IsTerminal(os.Stdin.Fd()),
		bold:  isatty.IsTerminal(os.Stdout.Fd()) && variables["NO_COLOR"] == "" && variables["TERM"] != "dumb",
		live:  isatty.IsTerminal(os.Stdout.Fd()) && variables["TERM"] != "dumb",
		tells: isatty.IsTerminal(os.Stderr.Fd()),
		size:  func() (int, int, error) { return term.GetSize(int(os.Stdout.Fd())) },
	}, args)
}

func run(p *process, args []string) int {
	var commands grammar
	exited := -1
	parser, err := kong.New(&commands,
		kong.Name("gamemaster"),
		kong.Description("Patches running game engines through durable Temporal workflows.\n\n"+exitHelp),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		choices(),
	)
	if err != nil {
		fmt.Fprintln(p.stderr, "gamemaster:", err)
		return ExitFailed
	}
	// Answers the shell when it is the shell that asks.
	kongcompletion.Register(parser)
	if exited >= 0 {
		return exited
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
	if err := checkArguments(command); err != nil {
		fmt.Fprintln(p.stderr, "gamemaster:", err)
		return ExitUsage
	}
	if err = command.Run(p); err == nil {
		err = p.stdout.err
	}
	if err != nil {
		fmt.Fprintln(p.stderr, "gamemaster:", printable(err.Error()))
	}
	return exitCode(err)
}

// checkArguments refuses arguments that are there and empty: most of them are a
// variable of the shell that is not set, and to list everything or to ask for
// nothing is not what was meant.
func checkArguments(command *kong.Context) error {
	for _, part := range command.Path {
		if part.Positional != nil && part.Positional.Target.Kind() == reflect.String && part.Positional.Target.String() == "" {
			return fmt.Errorf("<%s> is empty", part.Positional.Name)
		}
	}
	return nil
}

// version is what --version prints: the module's version and the commit, as far
// as the build knows them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "gamemaster (unknown build)"
	}
	text := "gamemaster " + info.Main.Version + " " + info.GoVersion
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" || setting.Key == "vcs.time" || setting.Key == "vcs.modified" && setting.Value == "true" {
			text += " " + strings.TrimPrefix(setting.Key, "vcs.") + "=" + setting.Value
		}
	}
	return text
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
