package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

// OpenConns are the connections of an open loop at most: more than requests wait.
const OpenConns = 2048

// Closed keeps so many requests in flight.
func Closed(conns int, warmup, d time.Duration, targets ...loadgen.Target) loadgen.Plan {
	return loadgen.Plan{Targets: targets, Conns: conns, Warmup: warmup, Duration: d}
}

// Open sends so many requests each second.
func Open(rate float64, warmup, d time.Duration, target loadgen.Target) loadgen.Plan {
	return loadgen.Plan{Targets: []loadgen.Target{target}, Conns: OpenConns, Rate: rate, Asleep: true, Warmup: warmup, Duration: d}
}

// Seen is what a stretch of load showed.
type Seen struct {
	*loadgen.Result
	CPU float64 // µs of the gateway's processor time for each request that was sent
}

// Send carries out a plan, which is shorter in a quick run.
func (b *Bench) Send(ctx context.Context, g *Gateway, p loadgen.Plan) (Seen, error) {
	p.Warmup, p.Duration = b.Scale(p.Warmup), b.Scale(p.Duration)
	before := g.CPU()
	r, err := loadgen.Run(ctx, p)
	if err == nil && r.Requests == 0 && Failures(r) > 0 { // else all that were sent take longer
		err = fmt.Errorf("no request was answered 200; errors by status: %v", r.Errors)
	}
	if err != nil {
		return Seen{}, err
	}
	return Seen{r, float64((g.CPU() - before).Microseconds()) / float64(max(1, r.Sent))}, nil
}

// Peak returns the most answers per second in a closed loop.
func (b *Bench) Peak(ctx context.Context, g *Gateway, t loadgen.Target, conns int) (float64, error) {
	s, err := b.Send(ctx, g, Closed(conns, time.Second, 3*time.Second, t))
	if err == nil && s.Requests == 0 {
		err = errors.New("no request was answered in time")
	}
	if err != nil {
		return 0, err
	}
	return s.Rate(), nil
}

// Figures are those of a round.
func (s Seen) Figures() map[string]float64 {
	return map[string]float64{"rate": s.Rate(), "p50": Latency(s.Result, 50), "p99": Latency(s.Result, 99), "cpu": s.CPU, "failed": float64(Failures(s.Result))}
}

// Variant is one of several set-ups that are measured in turn.
type Variant struct {
	Name string
	Run  func() (map[string]float64, error)
}

// InTurn measures them in rounds, in each of which another one is the first, so that none
// always follows the same one. It returns the rounds of each.
func InTurn(rounds int, list []Variant) ([]record.Rows, error) {
	rows := make([]record.Rows, len(list))
	for round := range rounds {
		for i := range list {
			at := (round + i) % len(list)
			figures, err := list[at].Run()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list[at].Name, err)
			}
			r := record.New(list[at].Name, "round", round)
			fmt.Fprintf(os.Stderr, "  round %d, %s\n", round+1, list[at].Name)
			r.Figures = figures
			rows[at] = append(rows[at], r)
		}
	}
	return rows, nil
}

// LoadTable has a row for each run of load.
func LoadTable(title string, first ...string) record.Table {
	return record.Table{Title: title, Columns: append(first,
		"asked /s", "answered /s", "p50 ms", "p99 ms", "p99.9 ms", "other answers", "generator")}
}

// AddRun adds one.
func AddRun(t *record.Table, asked float64, r *loadgen.Result, first ...any) {
	generator := r.GeneratorBound()
	if generator == "" {
		generator = "-"
	}
	t.Add(append(first, asked, r.Rate(), Latency(r, 50), Latency(r, 99), Latency(r, 99.9), ByStatus(r.Errors), generator)...)
}

// Latency is a quantile of the answers 200 in milliseconds.
func Latency(r *loadgen.Result, percent float64) float64 {
	return float64(r.Latency.ValueAtQuantile(percent)) / 1000
}

// Failures is how many were not answered 200.
func Failures(r *loadgen.Result) (sum int64) {
	for _, n := range r.Errors {
		sum += n
	}
	return sum
}

// ByStatus lists counts, by status.
func ByStatus[N int | int64](counts map[int]N) string {
	if len(counts) == 0 {
		return "-"
	}
	list := ""
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		if list != "" {
			list += ", "
		}
		if status == 0 {
			list += record.Number(float64(counts[status])) + " × no answer"
			continue
		}
		list += record.Number(float64(counts[status])) + " × " + record.Number(float64(status))
	}
	return list
}
