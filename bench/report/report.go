// Package report sums up what the benchmark measured: figures over rounds, ratios
// between rivals, the bounds that the product is held to, and the tables of it all.
package report

import (
	"runtime"
	"time"

	"galaxy/gamemaster/bench/measure"
)

// Cell is what one window is measured at.
type Cell struct {
	// Temporal is the name of the server's setting.
	Temporal string        `json:"temporal"`
	Delay    time.Duration `json:"delay_ns"`
	Callers  int           `json:"callers"`
}

// Window is what the callers saw together in one span.
type Window struct {
	Latency measure.Latency `json:"latency"`
	// PerSecond counts the patches that were answered within the span.
	PerSecond float64 `json:"per_second"`
	Patches   int     `json:"patches"`
	// Slowest is the game whose request took longest, and Stall where its run stood
	// still, when that was far out of line.
	Slowest string `json:"slowest"`
	Stall   string `json:"stall,omitempty"`
}

// Result is one window of one rival.
type Result struct {
	Round int    `json:"round"`
	Rival string `json:"rival"`
	// Fleet is how many other games were in the database.
	Fleet int `json:"fleet"`
	Cell
	Window
	// Processes are the rival's own, and Servers what is beside it.
	Processes []Process `json:"processes"`
	Servers   []Process `json:"servers"`
	// Beside is how many processors the rivals took meanwhile that were not on turn,
	// without what Postgres did for them; zero where that cannot be known.
	Beside float64 `json:"beside_cpus,omitempty"`
}

// Process is what a process took while a window was measured, warm-up included.
type Process struct {
	Role string `json:"role"`
	// CPU is in seconds for each patch.
	CPU float64 `json:"cpu_s_per_patch"`
	// RSS and PeakRSS are in bytes at the end of the window; the peak is since the
	// process began. Zero for a server with child processes.
	RSS     float64 `json:"rss_bytes,omitempty"`
	PeakRSS float64 `json:"peak_rss_bytes,omitempty"`
}

// Cost is what one patch takes that depends on no machine.
type Cost struct {
	Rival string `json:"rival"`
	// Statements and RoundTrips are those to Postgres, with what the rival's
	// processes asked meanwhile anyway.
	Statements float64 `json:"sql_statements"`
	RoundTrips float64 `json:"sql_round_trips"`
	// Events and HistoryBytes are of a run's history; zero without Temporal.
	Events       float64 `json:"history_events,omitempty"`
	HistoryBytes float64 `json:"history_bytes,omitempty"`
	// Actions are what Temporal Cloud bills by its published rules, heartbeats
	// included. Heartbeats are those that reached the server.
	Actions    float64 `json:"actions,omitempty"`
	Heartbeats float64 `json:"heartbeats,omitempty"`
	// ServerActions is the server's own count, which has changes of the memo in it
	// as well.
	ServerActions float64 `json:"server_actions,omitempty"`
	// Kinds tells of each kind of event how often it was there.
	Kinds map[string]float64 `json:"event_kinds,omitempty"`
}

// Open is what the product took while many patches were open at once.
type Open struct {
	Rival string `json:"rival"`
	// Patches were asked for, and AtOnce of them open when the last was.
	Patches int `json:"patches"`
	AtOnce  int `json:"at_once"`
	// Rested and Full are what its processes and the servers beside it took before
	// the first and when all were open; CPU is the total, in seconds.
	Rested []Process `json:"rested"`
	Full   []Process `json:"full"`
	// After is what they took when all had ended, with the most that they ever held.
	After []Process `json:"after"`
	// Repeated requests were answered that the server was too busy, and sent again.
	Repeated int `json:"repeated"`
	// AskedIn is how long it took to ask for all, EndedIn from when Runtime Manager
	// let go until all had ended well.
	AskedIn time.Duration `json:"asked_in_ns"`
	EndedIn time.Duration `json:"ended_in_ns"`
}

// Plan says what was measured.
type Plan struct {
	WarmUp time.Duration `json:"warm_up_ns"`
	Length time.Duration `json:"window_ns"`
	// Fleet is how many other games were in the database.
	Fleet int `json:"fleet"`
	// Blocks are the ways to run Temporal; the first is the one that the ratios are
	// of.
	Blocks []Block `json:"blocks"`
}

// Block is what was measured on one Temporal server.
type Block struct {
	Temporal string        `json:"temporal"`
	Rivals   []string      `json:"rivals"`
	Cells    []PlannedCell `json:"cells"`
}

// PlannedCell is a cell and how often all rivals are measured at it, one directly
// after the other.
type PlannedCell struct {
	Cell
	Rounds int `json:"rounds"`
}

// Report is everything that a run came to, as -json prints it.
type Report struct {
	// Incomplete says why not all of the plan was measured.
	Incomplete string `json:"incomplete,omitempty"`

	Machine machine  `json:"machine"`
	Plan    Plan     `json:"plan"`
	Results []Result `json:"results"`
	// Steady are the long windows, see -steady.
	Steady []Result `json:"steady,omitempty"`
	// Growth are windows beside few other games and beside many, see -growth.
	Growth []Result `json:"growth,omitempty"`
	// Open is what the product took with many patches open, see -open.
	Open []Open `json:"open,omitempty"`
	// Scale is what the stores take of a few runtimes and of many, see -scale.
	Scale *Scale `json:"scale,omitempty"`
	Costs []Cost `json:"costs"`
	// Rows and Ratios are summed up from the others.
	Rows   []row   `json:"rows"`
	Ratios []ratio `json:"ratios"`
}

