// Package config reads the environment, once, and reports all its faults
// together.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"time"

	"github.com/caarlos0/env/v11"

	"galaxy/gamemaster/internal/domain/patch"
)

// Config is what the processes take from the environment. The connection to
// Temporal is not in it: the SDK reads TEMPORAL_* by itself.
type Config struct {
	// DatabaseURL is a Postgres connection string.
	DatabaseURL string `env:"DATABASE_URL"`
	// RTMURL is the base URL of Runtime Manager.
	RTMURL string `env:"RTM_URL"`
	// TemporalUI is the base URL of Temporal's UI, which the API's answers link to;
	// empty means no links.
	TemporalUI string `env:"GAMEMASTER_TEMPORAL_UI_URL"`
	// AuthFile names the file that says whom the API lets in; see package auth.
	AuthFile string `env:"GAMEMASTER_AUTH_FILE"`
	// TaskQueue is what the workers poll and the API starts on.
	TaskQueue string `env:"GAMEMASTER_TASK_QUEUE" envDefault:"gamemaster"`

	// The budgets of a run; zero means the default of [patch.DefaultBudgets].
	// They are read by the API, which puts them into the run.
	StoreBudget   time.Duration `env:"GAMEMASTER_STORE_BUDGET"`
	ManagerBudget time.Duration `env:"GAMEMASTER_MANAGER_BUDGET"`
	UndoBudget    time.Duration `env:"GAMEMASTER_UNDO_BUDGET"`
	SettleTime    time.Duration `env:"GAMEMASTER_SETTLE_TIME"`

	// WorkerSlots is how many steps a worker runs at once, and WorkerCache how many
	// open runs it keeps at hand; zero means the worker's own defaults.
	WorkerSlots int `env:"GAMEMASTER_WORKER_SLOTS"`
	WorkerCache int `env:"GAMEMASTER_WORKER_CACHE"`

	// WatchInterval is from one pass of the watch to the next; zero means that
	// there is none. WatchHeal is what a pass does about a container on another
	// image than the record's: nothing, or [patch.ModeEnforce].
	WatchInterval time.Duration `env:"GAMEMASTER_WATCH_INTERVAL" envDefault:"5m"`
	WatchHeal     patch.Mode    `env:"GAMEMASTER_WATCH_HEAL"`

	// ExportInterval is from one pass of the export of histories to the next; zero
	// means that there is none.
	ExportInterval time.Duration `env:"GAMEMASTER_EXPORT_INTERVAL" envDefault:"1m"`

	LogLevel  slog.Level `env:"GAMEMASTER_LOG_LEVEL" envDefault:"info"`
	LogFormat string     `env:"GAMEMASTER_LOG_FORMAT" envDefault:"json"`
}

// Need is a variable that a command cannot do without.
type Need string

// The variables that commands may need.
const (
	NeedDatabase Need = "DATABASE_URL"
	NeedRTM      Need = "RTM_URL"
	NeedAuth     Need = "GAMEMASTER_AUTH_FILE"
)

// mends says how each needed variable is to be given.
var mends = map[Need]string{
	NeedDatabase: "is not set; want a Postgres connection string such as postgres://user@host:5432/gamemaster",
	NeedRTM:      "is not set; want the base URL of Runtime Manager such as http://rtm:8090",
	NeedAuth: "is not set, so that nobody could pass; want a YAML file with at least one auth mode: " +
		"tokens, oidc or certificates (`gamemaster token hash` prints an entry for it)",
}

// Load reads environ, a map of names to values. The error joins everything that
// is wrong, each with the variable's name; no value of a secret is in it.
func Load(environ map[string]string, needs ...Need) (Config, error) {
	var faults []error
	config, err := env.ParseAsWithOptions[Config](env.Options{Environment: environ})
	if err != nil {
		faults = append(faults, parseFaults(err)...)
	}
	for _, need := range needs {
		if environ[string(need)] == "" {
			faults = append(faults, fmt.Errorf("%s %s", need, mends[need]))
		}
	}
	faults = append(faults, config.check()...)
	return config, errors.Join(faults...)
}

