// Command bench measures what a patch costs beside what else one could write, on
// one machine and one Postgres, in turns. See README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"

	"galaxy/gamemaster/bench/report"
)

// serveCommand is the subcommand by which this program is a rival's process.
const serveCommand = "serve"

// server serves one process of a rival until ctx ends, and says to out when it is
// ready.
type server func(ctx context.Context, out io.Writer) error

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == serveCommand {
		serve, known := servers[args[1]]
		if !known {
			return fmt.Errorf("no server %q", args[1])
		}
		return serve(ctx, os.Stdout)
	}
	o, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	return o.run(ctx)
}

// options are what the command line says.
type options struct {
	plan   plan
	json   bool
	strict bool
}

func parseOptions(args []string) (options, error) {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := set.Bool("short", false, "a minute's run that uses every part and measures nothing well")
	full := set.Bool("full", false, "the whole cross product")
	asJSON := set.Bool("json", false, "print everything as JSON, and the tables to standard error")
	strict := set.Bool("strict", false, "end with an error when a ratio is missed")
	only := set.String("only", "", "regular expression of the `rivals` to run; without it all but the extra ones")
	on := set.String("temporal", "", "regular expression of the `settings` of Temporal to measure; the ratios are of the first")
	rounds := set.Int("rounds", 0, "how often each rival is on turn")
	window := set.Duration("window", 0, "how long each window is")
	steady := set.Duration("steady", 0, "measure the product at 8 callers for that long at a stretch as well")
	fleet := set.Int("fleet", 0, "how many other games are in the database")
	timeout := set.Duration("timeout", 0, "end after that time")
	set.Usage = func() {
		fmt.Fprintln(set.Output(), "usage: go run -C bench . [flags]")
		set.PrintDefaults()
		fmt.Fprintln(set.Output(), "rivals:")
		for _, r := range allRivals() {
			fmt.Fprintf(set.Output(), "  %-18s %s\n", r.name, r.about)
		}
		fmt.Fprintln(set.Output(), "settings of Temporal:")
		for _, setting := range temporalSettings() {
			fmt.Fprintf(set.Output(), "  %s\n", setting.name)
		}
	}
	if err := set.Parse(args); err != nil {
		return options{}, err
	}
	chosen, err := chooseRivals(*only)
	if err != nil {
		return options{}, err
	}
	o := options{json: *asJSON, strict: *strict}
	switch {
	case *short:
		o.plan = shortPlan(chosen)
	case *full:
		o.plan = fullPlan(chosen)
	default:
		o.plan = usualPlan(chosen)
	}
	if o.plan.blocks, err = chooseBlocks(o.plan.blocks, *on); err != nil {
		return options{}, err
	}
	override(&o.plan.rounds, *rounds)
	override(&o.plan.length, *window)
	override(&o.plan.steady, *steady)
	override(&o.plan.fleet, *fleet)
	override(&o.plan.timeout, *timeout)
	return o, nil
}

// override takes a flag that was given.
func override[T int | time.Duration](setting *T, given T) {
	if given > 0 {
		*setting = given
	}
}

func chooseRivals(only string) ([]rival, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	chosen := slices.DeleteFunc(allRivals(), func(r rival) bool {
		return (only == "" && r.extra) || !pattern.MatchString(r.name)
	})
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-only: no rival is called %q", only)
	}
	return chosen, nil
}

func chooseBlocks(blocks []block, on string) ([]block, error) {
	pattern, err := regexp.Compile(on)
	if err != nil {
		return nil, fmt.Errorf("-temporal: %w", err)
	}
	chosen := slices.DeleteFunc(blocks, func(b block) bool { return !pattern.MatchString(b.setting.name) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-temporal: no setting that is to be measured is called %q", on)
	}
	return chosen, nil
}

// run measures what the plan says and prints it; of a run that failed or was
// stopped, what there is by then.
func (o options) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.plan.timeout, fmt.Errorf("it took longer than %s", o.plan.timeout))
	defer cancel()
	r := report.New(o.plan.told())
	err := o.measure(ctx, r)
	if err != nil && ctx.Err() != nil {
		// All else follows from it.
		err = context.Cause(ctx)
	}
	if err != nil && len(r.Results) == 0 {
		return err
	}
	if err != nil {
		r.Incomplete = err.Error()
	}
	return errors.Join(err, o.print(os.Stdout, r))
}

// measure starts what all rivals share, and measures on it.
func (o options) measure(ctx context.Context, r *report.Report) (err error) {
	s, err := startStack(ctx, o.plan.fleet, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.measureAll(ctx, o.plan, r)
}

func (o options) print(out io.Writer, r *report.Report) error {
	r.SumUp()
	if o.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
		out = os.Stderr
	}
	r.Write(out)
	if o.strict && r.Missed() {
		return errors.New("a ratio was missed")
	}
	return nil
}
