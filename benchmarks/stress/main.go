// Command stress measures the gateway where it is not comfortable: hostile
// clients, overload, bursts, many connections, changes under load; and what joining
// requests gains. Every scenario starts a gateway of its own on the loopback and
// ends with it.
//
//	go run ./stress
//	go run ./stress -only overload,burst
//	go run ./stress -group batching
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// scenario is one measurement. It fills the record that it is given.
type scenario struct {
	name string
	run  func(context.Context, *bench, *record.Record) error
}

// group is a report of its own.
type group struct {
	title     string
	scenarios []scenario
}

// groups are all reports by their names; the scenarios are in the reports' order.
func groups() map[string]group {
	return map[string]group{
		"stress": {"Under stress", []scenario{
			{"slow", slowWithin},
			{"slow-beyond", slowBeyond},
			{"unread", unread},
			{"bombs", bombs},
			{"bombs-default", bombsDefault},
			{"pipelined", pipelined},
			{"brackets", brackets},
			{"deadline", deadlineNodes},
			{"deadline-one-node", deadlineNode},
			{"connection-limit", connectionLimitReached},
			{"levels", levels},
			{"overload", overload},
			{"burst", burst},
			{"many-connections", manyConnections},
			{"heavy", heavyBesideLight},
			{"changes", changes},
		}},
		"batching": {"Batching that pays", []scenario{
			{"batching", batchedEncoder},
			{"rows", batchedRows},
			{"lengths", lengths},
		}},
	}
}

func (g group) names() []string {
	names := make([]string, len(g.scenarios))
	for i, s := range g.scenarios {
		names[i] = s.name
	}
	return names
}

// bench is what all scenarios share.
type bench struct {
	gateway, rawort, constant string // programs
	quick, tables             bool
	dir                       string // for models and configurations
}

// scale shortens a time in a quick run.
func (b *bench) scale(d time.Duration) time.Duration {
	if b.quick {
		return d / 3
	}
	return d
}

// count makes a number of clients smaller in a quick run.
func (b *bench) count(n int) int {
	if b.quick {
		return n / 10
	}
	return n
}

func main() {
	var b bench
	var name, only, out string
	flag.StringVar(&b.gateway, "gateway", "../bin/gateway", "the gateway's binary")
	flag.StringVar(&b.rawort, "rawort", "bin/rawort", "the program that runs a model in raw ONNX Runtime; left out where there is none")
	flag.StringVar(&b.constant, "noop", "bin/noop", "the program that answers a constant, for many-connections")
	flag.StringVar(&name, "group", "stress", "stress or batching")
	flag.StringVar(&only, "only", "", "the scenarios of the group to run, with commas between; empty for all")
	flag.StringVar(&out, "out", "", "where to write: .jsonl and .md are added, and scenarios that were not run keep their lines; empty for results/GROUP")
	flag.BoolVar(&b.quick, "quick", false, "a third of the time and a tenth of the clients")
	flag.BoolVar(&b.tables, "tables", false, "measure nothing, render what is there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.run(ctx, name, strings.FieldsFunc(only, func(r rune) bool { return r == ',' }), out); err != nil {
		fmt.Fprintln(os.Stderr, "stress:", err)
		os.Exit(1) //nolint:gocritic // the process ends: nothing is left to undo
	}
}

func (b *bench) run(ctx context.Context, name string, only []string, out string) (err error) {
	g, ok := groups()[name]
	if !ok {
		return fmt.Errorf("no group is called %q; there are %s", name, strings.Join(sortedKeys(groups()), ", "))
	}
	for _, o := range only {
		if !slices.Contains(g.names(), o) {
			return fmt.Errorf("no scenario is called %q; there are %s", o, strings.Join(g.names(), ", "))
		}
	}
	if out == "" {
		out = "results/" + name
	}
	if b.dir, err = os.MkdirTemp("", "sluice-stress-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	old, err := record.Load(out + ".jsonl")
	if err != nil {
		return err
	}
	if b.tables {
		return page.Write(out+".md", page.Scenarios(g.title, old))
	}
	var fresh record.Rows
	for _, s := range g.scenarios {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		r := record.New(s.name)
		r.Host = record.ThisHost()
		if b.quick {
			r.Params["quick"] = "true"
		}
		fmt.Fprintf(os.Stderr, "%s ...\n", s.name)
		begun := time.Now()
		if err := s.run(ctx, b, &r); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		r.Figures["seconds"] = time.Since(begun).Seconds()
		report(&r)
		fresh = append(fresh, r)
		// After each, so that what was measured survives a failure later on.
		if err := write(out, g.title, merge(old, fresh, g.names())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func write(out, title string, rows record.Rows) error {
	return errors.Join(record.Save(out+".jsonl", rows), page.Write(out+".md", page.Scenarios(title, rows)))
}

// merge takes a scenario's new record, else its old one, in the order of the names given.
func merge(old, fresh record.Rows, order []string) (list record.Rows) {
	for _, name := range order {
		if found := append(fresh.Where(name), old.Where(name)...); len(found) > 0 {
			list = append(list, found[0])
		}
	}
	return list
}

// report tells who waits how a scenario went.
func report(r *record.Record) {
	fmt.Fprintf(os.Stderr, "  %.0f s\n", r.Figures["seconds"])
	for _, c := range r.Checks {
		fmt.Fprintf(os.Stderr, "  %-8s %s: %s (%s)\n", c.Verdict, c.Claim, page.WithUnit(record.Number(c.Got), c.Unit), c.Want)
	}
}
