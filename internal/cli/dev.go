package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"galaxy/gamemaster/internal/config"
	"galaxy/gamemaster/internal/telemetry"
)

type devCommand struct {
	API      string `name:"api" help:"Address of the API." default:"127.0.0.1:8080"`
	Temporal string `help:"Address of the embedded Temporal server." default:"127.0.0.1:7233"`
	UI       string `name:"ui" help:"Address of the Temporal UI." default:"127.0.0.1:8233"`
	RTM      string `name:"rtm" help:"Address of the Runtime Manager simulator." default:"127.0.0.1:8090"`
	Admin    string `help:"Address for /metrics, /debug/pprof and detailed probes; nowhere by default."`
	Data     string `help:"Directory that keeps the data between runs (default: gamemaster/dev in your user's data directory, or /var/lib/gamemaster-dev for root)." type:"path"`
}

// Run starts the stack and keeps it until the process is told to stop or a part
// of it ends.
func (c *devCommand) Run(p *process) error {
	settings, err := config.Load(p.environ)
	if err != nil {
		return refused(err)
	}
	if settings.AuthFile != "" {
		// What is wrong with it shows before anything is started.
		if _, err := devGate(settings.AuthFile, p.devLogger(settings)); err != nil {
			return refused(err)
		}
	}
	if err := c.checkAddresses(settings.AuthFile != ""); err != nil {
		return refused(err)
	}
	dir, err := c.dataDir()
	if err != nil {
		return err
	}
	// The parts lock their own files; this one keeps two stacks apart that share
	// nothing but the directory.
	lock := flock.New(filepath.Join(dir, "lock"))
	if locked, err := lock.TryLock(); err != nil || !locked {
		return errors.Join(fmt.Errorf("data directory %s is in use by another gamemaster, give another with --data", dir), err)
	}
	defer func() { _ = lock.Unlock() }()
	s, err := startStack(p.ctx, stackOptions{
		dir: dir, apiAddr: c.API, adminAddr: c.Admin, temporalAddr: c.Temporal, uiAddr: c.UI, rtmAddr: c.RTM,
		databaseURL: settings.DatabaseURL, rtmURL: settings.RTMURL, environ: p.environ,
		authFile: settings.AuthFile, temporalUI: settings.TemporalUI, taskQueue: settings.TaskQueue, budgets: settings.Budgets(),
		schedules: schedulesOf(settings), slots: settings.WorkerSlots, cache: settings.WorkerCache,
		progress: p.stderr, logger: p.devLogger(settings),
	})
	if err != nil {
		return err
	}
	s.describe(p.stdout)
	note := ""
	if settings.DatabaseURL == "" {
		note = "  (Postgres: user gamemaster, password in postgres/password)"
	}
	fmt.Fprintf(p.stdout, "  %-16s %s%s\n\n", "Data", dir, note)
	fmt.Fprintf(p.stdout, "Try:  gamemaster patch demo-1 1.4.3 --server %s\n", s.apiURL)
	fmt.Fprintf(p.stdout, "      curl -s %s/api/v1/internal/runtimes/demo-1/patch -H 'Authorization: Bearer %s' \\\n"+
		"        -H 'Content-Type: application/json' -d '{\"version\":\"1.4.4\"}'\n", s.apiURL, s.tokenHint())
	fmt.Fprintln(p.stdout, "Stop: Ctrl-C")
	err = s.Wait(p.ctx)
	return errors.Join(err, s.Close())
}

// checkAddresses refuses what would fail only after everything was started.
func (c *devCommand) checkAddresses(guarded bool) error {
	seen := map[string]string{}
	for _, flag := range []struct{ name, addr string }{
		{"--api", c.API}, {"--temporal", c.Temporal}, {"--ui", c.UI}, {"--rtm", c.RTM}, {"--admin", c.Admin},
	} {
		if flag.addr == "" {
			continue
		}
		host, port, err := net.SplitHostPort(flag.addr)
		if err != nil {
			return fmt.Errorf("%s: %w, want one such as 127.0.0.1:8080", flag.name, err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && (flag.name != "--api" || !guarded) {
			return fmt.Errorf("%s: %s is not a loopback address, and nothing keeps strangers out there (GAMEMASTER_AUTH_FILE does for the API)", flag.name, flag.addr)
		}
		if other, taken := seen[flag.addr]; taken && port != "0" {
			return fmt.Errorf("%s and %s are both %s", other, flag.name, flag.addr)
		}
		seen[flag.addr] = flag.name
	}
	return nil
}

// tokenHint is what to put for the token in a command to try.
func (s *stack) tokenHint() string {
	if s.options.authFile == "" {
		return devToken
	}
	return "TOKEN"
}

// describe prints where everything is. The database's password is not shown.
func (s *stack) describe(out io.Writer) {
	rtmNote := ""
	if s.simulator != nil {
		rtmNote = "  (simulator; control at /sim/faults and /sim/runtimes)"
	}
	fmt.Fprintf(out, "  %-16s %s  (token: %s; the contract is at /docs)\n", "API", s.apiURL, s.tokenHint())
	if s.uiURL != "" {
		fmt.Fprintf(out, "  %-16s %s\n", "Temporal UI", s.uiURL)
	}
	fmt.Fprintf(out, "  %-16s %s\n", "Temporal", s.temporal.address)
	fmt.Fprintf(out, "  %-16s %s%s\n", "Runtime Manager", s.rtmURL, rtmNote)
	config := s.pool.Config().ConnConfig
	fmt.Fprintf(out, "  %-16s %s:%d/%s\n", "Postgres", config.Host, config.Port, config.Database)
}

// devLogger logs for a person: text, and only what went wrong unless asked for
// more.
func (p *process) devLogger(settings config.Config) *slog.Logger {
	level, format := slog.LevelWarn, "text"
	if p.environ["GAMEMASTER_LOG_LEVEL"] != "" {
		level = settings.LogLevel
	}
	if p.environ["GAMEMASTER_LOG_FORMAT"] != "" {
		format = settings.LogFormat
	}
	return telemetry.NewLogger(p.stderr, format, level)
}

// dataDir returns the directory of the data, which it makes when it is missing.
func (c *devCommand) dataDir() (string, error) {
	dir := c.Data
	if dir == "" {
		var err error
		if dir, err = defaultDataDir(); err != nil {
			return "", err
		}
	}
	// Postgres runs under another user when this is root, who has to pass
	// through; what is in it is closed to others by its own modes.
	const passable = 0o755
	if err := os.MkdirAll(dir, passable); err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	return dir, nil
}

// rootDataDir is where root's data is kept: Postgres refuses to run as root, and
// the user that it runs as cannot pass through root's home.
const rootDataDir = "/var/lib/gamemaster-dev"

func defaultDataDir() (string, error) {
	if os.Geteuid() == 0 {
		return rootDataDir, nil
	}
	if data := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "gamemaster", "dev"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home directory to keep the data in, give --data: %w", err)
	}
	return filepath.Join(home, ".local", "share", "gamemaster", "dev"), nil
}
