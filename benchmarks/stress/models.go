package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// manyModels measures how long a start, an edit of a route, an index, a scrape and a stop
// take beside 10, 1,000 and 5,000 tiny models, and the memory that they need.
func (b *bench) manyModels(ctx context.Context, r *record.Record) error {
	t := record.Table{Columns: []string{"models", "first ready, s", "all ready, s", "edit, ms", "index, ms", "scrape, ms", "RSS, MiB", "stop, s"}}
	for _, n := range []int{10, b.count(1000), b.count(5000)} {
		cells, err := b.modelRow(ctx, n)
		if err != nil {
			return fmt.Errorf("%d models: %w", n, err)
		}
		t.Add(append([]any{page.Thousands(float64(n))}, cells...)...)
	}
	r.Tables = append(r.Tables, t)
	return nil
}

// modelRow returns the cells of a row: the time from the start to the first model's
// readiness and to the gateway's, medians of calls, memory after them, and the stop.
func (b *bench) modelRow(ctx context.Context, n int) (cells []any, err error) {
	const edited = "m00000" // it has two versions
	var list []process.Version
	for i := range n {
		g := onnxgen.New(fmt.Sprintf("m%05d", i))
		g.Output("output", infer.FP32, g.Op("Neg", g.Input("input", infer.FP32, "N", 4)), "N", 4)
		if list = append(list, one(g)); i == 0 {
			list = append(list, process.Version{Graph: g, Number: 2})
		}
	}
	s := setup{Models: list, Rest: fmt.Sprintf("data_dir: %q\nmodels: {%s: {versions: all}}", b.dir+fmt.Sprintf("/data-%d", n), edited)}
	g, err := b.startUntil(ctx, s, "/v2/models/"+edited+"/ready")
	if err != nil {
		return nil, err
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = g.Stop()
		}
	}()
	ask := func(method, url, body string) error {
		_, _, err := process.Ask(ctx, method, url, body, http.Header{"If-Match": {"*"}})
		return err
	}
	ready := time.Now()
	for ask(http.MethodGet, g.URL()+process.Ready, "") != nil && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	all := g.Ready + time.Since(ready)
	median := func(call func(i int) error) string {
		took := make([]float64, 7)
		for i := range took {
			from := time.Now()
			err = errors.Join(err, call(i))
			took[i] = millis(time.Since(from))
		}
		return page.Decimal(record.SpreadOf(took).Median)
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
	cells = []any{
		seconds(g.Ready), seconds(all),
		median(func(i int) error {
			return ask(http.MethodPut, g.AdminURL()+"/api/v1/routes/"+edited, fmt.Sprintf(`{"variants":[{"version":1,"weight":%d},{"version":2,"weight":%d}]}`, 9000-i, 1000+i))
		}),
		median(func(int) error { return ask(http.MethodPost, g.URL()+"/v2/repository/index", "{}") }),
		median(func(int) error { return ask(http.MethodGet, g.AdminURL()+"/metrics", "") }),
		g.kernelUsage().RSS,
	}
	if err != nil {
		return nil, err
	}
	from := time.Now()
	err, stopped = g.Stop(), true
	return append(cells, seconds(time.Since(from))), err
}
