// Command shadow measures what callers notice of a shadow that is slow, hangs or
// fails: the same load, half of what the gateway can do, without a shadow and with
// each kind, in interleaved rounds. Rounds without one are run twice, so that the
// difference between the two says what the machine's mood alone does.
//
//	go run ./shadow -gateway ../bin/gateway
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice.io/sluice/api"
	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

type options struct {
	cpus       string
	rounds     int
	duration   time.Duration
	load, rate float64
	steps      int64
}

func main() {
	var o options
	flag.StringVar(&o.cpus, "server-cpus", "", "the cores of the gateway, with commas between them; empty for all (run this program under taskset as well)")
	flag.IntVar(&o.rounds, "rounds", 7, "rounds; in each every set-up runs once")
	flag.DurationVar(&o.duration, "d", 6*time.Second, "how long a set-up runs in a round")
	flag.Float64Var(&o.load, "load", 0.5, "the load as a share of the peak without a shadow")
	flag.Float64Var(&o.rate, "rate", 0, "the load in requests per second; 0: as -load says")
	flag.Int64Var(&o.steps, "steps", 40, "how long a run of the model takes, in steps of some 10 µs")
	scenario.Main("shadow", false, map[string]scenario.Group{"shadow": {
		Title: "What a shadow costs those who answer", Scenarios: []scenario.Scenario{{Name: "shadow", Run: o.run}},
	}})
}

// kind is a row: what the gateway does beside answering. Version 1 of the model "slow"
// answers.
type kind struct {
	name   string
	shadow int64          // the version that gets copies of all requests; 0 for none
	model  *onnxgen.Graph // that version
}

// kinds begin with the pair that is compared with itself. What hangs is a loop that would
// run for hours; the gateway terminates it when a copy's time is over.
func (o *options) kinds() []kind {
	return []kind{
		{"A no shadow", 0, nil},
		{"A' no shadow", 0, nil},
		{"B equal model", 2, onnxgen.Steps(o.steps)},
		{"C 100 × slower", 3, onnxgen.Steps(100 * o.steps)},
		{"D hangs", 4, onnxgen.Steps(1e9)},
		{"E fails", 5, fails()},
	}
}

// fails asks for elements that its input never has.
func fails() *onnxgen.Graph {
	g := onnxgen.New("slow")
	x := g.Input("input", infer.FP32, "N", 4)
	beyond := g.Init(onnxgen.Int64s([]int64{1000, 1000, 1000, 1000}, 4))
	g.Output("output", infer.FP32, g.Op("Gather", x, beyond).Int("axis", 1), "N", 4)
	return g
}

// setup is the gateway of a row. A model that hangs can be neither probed nor warmed up,
// and requests are not joined, so that each run takes the same time.
func (o *options) setup(k kind) (s scenario.Setup, err error) {
	s.Models = []process.Version{scenario.One(onnxgen.Steps(o.steps))}
	shadows := ""
	if k.shadow != 0 {
		s.Models = append(s.Models, process.Version{Graph: k.model, Number: k.shadow})
		shadows = fmt.Sprintf(", shadows: [{version: %d, sample: 100%%}]", k.shadow)
	}
	s.Rest = "models: {slow: {versions: [1], batching: {enabled: 'false'}, warmup: false}}\n" +
		"routes: {slow: {variants: [{version: 1, weight: 100%}]" + shadows + "}}"
	s.CPUs, err = process.Cores(o.cpus)
	return s, err
}

func target(g *scenario.Gateway) loadgen.Target {
	return loadgen.FP32Target(g.URL(), "slow", "input", []int64{1, 4}, true)
}

func (o *options) run(ctx context.Context, b *scenario.Bench, r *record.Record) error {
	if o.rate == 0 {
		s, err := o.setup(kind{})
		if err != nil {
			return err
		}
		if err := b.With(ctx, s, func(g *scenario.Gateway) error { return o.peak(ctx, b, g, r) }); err != nil {
			return err
		}
	}
	r.Note("Open loop at %.0f requests/s, %d rounds of %v, the gateway on %s.", o.rate, o.rounds, o.duration, cmp.Or(o.cpus, "all cores, as is the client"))
	kinds := o.kinds()
	list := make([]scenario.Variant, len(kinds))
	for i, k := range kinds {
		list[i] = scenario.Variant{Name: k.name, Run: func() (figures map[string]float64, err error) {
			s, err := o.setup(k)
			if err != nil {
				return nil, err
			}
			// A process of its own, so that nothing of one that hung is left over.
			err = b.With(ctx, s, func(g *scenario.Gateway) error {
				figures, err = o.measure(ctx, b, g, k)
				return err
			})
			return figures, err
		}}
	}
	rounds, err := scenario.InTurn(o.rounds, list)
	if err != nil {
		return err
	}
	report(r, kinds, rounds)
	return nil
}

