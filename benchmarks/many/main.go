// Command many measures what the number of models costs the control plane: how long
// a start, an edit of a route, an index, a scrape and a stop take beside 10, 1,000 and
// 5,000 tiny models, and the memory that they need.
//
//	go run ./many -gateway ../bin/gateway
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

type options struct {
	models string
	repeat int
}

func main() {
	var o options
	flag.StringVar(&o.models, "models", "10,1000,5000", "how many models, a run each")
	flag.IntVar(&o.repeat, "repeat", 7, "how often a call is made; the median counts")
	scenario.Main("many", false, map[string]scenario.Group{"many": {
		Title: "What many models cost the control plane", Scenarios: []scenario.Scenario{{Name: "many", Run: o.run}},
	}})
}

// run enters a row for each number of models.
func (o *options) run(ctx context.Context, b *scenario.Bench, r *record.Record) error {
	t := record.Table{Columns: []string{"models", "first ready, s", "all ready, s", "edit, ms", "index, ms", "scrape, ms", "RSS, MiB", "stop, s"}}
	for text := range strings.SplitSeq(o.models, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-models: %q is not a number of models", text)
		}
		cells, err := o.measure(ctx, b, n)
		if err != nil {
			return fmt.Errorf("%d models: %w", n, err)
		}
		t.Add(append([]any{page.Thousands(float64(n))}, cells...)...)
	}
	r.Tables = append(r.Tables, t)
	return nil
}

// edited is the model whose route is edited; it has two versions.
const edited = "m00000"

// repository has n models, each of its own name.
func repository(n int) (list []process.Version) {
	for i := range n {
		g := onnxgen.New(fmt.Sprintf("m%05d", i))
		g.Output("output", infer.FP32, g.Op("Neg", g.Input("input", infer.FP32, "N", 4)), "N", 4)
		list = append(list, scenario.One(g))
		if i == 0 {
			list = append(list, process.Version{Graph: g, Number: 2})
		}
	}
	return list
}

// measure returns the cells of a row: the time from the start to the first model's
// readiness and to the gateway's, medians of calls, memory after them, and the stop.
func (o *options) measure(ctx context.Context, b *scenario.Bench, n int) (cells []any, err error) {
	dir, err := process.Repository(b.Dir, repository(n)...)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	g, err := process.StartGateway(ctx, process.GatewaySpec{
		Program: b.Gateway, File: filepath.Join(dir, "sluice.yaml"), Config: config(dir), Ready: "/v2/models/" + edited + "/ready", Timeout: 5 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	defer g.Stop() //nolint:errcheck // its error was returned if it was stopped before
	for ; ask(ctx, http.MethodGet, g.URL()+"/v2/health/ready", "") != nil; time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	all := time.Since(began)
	median := func(call func(i int) error) string {
		took := make([]float64, o.repeat)
		for i := range took {
			from := time.Now()
			err = errors.Join(err, call(i))
			took[i] = float64(time.Since(from)) / float64(time.Millisecond)
		}
		return page.Decimal(record.SpreadOf(took).Median)
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
	cells = []any{
		seconds(g.ReadyAfter()), seconds(all),
		median(func(i int) error {
			return ask(ctx, http.MethodPut, g.AdminURL()+"/api/v1/routes/"+edited,
				fmt.Sprintf(`{"variants":[{"version":1,"weight":%d},{"version":2,"weight":%d}]}`, 9000-i, 1000+i))
		}),
		median(func(int) error { return ask(ctx, http.MethodPost, g.URL()+"/v2/repository/index", "{}") }),
		median(func(int) error { return ask(ctx, http.MethodGet, g.AdminURL()+"/metrics", "") }),
	}
	if err != nil {
		return nil, err
	}
	used, err := g.Usage()
	if err != nil {
		return nil, err
	}
	from := time.Now()
	err = g.Stop()
	return append(cells, used.RSS>>20, seconds(time.Since(from))), err
}

// config is the gateway's file.
func config(repository string) string {
	return fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %s}}\nadmin: {address: %s}\nlog: {level: error}\ndata_dir: %q\nmodels: {%s: {versions: all}}\n",
		repository, process.HTTPAddress, process.AdminAddress, repository+".data", edited)
}

// ask makes a call; another status than 200 is an error.
func ask(ctx context.Context, method, url, body string) error {
	header := http.Header{}
	if method == http.MethodPut {
		header.Set("If-Match", "*")
	}
	_, _, err := process.Ask(ctx, method, url, body, header)
	return err
}
