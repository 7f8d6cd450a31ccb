package main

import (
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// options are what the command line says.
type options struct {
	short, full, judged, json, strict, growth bool
	// only and on choose rivals and settings of Temporal by regular expression.
	only, on string
	// given overrides the plan where it is not zero, and rounds those of its cells.
	given  plan
	rounds int
	plan   plan
}

// parseOptions reads the command line, or returns flag.ErrHelp.
func parseOptions(args []string) (options, error) {
	var o options
	if err := o.flags().Parse(args); err != nil {
		return options{}, err
	}
	chosen, err := chooseRivals(o.only, o.given.scale.many == 0)
	if err != nil {
		return options{}, err
	}
	switch {
	case o.short:
		o.plan = shortPlan(chosen)
	case o.full:
		o.plan = fullPlan(chosen)
	case o.judged:
		o.plan = judgedPlan(chosen)
	default:
		o.plan = usualPlan(chosen)
	}
	if o.growth {
		o.plan.fleets = manyFleets
	}
	o.plan.product, o.plan.profiles = o.given.product, o.given.profiles
	override(&o.plan.length, o.given.length)
	override(&o.plan.steady, o.given.steady)
	override(&o.plan.open, o.given.open)
	override(&o.plan.fleet, o.given.fleet)
	override(&o.plan.scale.many, o.given.scale.many)
	override(&o.plan.timeout, o.given.timeout)
	if o.plan.blocks, err = chooseBlocks(o.plan.blocks, o.on); err != nil {
		return options{}, err
	}
	for _, b := range o.plan.blocks {
		for i := range b.cells {
			override(&b.cells[i].Rounds, o.rounds)
		}
	}
	return o, nil
}

// flags fill in the options.
func (o *options) flags() *flag.FlagSet {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.BoolVar(&o.short, "short", false, "a minute's run that uses every part and measures nothing well")
	set.BoolVar(&o.full, "full", false, "the whole cross product")
	set.BoolVar(&o.judged, "judged", false, "only what the ratios are judged by, with Temporal in each setting")
	set.BoolVar(&o.json, "json", false, "print everything as JSON, and the tables to standard error")
	set.BoolVar(&o.strict, "strict", false, "end with an error when a ratio is missed")
	set.BoolVar(&o.growth, "growth", false, "measure all beside 100 and 100,000 other games as well")
	set.StringVar(&o.only, "only", "", "regular expression of the `rivals` to run; without it all but the extra ones")
	set.StringVar(&o.on, "temporal", "", "regular expression of the `settings` of Temporal to measure; the ratios are of the first")
	set.StringVar(&o.given.product, "gamemaster", "", "absolute `path` of the gamemaster to measure; without it the one of this checkout is built")
	set.StringVar(&o.given.profiles, "profile", "", "absolute path of a `directory` to write profiles of the product to as well, of a minute at 32 callers")
	set.IntVar(&o.rounds, "rounds", 0, "how often each rival is measured at every cell")
	set.IntVar(&o.given.open, "open", 0, "have so many patches of the product open at once as well")
	set.IntVar(&o.given.fleet, "fleet", 0, "how many other games are in the database")
	set.IntVar(&o.given.scale.many, "scale", 0, "measure the stores with a few runtimes and with so many as well, a multiple of "+strconv.Itoa(scaleFew))
	set.DurationVar(&o.given.length, "window", 0, "how long each window is")
	set.DurationVar(&o.given.steady, "steady", 0, "measure the product at 8 callers for that long at a stretch as well")
	set.DurationVar(&o.given.timeout, "timeout", 0, "end after that time")
	set.Usage = func() { usageText(set) }
	return set
}

func usageText(set *flag.FlagSet) {
	out := set.Output()
	fmt.Fprintln(out, "usage: go run -C bench . [flags]")
	set.PrintDefaults()
	fmt.Fprintln(out, "rivals:")
	for _, r := range allRivals() {
		fmt.Fprintf(out, "  %-18s %s\n", r.name, r.about)
	}
	fmt.Fprintln(out, "settings of Temporal:")
	for _, setting := range temporalSettings() {
		fmt.Fprintf(out, "  %s\n", setting.name)
	}
}

// override takes a flag that was given.
func override[T int | time.Duration](setting *T, given T) {
	if given > 0 {
		*setting = given
	}
}

// chooseRivals may choose none where something else is measured.
func chooseRivals(only string, want bool) ([]rival, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	chosen := slices.DeleteFunc(allRivals(), func(r rival) bool {
		return (only == "" && r.extra) || !pattern.MatchString(r.name)
	})
	if len(chosen) == 0 && want {
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
