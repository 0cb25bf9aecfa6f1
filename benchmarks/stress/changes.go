package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// disturbance is what happens to a gateway that answers.
type disturbance struct {
	name   string
	shadow bool
	each   func(ctx context.Context, g *gateway, i int) error // each second
}

// disturbances begins with the pair that is compared with itself.
func disturbances() []disturbance {
	return []disturbance{
		{name: "A nothing"},
		{name: "A' nothing"},
		{name: "B a shadow 100 × slower", shadow: true},
		{name: "C a reload each second, which rebuilds the model", each: reload},
		{name: "D a canary's weight each second", each: moveCanary},
	}
}

const (
	changeSteps = 40 // of the model, some 10 µs each
	changeLoad  = 0.3
	// worse is by how many percent a tail may be longer, where it cannot be told
	// from chance.
	worse = 10
)

// changes runs the same load beside each disturbance, in rounds.
func changes(ctx context.Context, b *bench, r *Record) error {
	rounds := 3
	if b.quick {
		rounds = 1
	}
	r.What = fmt.Sprintf("A model of some 0.4 ms in an open loop at 30 %% of its peak, %d rounds; each set-up in a process of its own. "+
		"A' differs from A by chance alone.", rounds)
	rate := 0.0
	list := disturbances()
	p99, p50, failed := make([][]float64, len(list)), make([][]float64, len(list)), make([]int64, len(list))
	for round := range rounds {
		for i := range list {
			at := (round + i) % len(list) // none always follows the same one
			res, err := b.disturbed(ctx, list[at], &rate)
			if err != nil {
				return fmt.Errorf("%s: %w", list[at].name, err)
			}
			p50[at], p99[at] = append(p50[at], latency(res, 50)), append(p99[at], latency(res, 99))
			failed[at] += failures(res)
		}
	}
	t := Table{Columns: []string{"set-up", "p50 ms", "p99 ms", "range", "p99 to A %", "errors"}}
	chance := 0.0
	for _, d := range differences(p99[1], p99[0], p99[0]) {
		chance = max(chance, d, -d)
	}
	for i, d := range list {
		diff := median(differences(p99[i], p99[0], p99[1]))
		t.add(d.name, median(p50[i]), median(p99[i]), number(slices.Min(p99[i]))+" to "+number(slices.Max(p99[i])), diff, failed[i])
		if i < 2 {
			continue
		}
		r.atMost("errors: "+d.name, float64(failed[i]), 0, "")
		r.check("p99 above that of A: "+d.name, diff, fmt.Sprintf("≤ %s (A to A') and < %d", number(chance), worse), "%", diff <= chance && diff < worse)
	}
	r.Tables = append(r.Tables, t)
	r.record("A to A', at most", chance, "%")
	return nil
}

// differences returns by how many percent each value is above the mean of the two
// others of its round.
func differences(list, a, b []float64) []float64 {
	diff := make([]float64, len(list))
	for i := range list {
		diff[i] = 100 * (2*list[i]/(a[i]+b[i]) - 1)
	}
	return diff
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// disturbed runs one set-up once. The first sets the rate for all.
func (b *bench) disturbed(ctx context.Context, d disturbance, rate *float64) (*loadgen.Result, error) {
	s := setup{
		models: []versioned{{onnxgen.Steps(changeSteps), 1}, {onnxgen.Steps(changeSteps), 2}, {onnxgen.Steps(100 * changeSteps), 3}},
		rest:   changeConfig(0, d.shadow),
	}
	g, err := b.start(s)
	if err != nil {
		return nil, err
	}
	defer func() { _ = g.stop() }()
	target := loadgen.FP32Target(g.url(), "slow", "input", []int64{1, 4}, true)
	if *rate == 0 {
		peak, err := b.peak(ctx, target, 8)
		if err != nil {
			return nil, err
		}
		*rate = changeLoad * peak
	}
	during, cancel := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() { failed <- d.run(during, g) }()
	res, err := loadgen.Run(ctx, loadgen.Plan{
		Targets: []loadgen.Target{target}, Conns: openConns, Rate: *rate, Asleep: true, Warmup: b.scale(time.Second), Duration: b.scale(4 * time.Second),
	})
	cancel()
	if ferr := <-failed; err == nil {
		err = ferr
	}
	return res, err
}

// run does it each second until the context ends.
func (d *disturbance) run(ctx context.Context, g *gateway) error {
	if d.each == nil {
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 1; ; i++ {
		if err := d.each(ctx, g, i); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// changeConfig has a setting of the model that differs from turn to turn.
func changeConfig(turn int, shadow bool) string {
	shadows := ""
	if shadow {
		shadows = ", shadows: [{version: 3, sample: 100%}]"
	}
	return fmt.Sprintf("models: {slow: {versions: [1, 2], batching: {enabled: 'false', queue: {max_requests: %d}}}}\n", 1024+turn) +
		"routes: {slow: {variants: [{version: 1, weight: 90%}, {version: 2, weight: 10%, role: canary}]" + shadows + "}}"
}

func reload(ctx context.Context, g *gateway, i int) error {
	text, err := os.ReadFile(g.file)
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(string(text), "\nmodels:")
	if err := os.WriteFile(g.file, []byte(head+"\n"+changeConfig(i, false)+"\n"), 0o600); err != nil {
		return err
	}
	return g.call(ctx, http.MethodPost, "/-/reload", "", nil)
}

func moveCanary(ctx context.Context, g *gateway, i int) error {
	canary := 1000 + 4000*(i%2)
	body := fmt.Sprintf(`{"variants":[{"version":1,"weight":%d},{"version":2,"weight":%d,"role":"canary"}]}`, 10_000-canary, canary)
	var tag string
	if err := g.call(ctx, http.MethodGet, "/api/v1/routes/slow", "", func(h http.Header) { tag = h.Get("ETag") }); err != nil {
		return err
	}
	return g.call(ctx, http.MethodPut, "/api/v1/routes/slow", body, func(h http.Header) { h.Set("If-Match", tag) })
}

// call asks the side port. With a body, header is given what is sent; else what
// was answered.
func (g *gateway) call(ctx context.Context, method, path, body string, header func(http.Header)) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.admin+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		header(req.Header)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
		return fmt.Errorf("%s %s: %s %s", method, path, strconv.Itoa(resp.StatusCode), text)
	}
	if body == "" && header != nil {
		header(resp.Header)
	}
	return nil
}
