package main

import (
	"context"
	"encoding/json"
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
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// kind is a row: version 1 of the model "slow" answers, and a shadow gets copies.
type kind struct {
	name   string
	shadow *onnxgen.Graph // version 2, which gets copies of all requests; nil for none
}

// shadowKinds begin with the pair that is compared with itself. What hangs is a loop that
// would run for hours; the gateway ends it when a copy's time is over.
func shadowKinds() []kind {
	fails := onnxgen.New("slow") // it asks for elements that its input never has
	beyond := fails.Init(onnxgen.Int64s([]int64{1000, 1000, 1000, 1000}, 4))
	fails.Output("output", infer.FP32, fails.Op("Gather", fails.Input("input", infer.FP32, "N", 4), beyond).Int("axis", 1), "N", 4)
	return []kind{
		{"A no shadow", nil},
		{"A' no shadow", nil},
		{"B equal model", onnxgen.Steps(changeSteps)},
		{"C 100 × slower", onnxgen.Steps(100 * changeSteps)},
		{"D hangs", onnxgen.Steps(1e9)},
		{"E fails", fails},
	}
}

// setup is the gateway of a row. A model that hangs can be neither probed nor warmed up, and
// requests are not joined, so that each run takes the same time.
func (k kind) setup() setup {
	s := setup{Models: []process.Version{one(onnxgen.Steps(changeSteps))}}
	shadows := ""
	if k.shadow != nil {
		s.Models = append(s.Models, process.Version{Graph: k.shadow, Number: 2})
		shadows = ", shadows: [{version: 2, sample: 100%}]"
	}
	s.Rest = "models: {slow: {versions: [1], batching: {enabled: 'false'}, warmup: false}}\n" +
		"routes: {slow: {variants: [{version: 1, weight: 100%}]" + shadows + "}}"
	return s
}

func slowTarget(g *gateway) loadgen.Target {
	return loadgen.FP32Target(g.URL(), "slow", "input", []int64{1, 4}, true)
}

// shadows measures what callers notice of a shadow that is slow, hangs or fails: the same
// load, half of what the gateway can do, without a shadow and with each kind.
func (b *bench) shadows(ctx context.Context, r *record.Record) error {
	const d = 6 * time.Second
	rounds, kinds, rate := b.scaleRounds(7), shadowKinds(), 0.0
	err := b.with(ctx, kinds[0].setup(), func(g *gateway) error {
		peak, err := b.peak(ctx, g, slowTarget(g), 8)
		rate = peak / 2
		return err
	})
	if err != nil {
		return err
	}
	r.Note("Open loop at %.0f requests/s, half of the peak, %d rounds of %v.", rate, rounds, b.scale(d))
	list := make([]variant, len(kinds))
	for i, k := range kinds {
		list[i] = variant{k.name, func() (figures map[string]float64, err error) {
			// A process of its own, so that nothing of one that hung is left over.
			err = b.with(ctx, k.setup(), func(g *gateway) error {
				figures, err = b.shadowed(ctx, g, open(rate, time.Second, d, slowTarget(g)), k)
				return err
			})
			return figures, err
		}}
	}
	measured, err := inTurn(rounds, list)
	if err == nil {
		shadowReport(r, kinds, measured)
	}
	return err
}

// shadowed runs a set-up once.
func (b *bench) shadowed(ctx context.Context, g *gateway, p loadgen.Plan, k kind) (map[string]float64, error) {
	before, began := background(g), time.Now()
	s, err := b.send(ctx, g, p)
	if err != nil {
		return nil, err
	}
	if len(s.Errors) > 0 {
		return nil, fmt.Errorf("errors by status %v", s.Errors)
	}
	f := s.figures()
	f["core"], f["resident_mib"] = float64(background(g)-before)/float64(time.Since(began)), g.kernelUsage().RSS
	for _, bar := range s.Latency.Distribution() {
		if bar.Count > 0 {
			f[fmt.Sprintf("latency_us %d", bar.To)] = float64(bar.Count)
		}
	}
	if k.shadow == nil {
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

// background returns the processor time of the gateway's threads of the lowest priority.
func background(g *gateway) (sum time.Duration) {
	for _, used := range g.ThreadTimes(19) {
		sum += used
	}
	return sum
}

// shadowReport enters a row per set-up. A difference is that of one round's p99 to the mean
// of the two without a shadow in the same round; for the pair itself it is that of one to
// the other. What lies within the range of the pair's differences cannot be told from
// chance.
func shadowReport(r *record.Record, kinds []kind, rounds []record.Rows) {
	t := record.Table{
		Title:   "Medians (range) over the rounds",
		Columns: []string{"set-up", "p50 ms", "p99 ms", "p99 of all rounds ms", "p99 to A, %", "verdict", "copies answered, failed, dropped", "shadow's share of a core", "MiB"},
	}
	p99 := record.Named("p99")
	pair := rounds[1].Over(p99, record.Percent, rounds[0])
	for i, k := range kinds {
		own, diff, verdict := rounds[i], "-", "-"
		if i == 1 {
			diff = pair.Text("%+.1f")
		}
		if i > 1 {
			d := own.Over(p99, record.Percent, rounds[0], rounds[1])
			diff, verdict = d.Text("%+.1f"), "within A/A"
			if d.Median > pair.Farthest() {
				verdict = "above A/A"
			}
			if d.Median >= worse {
				verdict += fmt.Sprintf(", not below %d %%", worse)
			}
		}
		text := func(figure, verb string) string { return own.Spread(record.Named(figure)).Text(verb) }
		t.Add(k.name, text("p50", "%.3f"), text("p99", "%.3f"), together(own), diff, verdict, fate(own), text("core", "%.2f"), text("resident_mib", "%.0f"))
	}
	r.Tables = append(r.Tables, t)
	r.Tell("A and A' differed by up to", pair.Farthest(), "%")
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
func fate(rounds record.Rows) string {
	dropped := rounds.Sums("dropped ")
	var reasons strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		fmt.Fprintf(&reasons, " %s %.0f", reason, dropped[reason])
	}
	return fmt.Sprintf("%.0f, %.0f,%s", rounds.Sum("answered"), rounds.Sum("shadow_errors"), reasons.String())
}