// parseFaults names the variable of each field that could not be read.
func parseFaults(err error) []error {
	var aggregate env.AggregateError
	if !errors.As(err, &aggregate) {
		return []error{err}
	}
	var faults []error
	for _, fault := range aggregate.Errors {
		var parse env.ParseError
		if !errors.As(fault, &parse) {
			faults = append(faults, fault)
			continue
		}
		name := parse.Name
		if field, ok := reflect.TypeFor[Config]().FieldByName(parse.Name); ok {
			name = field.Tag.Get("env")
		}
		faults = append(faults, fmt.Errorf("%s: %w", name, parse.Err))
	}
	return faults
}

// minWatchInterval keeps Runtime Manager from being asked about every game all
// the time: a pass over a small fleet takes less than a second.
const minWatchInterval = 10 * time.Second

// minExportInterval keeps Temporal's visibility store from being asked all the
// time.
const minExportInterval = 10 * time.Second

// maxWorkerLimit bounds what a worker may be told to do at once: a mistyped number
// would have it take all connections, or all memory, of its host.
const maxWorkerLimit = 100_000

func (config Config) check() []error {
	var faults []error
	for _, limit := range []struct {
		name  string
		value int
	}{{"GAMEMASTER_WORKER_SLOTS", config.WorkerSlots}, {"GAMEMASTER_WORKER_CACHE", config.WorkerCache}} {
		if limit.value < 0 || limit.value > maxWorkerLimit {
			faults = append(faults, fmt.Errorf("%s: %d, want 1 to %d, or 0 for the default", limit.name, limit.value, maxWorkerLimit))
		}
	}
	if config.LogFormat != "json" && config.LogFormat != "text" {
		faults = append(faults, fmt.Errorf("GAMEMASTER_LOG_FORMAT: %q, want json or text", config.LogFormat))
	}
	for _, budget := range []struct {
		name  string
		value time.Duration
	}{
		{"GAMEMASTER_STORE_BUDGET", config.StoreBudget},
		{"GAMEMASTER_MANAGER_BUDGET", config.ManagerBudget},
		{"GAMEMASTER_UNDO_BUDGET", config.UndoBudget},
		{"GAMEMASTER_SETTLE_TIME", config.SettleTime},
	} {
		if budget.value != 0 && (budget.value < patch.MinBudget || budget.value > patch.MaxBudget) {
			faults = append(faults, fmt.Errorf("%s: %s, want %s to %s", budget.name, budget.value, patch.MinBudget, patch.MaxBudget))
		}
	}
	if config.WatchInterval != 0 && config.WatchInterval < minWatchInterval {
		faults = append(faults, fmt.Errorf("GAMEMASTER_WATCH_INTERVAL: %s, want at least %s, or 0 for no watch",
			config.WatchInterval, minWatchInterval))
	}
	if config.ExportInterval != 0 && config.ExportInterval < minExportInterval {
		faults = append(faults, fmt.Errorf("GAMEMASTER_EXPORT_INTERVAL: %s, want at least %s, or 0 for no export",
			config.ExportInterval, minExportInterval))
	}
	if config.WatchHeal != "" && config.WatchHeal != patch.ModeEnforce {
		faults = append(faults, fmt.Errorf("GAMEMASTER_WATCH_HEAL: %q, want %q, or nothing to heal nothing",
			config.WatchHeal, patch.ModeEnforce))
	}
	if config.RTMURL != "" {
		// The value may hold a password, so it is not repeated.
		if parsed, err := url.Parse(config.RTMURL); err != nil || parsed.Host == "" {
			faults = append(faults, errors.New("RTM_URL: not an absolute URL; want one such as http://rtm:8090"))
		}
	}
	if err := checkTemporalUI(config.TemporalUI); err != nil {
		faults = append(faults, err)
	}
	return faults
}

// checkTemporalUI takes what a link can begin with. What is wrong with another is
// told without its value, which may hold a password: every caller of the API
// would be shown it.
func checkTemporalUI(base string) error {
	if base == "" {
		return nil
	}
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") ||
		parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
		return errors.New("GAMEMASTER_TEMPORAL_UI_URL: want an http or https URL without user, query or fragment, such as https://temporal.example")
	}
	return nil
}

// Budgets returns the budgets for new runs.
func (config Config) Budgets() patch.Budgets {
	return patch.Budgets{
		Store:   patch.Duration(config.StoreBudget),
		Manager: patch.Duration(config.ManagerBudget),
		Undo:    patch.Duration(config.UndoBudget),
		Settle:  patch.Duration(config.SettleTime),
	}
}
