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
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

func main() {
	var b bench
	flag.StringVar(&b.out, "out", "results/drift.jsonl", "the file of results")
	flag.StringVar(&b.python, "python", "", "a Python with Evidently; empty: its rows stay out")
	flag.StringVar(&b.script, "script", "drift/evidently_compare.py", "the program that it runs")
	flag.Uint64Var(&b.seed, "seed", 1, "of all that is random")
	flag.IntVar(&b.references, "references", 100, "references for false alarms; each is compared with 100 clean windows")
	flag.IntVar(&b.streams, "streams", 200, "streams for delays")
	only := flag.String("only", "false-alarms,delay,cost", "the parts to measure")
	flag.BoolVar(&b.full, "full", false, "as many windows of 5,000 rows as of less, not a fifth of them")
	tables := flag.Bool("tables", false, "measure nothing and print the tables of -out")
	flag.Parse()
	err := error(nil)
	if !*tables {
		err = b.run(strings.Split(*only, ","))
	}
	if err == nil {
		err = report(os.Stdout, b.out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "drift:", err)
		os.Exit(1)
	}
}

// bench is one whole measurement.
type bench struct {
	out, python, script string
	seed                uint64
	references, streams int
	full                bool

	lines bytes.Buffer // of the file
}

// The parts, by which the lines of the file are told apart.
const (
	partRun         = "run"
	partFalseAlarms = "false_alarms"
	partClean       = "clean"
	partDelay       = "delay"
	partCost        = "cost"
	partMemory      = "memory"
	partEvidently   = "evidently"
)

// about is the first line: what the others were measured with.
type about struct {
	Part   string    `json:"part"`
	Date   time.Time `json:"date"`
	Commit string    `json:"commit"`
	Go     string    `json:"go"`
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	Seed   uint64    `json:"seed"`
}

func (b *bench) run(parts []string) error {
	b.add(about{partRun, time.Now().UTC().Truncate(time.Second), commit(), runtime.Version(), processor(), runtime.NumCPU(), b.seed})
	for _, part := range parts {
		began := time.Now()
		var err error
		switch part {
		case "false-alarms":
			err = b.falseAlarms()
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
	return os.WriteFile(b.out, b.lines.Bytes(), 0o644) //nolint:gosec // to be read by all
}

// add writes one line.
func (b *bench) add(line any) {
	text, err := json.Marshal(line)
	if err != nil {
		panic(fmt.Sprintf("BUG: drift: %v", err)) // numbers and texts only
	}
	b.lines.Write(append(text, '\n'))
}

// commit names the detector's last change; with a plus where there are later ones.
func commit() string {
	const sources = "../internal/drift"
	head, err := exec.Command("git", "log", "-1", "--format=%h", "--", sources).Output()
	if err != nil {
		return "unknown"
	}
	name := strings.TrimSpace(string(head))
	if exec.Command("git", "diff", "--quiet", "HEAD", "--", sources).Run() != nil {
		name += "+"
	}
	return name
}

// processor returns its name, where /proc tells.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t\n:")
		}
	}
	return runtime.GOARCH
}

// parallel calls f with 0 to n-1 on all cores and returns what it returned, in order.
func parallel[T any](n int, f func(i int) (T, error)) ([]T, error) {
	results, errs := make([]T, n), make([]error, n)
	next := make(chan int)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range next {
				results[i], errs[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return results, errors.Join(errs...)
}