// machine is what the times are of.
type machine struct {
	OS   string    `json:"os"`
	CPUs int       `json:"cpus"`
	Go   string    `json:"go"`
	When time.Time `json:"when"`
	// Load is the machine's load average after each round, of the minute before;
	// empty where it cannot be known.
	Load []float64 `json:"load,omitempty"`
}

// row is one rival at one cell over all rounds. Times are in seconds.
type row struct {
	Rival string `json:"rival"`
	Cell
	P50       measure.Spread `json:"p50_s"`
	P95       measure.Spread `json:"p95_s"`
	P99       measure.Spread `json:"p99_s"`
	Max       measure.Spread `json:"max_s"`
	PerSecond measure.Spread `json:"per_second"`
	// Patches is how many were measured in all rounds.
	Patches int `json:"patches"`
	// The ratios are round by round; without that rival they have no rounds.
	P50ToFloor measure.Spread `json:"p50_to_floor"`
	P50ToSaga  measure.Spread `json:"p50_to_saga"`
	RateToSaga measure.Spread `json:"per_second_to_saga"`
	// Costs are of the rival's processes and the servers beside it, by role.
	Costs []rowCost `json:"processes"`
}

// rowCost is what one process took at one cell over all rounds.
type rowCost struct {
	Role string         `json:"role"`
	CPU  measure.Spread `json:"cpu_s_per_patch"`
	RSS  measure.Spread `json:"rss_bytes"`
	Peak measure.Spread `json:"peak_rss_bytes"`
}

// New returns a report on this machine, without any results.
func New(plan Plan) *Report {
	return &Report{
		Machine: machine{
			OS: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), When: time.Now().UTC(),
		},
		Plan: plan,
	}
}

// SumUp fills in the rows, of what was measured, and the ratios.
func (r *Report) SumUp() {
	r.Rows, r.Ratios = nil, nil
	for _, b := range r.Plan.Blocks {
		for _, c := range b.Cells {
			for _, rival := range b.Rivals {
				if row := r.row(rival, c.Cell); row.P50.N > 0 {
					r.Rows = append(r.Rows, row)
				}
			}
		}
	}
	r.Ratios = r.ratios()
}

// rounds returns a figure of a rival at a cell, round by round.
func (r *Report) rounds(rival string, c Cell, figure func(Result) float64) map[int]float64 {
	found := map[int]float64{}
	for _, result := range r.Results {
		if result.Rival == rival && result.Cell == c {
			found[result.Round] = figure(result)
		}
	}
	return found
}

func (r *Report) spread(rival string, c Cell, figure func(Result) float64) measure.Spread {
	var values []float64
	for _, value := range r.rounds(rival, c, figure) {
		values = append(values, value)
	}
	return measure.SpreadOf(values)
}

// ratio of a figure of one rival to that of another.
func (r *Report) ratio(over, under string, c Cell, figure func(Result) float64) measure.Spread {
	return measure.RatioOf(r.rounds(over, c, figure), r.rounds(under, c, figure))
}

// The figures of a result.
func p50(r Result) float64       { return r.Latency.P50.Seconds() }
func p95(r Result) float64       { return r.Latency.P95.Seconds() }
func p99(r Result) float64       { return r.Latency.P99.Seconds() }
func slowest(r Result) float64   { return r.Latency.Max.Seconds() }
func perSecond(r Result) float64 { return r.PerSecond }

// The rivals that ratios are to.
const (
	floorName = "floor"
	sagaName  = "saga"
)

func (r *Report) row(rival string, c Cell) row {
	sum := row{
		Rival: rival, Cell: c,
		P50: r.spread(rival, c, p50), P95: r.spread(rival, c, p95), P99: r.spread(rival, c, p99),
		Max: r.spread(rival, c, slowest), PerSecond: r.spread(rival, c, perSecond),
		P50ToFloor: r.ratio(rival, floorName, c, p50), P50ToSaga: r.ratio(rival, sagaName, c, p50),
		RateToSaga: r.ratio(rival, sagaName, c, perSecond),
	}
	costs := map[string]map[int]Process{}
	var roles []string
	for _, result := range r.Results {
		if result.Rival != rival || result.Cell != c {
			continue
		}
		sum.Patches += result.Patches
		for _, cost := range append(append([]Process{}, result.Processes...), result.Servers...) {
			if costs[cost.Role] == nil {
				costs[cost.Role], roles = map[int]Process{}, append(roles, cost.Role)
			}
			costs[cost.Role][result.Round] = cost
		}
	}
	for _, role := range roles {
		sum.Costs = append(sum.Costs, costOfRole(role, costs[role]))
	}
	return sum
}

func costOfRole(role string, rounds map[int]Process) rowCost {
	var cpu, rss, peak []float64
	for _, cost := range rounds {
		cpu, rss, peak = append(cpu, cost.CPU), append(rss, cost.RSS), append(peak, cost.PeakRSS)
	}
	return rowCost{role, measure.SpreadOf(cpu), measure.SpreadOf(rss), measure.SpreadOf(peak)}
}
