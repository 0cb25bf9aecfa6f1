package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
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
func (b *bench) changes(ctx context.Context, r *record.Record) error {
	rounds := b.scaleRounds(3)
	r.Params["what"] = fmt.Sprintf("A model of some 0.4 ms in an open loop at 30 %% of its peak, %d rounds; each set-up in a process of its own. "+
		"A' differs from A by chance alone.", rounds)
	rate := 0.0
	var list []variant
	for _, d := range disturbances() {
		list = append(list, variant{name: d.name, run: func() (map[string]float64, error) { return b.disturbed(ctx, d, &rate) }})
	}
	rows, err := inTurn(rounds, list)
	if err != nil {
		return err
	}
	t := record.Table{Columns: []string{"set-up", "p50 ms", "p99 ms", "range", "p99 to A %", "errors"}}
	p99 := record.Named("p99")
	chance := rows[1].Over(p99, record.Percent, rows[0]).Farthest()
	for i, d := range list {
		diff, s, failed := rows[i].Over(p99, record.Percent, rows[0], rows[1]).Median, rows[i].Spread(p99), rows[i].Sum("failed")
		t.Add(d.name, rows[i].Median("p50"), s.Median, record.Number(s.Low)+" to "+record.Number(s.High), diff, failed)
		if i < 2 {
			continue
		}
		r.AtMost("errors: "+d.name, failed, 0, "")
		r.Holds("p99 above that of A: "+d.name, diff, fmt.Sprintf("≤ %s (A to A') and < %d", record.Number(chance), worse), "%", diff <= chance && diff < worse)
	}
	r.Tables = append(r.Tables, t)
	r.Tell("A to A', at most", chance, "%")
	return nil
}

// disturbed runs one set-up once. The first sets the rate for all.
func (b *bench) disturbed(ctx context.Context, d disturbance, rate *float64) (figures map[string]float64, err error) {
	err = b.with(ctx, setup{
		Models: []process.Version{
			{Graph: onnxgen.Steps(changeSteps), Number: 1}, {Graph: onnxgen.Steps(changeSteps), Number: 2}, {Graph: onnxgen.Steps(100 * changeSteps), Number: 3},
		},
		Rest: changeConfig(0, d.shadow),
	}, func(g *gateway) error {
		target := slowTarget(g)
		if *rate == 0 {
			peak, err := b.peak(ctx, g, target, 8)
			if err != nil {
				return err
			}
			*rate = changeLoad * peak
		}
		during, cancel := context.WithCancel(ctx)
		failed := make(chan error, 1)
		go func() { failed <- d.run(during, g) }()
		s, err := b.send(ctx, g, open(*rate, time.Second, 4*time.Second, target))
		cancel()
		if err := errors.Join(err, <-failed); err != nil {
			return err
		}
		figures = s.figures()
		return nil
	})
	return figures, err
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
	text, err := os.ReadFile(g.File)
	if err != nil {
		return err
	}
	head, _, _ := strings.Cut(string(text), "\nmodels:")
	if err := os.WriteFile(g.File, []byte(head+"\n"+changeConfig(i, false)+"\n"), 0o600); err != nil {
		return err
	}
	_, _, err = process.Ask(ctx, http.MethodPost, g.AdminURL()+"/-/reload", "", nil)
	return err
}

func moveCanary(ctx context.Context, g *gateway, i int) error {
	canary := 1000 + 4000*(i%2)
	body := fmt.Sprintf(`{"variants":[{"version":1,"weight":%d},{"version":2,"weight":%d,"role":"canary"}]}`, 10_000-canary, canary)
	_, header, err := process.Ask(ctx, http.MethodGet, g.AdminURL()+"/api/v1/routes/slow", "", nil)
	if err == nil {
		_, _, err = process.Ask(ctx, http.MethodPut, g.AdminURL()+"/api/v1/routes/slow", body, http.Header{"If-Match": header["Etag"]})
	}
	return err
}
