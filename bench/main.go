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
	"syscall"

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
	if err != nil && len(r.Results) == 0 && r.Scale == nil {
		return err
	}
	if err != nil {
		r.Incomplete = err.Error()
	}
	return errors.Join(err, o.print(os.Stdout, r))
}

// measure starts what all rivals share, and measures on it.
func (o options) measure(ctx context.Context, r *report.Report) (err error) {
	s, err := startStack(ctx, o.plan, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.measureAll(ctx, o.plan, r); err != nil {
		return err
	}
	return s.measureScale(ctx, o.plan.scale, r)
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
