package patch

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that reads "1m30s" in JSON, so that an operator
// who opens a run's input sees times and not nanoseconds.
type Duration time.Duration

// String prints the duration as time.Duration does.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what [time.ParseDuration] takes.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}

// Budgets are the total times that a run gives each kind of callee, retries
// and waits between them included. They travel in the run's input, so that a
// replay sees the same ones whatever a worker is configured with by then.
type Budgets struct {
	// Store is for one step on Postgres.
	Store Duration `json:"store"`
	// Manager is for the recreate by Runtime Manager.
	Manager Duration `json:"manager"`
	// Undo is for one try of the compensation, the wait for a turn included.
	Undo Duration `json:"undo"`
	// Settle is how long a recreate may still land after it was given up on: a
	// container that looks untouched is believed only after that.
	Settle Duration `json:"settle"`
}

// DefaultBudgets returns the budgets of a run that was given none.
//
//   - Store, 1 minute: longer than a Postgres fail-over or restart, which is
//     the fault that heals by itself; beyond it the caller is better off with
//     an answer, because before the recreate nothing has happened yet.
//   - Manager, 2 minutes: a recreate takes seconds, a restart of Runtime
//     Manager itself less than a minute; three full call timeouts fit in.
//   - Undo, 15 minutes: giving up on it needs a person, so it outlasts a
//     deployment of Runtime Manager and the longest turn we expect.
//   - Settle, 30 seconds: what a call for a recreate is given to begin with.
func DefaultBudgets() Budgets {
	return Budgets{
		Store:   Duration(time.Minute),
		Manager: Duration(2 * time.Minute),
		Undo:    Duration(15 * time.Minute),
		Settle:  Duration(30 * time.Second),
	}
}

// Bounds of a budget: below the minimum not even one call fits, and a run that
// holds its game for more than a day has to be a person's decision.
const (
	MinBudget = time.Second
	MaxBudget = 24 * time.Hour
)

// OrDefaults returns budgets with its zero fields filled from
// [DefaultBudgets] and the others brought within [MinBudget] and [MaxBudget]:
// a run started by hand must not hang on a mistyped number.
func (budgets Budgets) OrDefaults() Budgets {
	defaults := DefaultBudgets()
	return Budgets{
		Store:   bounded(budgets.Store, defaults.Store),
		Manager: bounded(budgets.Manager, defaults.Manager),
		Undo:    bounded(budgets.Undo, defaults.Undo),
		Settle:  bounded(budgets.Settle, defaults.Settle),
	}
}

func bounded(value, fallback Duration) Duration {
	if value == 0 {
		return fallback
	}
	return Duration(min(max(time.Duration(value), MinBudget), MaxBudget))
}

// Validate reports the first budget out of bounds; zero means the default.
func (budgets Budgets) Validate() error {
	for _, budget := range []struct {
		name  string
		value Duration
	}{{"store", budgets.Store}, {"manager", budgets.Manager}, {"undo", budgets.Undo}, {"settle", budgets.Settle}} {
		value := time.Duration(budget.value)
		if value != 0 && (value < MinBudget || value > MaxBudget) {
			return fmt.Errorf("%s budget is %s, want %s to %s", budget.name, value, MinBudget, MaxBudget)
		}
	}
	return nil
}
