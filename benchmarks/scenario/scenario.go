// Package scenario runs measurements that start gateways of their own: it has their
// command line, their gateways and loads, and writes what they saw.
package scenario

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// Scenario is one measurement. It fills the record that it is given.
type Scenario struct {
	Name string
	Run  func(context.Context, *Bench, *record.Record) error
}

// Group is a report of its own.
type Group struct {
	Title     string
	Scenarios []Scenario // in the report's order
}

// Bench is what all scenarios share.
type Bench struct {
	Gateway, Raw, Noop string // programs
	Quick              bool
	Dir                string // for models and configurations

	tables    bool
	only, out string
}

// Scale shortens a time in a quick run.
func (b *Bench) Scale(d time.Duration) time.Duration {
	if b.Quick {
		return d / 3
	}
	return d
}

// Count makes a number of clients smaller in a quick run.
func (b *Bench) Count(n int) int {
	if b.Quick {
		return n / 10
	}
	return n
}

// Main is the command of some groups, by their names. It keeps their results in the folder
// results, or prints them if keep is false. The caller's own flags are parsed too.
func Main(command string, keep bool, groups map[string]Group) {
	var b Bench
	name := flag.String("group", command, strings.Join(slices.Sorted(maps.Keys(groups)), " or "))
	flag.StringVar(&b.Gateway, "gateway", "../bin/gateway", "the gateway's binary")
	flag.StringVar(&b.only, "only", "", "the scenarios of the group to run, with commas between; empty for all")
	if keep {
		flag.StringVar(&b.Raw, "rawort", "bin/rawort", "the program that runs a model in raw ONNX Runtime; its rows are left out if it was not built")
		flag.StringVar(&b.Noop, "noop", "bin/noop", "the program that answers a constant, for many-connections")
		flag.StringVar(&b.out, "out", "", "where to write: .jsonl and .md are added, and scenarios that were not run keep their lines; empty for results/GROUP")
		flag.BoolVar(&b.Quick, "quick", false, "a third of the time and a tenth of the clients")
		flag.BoolVar(&b.tables, "tables", false, "measure nothing, render what is there")
	}
	flag.Parse()
	if keep && b.out == "" {
		b.out = "results/" + *name
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	g, ok := groups[*name]
	err := fmt.Errorf("no group is called %q; see -h", *name)
	if ok {
		err = b.run(ctx, g, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
		os.Exit(1) //nolint:gocritic // the process ends: nothing is left to undo
	}
}

func (b *Bench) run(ctx context.Context, g Group, stdout io.Writer) (err error) {
	chosen, err := g.choose(b.only)
	if err != nil {
		return err
	}
	var old record.Rows
	if b.out != "" {
		if old, err = record.Load(b.out + ".jsonl"); err != nil {
			return err
		}
	}
	if b.tables {
		return page.Write(b.out+".md", page.Scenarios(g.Title, old))
	}
	if b.Dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.Dir) //nolint:errcheck // a temporary folder
	var fresh record.Rows
	for _, s := range chosen {
		r, err := b.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		fresh = append(fresh, r)
		if b.out == "" {
			continue
		}
		// After each, so that what was measured survives a failure later on.
		if err := write(b.out, g.Title, g.merge(old, fresh)); err != nil {
			return err
		}
	}
	if b.out == "" {
		fmt.Fprint(stdout, page.Scenarios(g.Title, fresh))
	}
	return ctx.Err()
}

// choose returns the scenarios of these names, with commas between them; all for "".
func (g Group) choose(only string) (chosen []Scenario, err error) {
	if only == "" {
		return g.Scenarios, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(g.Scenarios, func(s Scenario) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("the group has no scenario %q", name)
		}
		chosen = append(chosen, g.Scenarios[i])
	}
	return chosen, nil
}

// measure runs one scenario, and reports the progress.
func (b *Bench) measure(ctx context.Context, s Scenario) (record.Record, error) {
	r := record.New(s.Name)
	r.Host = record.ThisHost()
	if b.Quick {
		r.Params["quick"] = "true"
	}
	fmt.Fprintf(os.Stderr, "%s ...\n", s.Name)
	begun := time.Now()
	if err := s.Run(ctx, b, &r); err != nil {
		return r, err
	}
	r.Figures["seconds"] = time.Since(begun).Seconds()
	fmt.Fprintf(os.Stderr, "  %.0f s\n", r.Figures["seconds"])
	for _, c := range r.Checks {
		fmt.Fprintf(os.Stderr, "  %-8s %s: %s (%s)\n", c.Verdict, c.Claim, page.WithUnit(record.Number(c.Got), c.Unit), c.Want)
	}
	return r, nil
}

func write(out, title string, rows record.Rows) error {
	return errors.Join(record.Save(out+".jsonl", rows), page.Write(out+".md", page.Scenarios(title, rows)))
}

// merge takes a scenario's new record, else its old one.
func (g Group) merge(old, fresh record.Rows) (list record.Rows) {
	for _, s := range g.Scenarios {
		if found := append(fresh.Where(s.Name), old.Where(s.Name)...); len(found) > 0 {
			list = append(list, found[0])
		}
	}
	return list
}
