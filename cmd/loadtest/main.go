package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if name := os.Getenv(roleVariable); name != "" {
		if err := play(name, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, name+":", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	gateway string
	race    bool
	pin     bool
	quick   bool
	keep    bool
	dir     string
	soak    time.Duration
	rate    float64
	stalls  time.Duration
	ledger  int
}

// scenario is a load and the tables of its results.
type scenario struct {
	name, does string
	run        func(context.Context, options, *report) error
}

var scenarios = []scenario{
	{"peers", "closed and open loop, beside a bare handler, a proxy and no gateway at all", peers},
	{"overload", "four times as much as the endpoint can do", overload},
	{"faults", "the endpoint stalls, throttles, resets, answers nonsense", faults},
	{"crowd", "idle connections and slow writers, beside predictions", crowd},
	{"batch", "a million rows in one request, beside predictions", batch},
	{"large", "requests of many rows where rows take their time, beside predictions", large},
	{"stalls", "the gateway is held up now and then, under a load that can be done", stalls},
	{"console", "an operator with the console open, beside predictions, with a full ledger", console},
	{"soak", "mixed load with renewals, rotations and faults, and what is left of it", soak},
}

const usageText = `usage: loadtest [flags] [scenario…]

Starts a gateway on the SageMaker platform before a stand-in, puts it under load
and prints tables. Without a scenario all are run; with quick, a short form of
those named, or of all. Ends with 1 if an answer was wrong or a process died.

`

// command runs the scenarios of the arguments and returns the exit status.
func command(ctx context.Context, args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("loadtest", flag.ContinueOnError)
	flags.SetOutput(errs)
	var o options
	flags.StringVar(&o.gateway, "gateway", "", "the `binary` to test; empty: it is built from this module")
	flags.BoolVar(&o.race, "race", false, "build it with the race detector (needs a C compiler)")
	flags.BoolVar(&o.pin, "pin", false, "give what is measured the last processor for its own")
	flags.BoolVar(&o.keep, "keep", false, "keep logs and data, and say where they are")
	flags.StringVar(&o.dir, "dir", "", "`folder` for data and logs; empty: that of the system for temporary files")
	flags.DurationVar(&o.soak, "soak", 15*time.Minute, "how long the soak takes")
	flags.Float64Var(&o.rate, "rate", 200, "requests per second of the soak")
	flags.DurationVar(&o.stalls, "stalls", 10*time.Minute, "how long the stalls take")
	flags.IntVar(&o.ledger, "ledger", 1_000_000, "predictions in the ledger of the scenario console")
	flags.Usage = func() {
		fmt.Fprint(errs, usageText)
		for _, s := range scenarios {
			fmt.Fprintf(errs, "  %-10s%s\n", s.name, s.does)
		}
		fmt.Fprintf(errs, "  %-10s%s\n\n", "quick", "the short form")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	chosen, err := choose(flags.Args(), &o)
	if err != nil {
		fmt.Fprintln(errs, "loadtest:", err)
		return 2
	}
	if err := perform(ctx, o, chosen, out, errs); err != nil {
		fmt.Fprintln(errs, "loadtest:", err)
		return 1
	}
	return 0
}

func choose(names []string, o *options) ([]scenario, error) {
	var chosen []scenario
	for _, name := range names {
		if name == "quick" {
			o.quick = true
			continue
		}
		at := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if at < 0 {
			return nil, fmt.Errorf("unknown scenario %q; --help lists the scenarios", name)
		}
		chosen = append(chosen, scenarios[at])
	}
	if len(chosen) == 0 {
		chosen = scenarios
	}
	if o.soak <= 0 || o.rate <= 0 || o.stalls <= 0 || o.ledger <= 0 {
		return nil, errors.New("-soak, -rate, -stalls and -ledger must be more than 0")
	}
	return chosen, nil
}

func perform(ctx context.Context, o options, chosen []scenario, out, say io.Writer) (err error) {
	dir, err := os.MkdirTemp(o.dir, "loadtest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.gateway, err = binary(ctx, o, dir, say); err != nil {
		return err
	}
	r := &report{out: out}
	for _, s := range chosen {
		fmt.Fprintf(say, "%s: %s\n", s.name, s.does)
		if err := s.run(ctx, o, r); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if r.wrong > 0 {
		return fmt.Errorf("%d answers were wrong", r.wrong)
	}
	names := make([]string, len(chosen))
	for i, s := range chosen {
		names[i] = s.name
	}
	r.note("Every score was checked, in %s: none was wrong.", strings.Join(names, ", "))
	return nil
}
