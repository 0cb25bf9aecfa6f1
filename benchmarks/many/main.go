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
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func main() {
	gateway := flag.String("gateway", "../bin/gateway", "the gateway's binary")
	models := flag.String("models", "10,1000,5000", "how many models, a run each")
	repeat := flag.Int("repeat", 7, "how often a call is made; the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *gateway, *models, *repeat, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "many:", err)
		os.Exit(1) //nolint:gocritic // nothing is left for the deferred call to do
	}
}

// run writes a line of the table for each number of models.
func run(ctx context.Context, gateway, models string, repeat int, out io.Writer) error {
	t := page.NewTable("models", "first ready, s", "all ready, s", "edit, ms", "index, ms", "scrape, ms", "RSS, MiB", "stop, s")
	for text := range strings.SplitSeq(models, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-models: %q is not a number of models", text)
		}
		cells, err := measure(ctx, gateway, n, repeat)
		if err != nil {
			return fmt.Errorf("%d models: %w", n, err)
		}
		t.Row(append([]string{page.Thousands(float64(n))}, cells...)...)
	}
	_, err := io.WriteString(out, t.String())
	return err
}

// edited is the model whose route is edited; it has two versions.
const edited = "m00000"

// write makes n models, each of its own name, and returns a configuration.
func write(dir string, n int) (config string, err error) {
	repository := filepath.Join(dir, "models")
	for i := range n {
		g := onnxgen.New(fmt.Sprintf("m%05d", i))
		g.Output("output", infer.FP32, g.Op("Neg", g.Input("input", infer.FP32, "N", 4)), "N", 4)
		if err := g.Write(repository, 1); err != nil {
			return "", err
		}
		if i == 0 {
			err = g.Write(repository, 2)
		}
	}
	return fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %s}}\nadmin: {address: %s}\nlog: {level: error}\ndata_dir: %q\nmodels: {%s: {versions: all}}\n",
		repository, process.HTTPAddress, process.AdminAddress, filepath.Join(dir, "data"), edited), err
}

// measure returns the cells of a row: the time from the start to the first model's
// readiness and to the gateway's, medians of calls, memory after them, and the stop.
func measure(ctx context.Context, gateway string, n, repeat int) (cells []string, err error) {
	dir, err := os.MkdirTemp("", "sluice-many-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	config, err := write(dir, n)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	g, err := process.StartGateway(ctx, process.GatewaySpec{
		Program: gateway, File: filepath.Join(dir, "sluice.yaml"), Config: config, Ready: "/v2/models/" + edited + "/ready", Timeout: 5 * time.Minute,
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
		took := make([]float64, repeat)
		for i := range took {
			from := time.Now()
			err = errors.Join(err, call(i))
			took[i] = float64(time.Since(from)) / float64(time.Millisecond)
		}
		return page.Decimal(record.SpreadOf(took).Median)
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }
	cells = []string{
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
	return append(cells, strconv.FormatInt(used.RSS>>20, 10), seconds(time.Since(from))), err
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
