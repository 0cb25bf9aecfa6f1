// Command stress runs scenarios, each with gateways of its own on the loopback: hostile
// clients, overload, bursts, many connections, changes under load; and, as groups of their
// own, what joining requests gains, what a shadow costs and what many models cost.
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
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// scenario is one measurement. It fills the record that it is given.
type scenario struct {
	name string
	run  func(*bench, context.Context, *record.Record) error
}

// group is a report of its own; its scenarios are in the report's order.
type group struct {
	title     string
	printed   bool // the file of results has more than the tables: they are printed, not written
	scenarios []scenario
}

func groups() map[string]group {
	return map[string]group{
		"stress": {"Under stress", false, []scenario{
			{"slow", (*bench).slowWithin},
			{"slow-beyond", (*bench).slowBeyond},
			{"unread", (*bench).unread},
			{"bombs", (*bench).bombsLimited},
			{"bombs-default", (*bench).bombsDefault},
			{"pipelined", (*bench).pipelined},
			{"brackets", (*bench).brackets},
			{"deadline", (*bench).deadlineNodes},
			{"deadline-one-node", (*bench).deadlineNode},
			{"connection-limit", (*bench).connectionLimit},
			{"levels", (*bench).levels},
			{"overload", (*bench).overload},
			{"burst", (*bench).burst},
			{"many-connections", (*bench).manyConnections},
			{"heavy", (*bench).heavyBesideLight},
			{"changes", (*bench).changes},
		}},
		"batching": {"Batching that pays", false, []scenario{
			{"batching", (*bench).batchedEncoder},
			{"rows", (*bench).batchedRows},
			{"lengths", (*bench).lengths},
		}},
		"shadow": {"What a shadow costs those who answer", true, []scenario{{"shadow", (*bench).shadows}}},
		"many":   {"Cost of many models for the control plane", true, []scenario{{"many", (*bench).manyModels}}},
	}
}

// bench is what all scenarios share.
type bench struct {
	program, raw, noop string
	quick              bool
	shadowRate         float64
	dir                string // for models and configurations
}

// scale shortens a time in a quick run.
func (b *bench) scale(d time.Duration) time.Duration {
	if b.quick {
		return d / 3
	}
	return d
}

// scaleRounds leaves one in a quick run.
func (b *bench) scaleRounds(n int) int {
	if b.quick {
		return 1
	}
	return n
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
	name := flag.String("group", "stress", "stress, batching, shadow or many")
	only := flag.String("only", "", "the scenarios of the group to run, with commas between them; empty for all")
	out := flag.String("out", "", "where to write: .jsonl and .md are added, and scenarios that were not run keep their lines; empty for results/GROUP")
	tables := flag.Bool("tables", false, "measure nothing, render what is there")
	flag.StringVar(&b.program, "gateway", "../bin/gateway", "the gateway's binary")
	flag.StringVar(&b.raw, "rawort", "bin/rawort", "the program that runs a model in raw ONNX Runtime")
	flag.StringVar(&b.noop, "noop", "bin/noop", "the program that answers a constant")
	flag.Float64Var(&b.shadowRate, "rate", 0, "requests per second of the group shadow; 0: half of the peak")
	flag.BoolVar(&b.quick, "quick", false, "a third of the time and a tenth of the clients")
	flag.Parse()
	g := groups()[*name]
	if *out == "" && !g.printed {
		*out = "results/" + *name
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.runGroup(ctx, g, *only, *out, *tables); err != nil {
		fmt.Fprintln(os.Stderr, "stress:", err)
		os.Exit(1) //nolint:gocritic // the process ends: nothing is left to undo
	}
}

func (b *bench) runGroup(ctx context.Context, g group, only, out string, tables bool) (err error) {
	var rows record.Rows
	if out != "" {
		if rows, err = record.Load(out + ".jsonl"); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp("", "sluice-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	chosen, found := strings.Split(only, ","), tables
	for _, s := range g.scenarios {
		if tables || only != "" && !slices.Contains(chosen, s.name) {
			continue
		}
		r, err := b.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		rows, found = g.merge(rows, r), true
		if out != "" { // after each, so that what was measured survives a failure later on
			err = record.Save(out+".jsonl", rows)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case !found:
		return errors.New("there is no such scenario; see -h and main.go")
	case out == "":
		fmt.Print(page.Scenarios(g.title, rows))
		return nil
	}
	return page.Write(out+".md", page.Scenarios(g.title, rows))
}

// measure runs one scenario, and reports the progress.
func (b *bench) measure(ctx context.Context, s scenario) (record.Record, error) {
	r := record.New(s.name)
	r.Host = record.ThisHost()
	if b.quick {
		r.Params["quick"] = "true"
	}
	begun := time.Now()
	if err := s.run(b, ctx, &r); err != nil {
		return r, err
	}
	r.Figures["seconds"] = time.Since(begun).Seconds()
	fmt.Fprintf(os.Stderr, "%s: %.0f s\n", s.name, r.Figures["seconds"])
	for _, c := range r.Checks {
		fmt.Fprintf(os.Stderr, "  %-8s %s: %s (%s)\n", c.Verdict, c.Claim, page.WithUnit(record.Number(c.Got), c.Unit), c.Want)
	}
	return r, nil
}

// merge puts a scenario's new record in the place of its old one.
func (g group) merge(old record.Rows, fresh record.Record) (list record.Rows) {
	for _, s := range g.scenarios {
		if s.name == fresh.Scenario {
			list = append(list, fresh)
		} else {
			list = append(list, old.Where(s.name)...)
		}
	}
	return list
}