// peak finds the rate of the load.
func (o *options) peak(ctx context.Context, b *scenario.Bench, g *scenario.Gateway, r *record.Record) error {
	const conns = 8
	alone, err := b.Send(ctx, g, scenario.Closed(1, 0, time.Second, target(g)))
	if err != nil {
		return err
	}
	peak, err := b.Peak(ctx, g, target(g), conns)
	o.rate = o.load * peak
	r.Note("One request alone takes %.0f µs; peak %.0f requests/s with %d in flight.", 1000*scenario.Latency(alone.Result, 50), peak, conns)
	return err
}

// measure runs a set-up once.
func (o *options) measure(ctx context.Context, b *scenario.Bench, g *scenario.Gateway, k kind) (map[string]float64, error) {
	before, began := background(g), time.Now()
	s, err := b.Send(ctx, g, scenario.Open(o.rate, time.Second, o.duration, target(g)))
	if err != nil {
		return nil, err
	}
	if s.Requests == 0 || len(s.Errors) > 0 {
		return nil, fmt.Errorf("%d requests were answered 200; errors by status %v", s.Requests, s.Errors)
	}
	f := s.Figures()
	f["core"], f["resident_mib"] = float64(background(g)-before)/float64(time.Since(began)), g.KernelUsage().RSS
	for _, bar := range s.Latency.Distribution() {
		if bar.Count > 0 {
			f[fmt.Sprintf("latency_us %d", bar.To)] = float64(bar.Count)
		}
	}
	if k.shadow == 0 {
		return f, nil
	}
	text, _, err := process.Ask(ctx, http.MethodGet, g.AdminURL()+"/api/v1/routes/slow/stats", "", nil)
	if err != nil {
		return nil, err
	}
	var stats api.RouteStats
	if err := json.Unmarshal(text, &stats); err != nil || len(stats.Shadows) != 1 {
		return nil, fmt.Errorf("the route has %d shadows: %w", len(stats.Shadows), err)
	}
	copies := &stats.Shadows[0]
	f["answered"], f["shadow_errors"] = float64(copies.Answered-copies.Errors), float64(copies.Errors)
	for reason, n := range copies.Dropped {
		f["dropped "+reason] = float64(n)
	}
	return f, nil
}

// background returns the processor time of the gateway's threads of the lowest
// priority.
func background(g *scenario.Gateway) (sum time.Duration) {
	const lowest = 19
	for _, used := range g.ThreadTimes(lowest) {
		sum += used
	}
	return sum
}

// report enters a row per set-up. A difference is that of one round's p99 to the
// mean of the two without a shadow in the same round; for the pair itself it is
// that of one to the other. What lies within the range of the pair's differences
// cannot be told from chance.
func report(r *record.Record, kinds []kind, rounds []record.Rows) {
	t := record.Table{
		Title:   "Medians (range) over the rounds",
		Columns: []string{"set-up", "p50 ms", "p99 ms", "p99 of all rounds ms", "p99 to A, %", "verdict", "copies answered, failed, dropped", "shadow's share of a core", "MiB"},
	}
	p99 := record.Named("p99")
	pair := rounds[1].Over(p99, record.Percent, rounds[0])
	for i, k := range kinds {
		own, diff, verdict := rounds[i], "-", "-"
		switch i {
		case 0:
		case 1:
			diff = pair.Text("%+.1f")
		default:
			d := own.Over(p99, record.Percent, rounds[0], rounds[1])
			diff, verdict = d.Text("%+.1f"), judge(d.Median, pair.Farthest())
		}
		text := func(figure, verb string) string { return own.Spread(record.Named(figure)).Text(verb) }
		t.Add(k.name, text("p50", "%.3f"), text("p99", "%.3f"), together(own), diff, verdict, fate(k, own), text("core", "%.2f"), text("resident_mib", "%.0f"))
	}
	r.Tables = append(r.Tables, t)
	r.Tell("A and A' differed by up to", pair.Farthest(), "%")
}

// judge says whether a difference can be told from chance, and whether it is as
// small as it has to be.
func judge(diff, chance float64) string {
	const most = 10 // percent
	verdict := "within A/A"
	if diff > chance {
		verdict = "above A/A"
	}
	if diff >= most {
		verdict += fmt.Sprintf(", not below %d %%", most)
	}
	return verdict
}

// together is the p99 of all rounds in milliseconds.
func together(rounds record.Rows) float64 {
	all := hdrhistogram.New(1, 60_000_000, 3)
	for us, n := range rounds.Sums("latency_us ") {
		at, _ := strconv.ParseInt(us, 10, 64)
		_ = all.RecordValues(at, int64(n))
	}
	return float64(all.ValueAtQuantile(99)) / 1000
}

// fate says what became of all copies of a set-up.
func fate(k kind, rounds record.Rows) string {
	if k.shadow == 0 {
		return "-"
	}
	dropped := rounds.Sums("dropped ")
	var reasons strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		fmt.Fprintf(&reasons, " %s %.0f", reason, dropped[reason])
	}
	return fmt.Sprintf("%.0f, %.0f,%s", rounds.Sum("answered"), rounds.Sum("shadow_errors"), reasons.String())
}
