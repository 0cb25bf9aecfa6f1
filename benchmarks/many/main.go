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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"sluice.io/sluice/benchmarks/process"
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
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "| models\t| first ready, s\t| all ready, s\t| edit, ms\t| index, ms\t| scrape, ms\t| RSS, MiB\t| stop, s\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|---\t|---\t|")
	for text := range strings.SplitSeq(models, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-models: %q is not a number of models", text)
		}
		c, err := measure(ctx, gateway, n, repeat)
		if err != nil {
			return fmt.Errorf("%d models: %w", n, err)
		}
		fmt.Fprintf(w, "| %d\t| %.2f\t| %.2f\t| %.1f\t| %.1f\t| %.1f\t| %d\t| %.2f\t|\n", n, c.first.Seconds(), c.all.Seconds(),
			millis(c.edit), millis(c.index), millis(c.scrape), c.rss>>20, c.stop.Seconds())
	}
	return w.Flush()
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// costs are those of one number of models.
type costs struct {
	first, all          time.Duration // from the start to the first model's readiness, and to the gateway's
	edit, index, scrape time.Duration // medians
	rss                 int64         // bytes, after all of these
	stop                time.Duration
}

// edited is the model whose route is edited; it has two versions.
const edited = "m00000"

// write makes n models, each of its own name, and a configuration.
func write(dir string, n int, http, admin string) (config string, err error) {
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
	config = filepath.Join(dir, "sluice.yaml")
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %q}}\nadmin: {address: %q}\nlog: {level: error}\ndata_dir: %q\nmodels: {%s: {versions: all}}\n",
		repository, http, admin, filepath.Join(dir, "data"), edited)
	return config, errors.Join(err, os.WriteFile(config, []byte(text), 0o600))
}

func measure(ctx context.Context, gateway string, n, repeat int) (c costs, err error) {
	dir, err := os.MkdirTemp("", "sluice-many-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	free, err := process.FreeAddresses(2)
	if err != nil {
		return c, err
	}
	config, err := write(dir, n, free[0], free[1])
	if err != nil {
		return c, err
	}
	data, admin := "http://"+free[0], "http://"+free[1]
	began := time.Now()
	server, err := process.Launch(ctx, process.Spec{
		Command: []string{gateway, "serve", "--config", config}, Ready: data + "/v2/models/" + edited + "/ready", Timeout: 5 * time.Minute,
	})
	if err != nil {
		return c, err
	}
	defer server.Stop() //nolint:errcheck // its error was returned if it was stopped before
	c.first = server.ReadyAfter()
	if err := ready(ctx, data+"/v2/health/ready"); err != nil {
		return c, err
	}
	c.all = time.Since(began)
	median := func(call func(i int) error) time.Duration {
		took := make([]time.Duration, repeat)
		for i := range took {
			from := time.Now()
			err = errors.Join(err, call(i))
			took[i] = time.Since(from)
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	c.edit = median(func(i int) error {
		return ask(ctx, http.MethodPut, admin+"/api/v1/routes/"+edited,
			fmt.Sprintf(`{"variants":[{"version":1,"weight":%d},{"version":2,"weight":%d}]}`, 9000-i, 1000+i))
	})
	c.index = median(func(int) error { return ask(ctx, http.MethodPost, data+"/v2/repository/index", "{}") })
	c.scrape = median(func(int) error { return ask(ctx, http.MethodGet, admin+"/metrics", "") })
	if err != nil {
		return c, err
	}
	usage, err := server.Usage()
	if err != nil {
		return c, err
	}
	c.rss = usage.RSS
	from := time.Now()
	err = server.Stop()
	c.stop = time.Since(from)
	return c, err
}

// ready returns once url answers 200.
func ready(ctx context.Context, url string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ask(ctx, http.MethodGet, url, "") != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// ask makes a call; another status than 200 is an error.
func ask(ctx context.Context, method, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if method == http.MethodPut {
		req.Header.Set("If-Match", "*")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s %.200s", method, url, resp.Status, text)
	}
	return err
}
