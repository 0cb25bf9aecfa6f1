// Command drift measures the detector of internal/drift: how often it alarms where
// nothing has changed, how soon where something has, and what it costs. Beside it, on
// the same numbers, stand the rule "PSI of 0.2" and what Evidently does by default.
//
//	go run ./drift -python PYTHON-WITH-EVIDENTLY
//
// Results go into a file of JSON lines, and from there into tables. All but the costs
// depends on -seed alone, and not on the number of cores.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"sluice.io/sluice/benchmarks/record"
)

func main() {
	var b bench
	flag.StringVar(&b.out, "out", "results/drift.jsonl", "the file of results")
	flag.StringVar(&b.python, "python", "", "a Python with Evidently; empty: its rows stay out")
	flag.Uint64Var(&b.seed, "seed", 1, "of all that is random")
	flag.IntVar(&b.references, "references", 100, "references for false alarms; each is compared with 100 clean windows")
	flag.IntVar(&b.streams, "streams", 200, "streams for delays")
	only := flag.String("only", "false-alarms,delay,cost", "the parts to measure")
	flag.BoolVar(&b.full, "full", false, "as many windows of 5,000 rows as of less, not a fifth of them")
	against := flag.String("rivals", "", "a page to write that compares the detector with others; nothing else is measured")
	runs := flag.Int("runs", 100, "streams for each change with -rivals")
	stretches := flag.Int("stretches", 2000, "clean stretches for each limit with -rivals")
	tables := flag.Bool("tables", false, "measure nothing and print the tables of -out")
	flag.Parse()
	if *against != "" {
		r := newRace(b.seed, *runs, *stretches)
		r.run()
		if err := os.WriteFile(*against, []byte(r.page()), 0o644); err != nil { //nolint:gosec // a page for everybody
			fmt.Fprintln(os.Stderr, "drift:", err)
			os.Exit(1)
		}
		return
	}
	rows, err := record.Load(b.out)
	if !*tables {
		err = b.run(strings.Split(*only, ","))
		rows = b.rows
	}
	report(os.Stdout, rows)
	if err != nil {
		fmt.Fprintln(os.Stderr, "drift:", err)
		os.Exit(1)
	}
}

// bench is one whole measurement.
type bench struct {
	out, python         string
	seed                uint64
	references, streams int
	full                bool

	rows record.Rows // of the file
}

// The scenarios of the file's lines, beside "run".
const (
	partFalseAlarms = "false_alarms"
	partClean       = "clean"
	partDelay       = "delay"
	partCost        = "cost"
	partMemory      = "memory"
	partEvidently   = "evidently"
)

func (b *bench) run(parts []string) error {
	about := record.New("run", "seed", b.seed)
	about.Host = record.ThisHost()
	about.Host.Revision = record.RevisionOf("../internal/drift") // the detector's last change
	b.rows = record.Rows{about}
	for _, part := range parts {
		began := time.Now()
		var err error
		switch part {
		case "false-alarms":
			b.falseAlarms()
		case "delay":
			err = b.delay()
		case "cost":
			b.cost()
		default:
			err = errors.New("it has no such part")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %v\n", part, time.Since(began).Round(time.Second))
	}
	return record.Save(b.out, b.rows)
}

// add adds a line of a scenario, whose figures the caller sets.
func (b *bench) add(scenario string, figures map[string]float64, params ...any) {
	r := record.New(scenario, params...)
	r.Figures = figures
	b.rows = append(b.rows, r)
}

// parallel calls f with 0 to n-1 on all cores and returns what it returned, in order.
func parallel[T any](n int, f func(i int) T) []T {
	results, next := make([]T, n), make(chan int)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				results[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return results
}
