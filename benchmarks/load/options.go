package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

const usage = `load sends inference requests to a server of the Open Inference Protocol (V2) and
measures it. It asks the server what inputs the model has and makes the body.

  load -model iris -c 64 -d 10s                   closed loop: 64 requests in flight
  load -model iris -rate 5000 -c 256 -d 30s       open loop: 5,000 a second, Poisson
  load -model iris -rate 500 -burst 10,5s,200ms   ten times as many for 200 ms, after 5 s
  load -model bert -rows 8 -dim 64 -json          8 rows, other open dimensions 64, as JSON
  load -url http://host/v2/models/m/infer -body request.json -header 'X-Key: a'

A closed loop sends a request when the last was answered; a server that stalls is
sent less, so only its throughput can be trusted. An open loop sends at its own
times, and a latency counts from when the request was due.

Client and server on one machine share its cores: give each its own with taskset.

`

type options struct {
	url, model, version, body, output, arrival string
	headers                                    map[string]string
	dims                                       map[string]int64
	rows                                       int
	json, binary                               bool
	p                                          loadgen.Plan
}

// parse reads the flags. With -h it writes the usage to errOut.
func parse(args []string, errOut io.Writer) (*options, error) {
	o := &options{headers: map[string]string{}, dims: map[string]int64{}}
	f := o.flags()
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(errOut, usage)
		f.SetOutput(errOut)
		f.PrintDefaults()
	}
	if err != nil {
		return nil, err
	}
	if o.p.Arrival, err = loadgen.ParseArrival(o.arrival); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%q is no flag", f.Arg(0))
	case o.output != "text" && o.output != "json":
		return nil, fmt.Errorf("-o %q: want text or json", o.output)
	case o.json && o.binary:
		return nil, errors.New("-json and -binary exclude each other")
	case o.body != "" && (o.json || o.binary || o.rows != 1 || len(o.dims) > 0):
		return nil, errors.New("-body is sent as it is: -json, -binary, -rows and -dim do not apply")
	case o.model == "" && o.body == "":
		return nil, errors.New("-model is missing (load -h shows all flags)")
	case o.rows < 1:
		return nil, fmt.Errorf("-rows %d: want 1 or more", o.rows)
	}
	return o, nil
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(io.Discard) // one error is enough
	f.StringVar(&o.url, "url", "http://127.0.0.1:8000", "the server or, with -body and without -model, the whole `address`")
	f.StringVar(&o.model, "model", "", "the `name` of the model")
	f.StringVar(&o.version, "model-version", "", "its version; the server picks one by default")
	f.IntVar(&o.p.Conns, "c", 64, "requests in flight or, with -rate, connections at most")
	f.Float64Var(&o.p.Rate, "rate", 0, "requests a second: an open loop; 0: a closed one")
	f.StringVar(&o.arrival, "arrival", "poisson", "when an open loop sends: poisson or constant")
	f.BoolVar(&o.p.Asleep, "asleep", false, "an open loop leaves the core to others while it waits, and sends some 50 µs late: for a server that shares the cores")
	f.DurationVar(&o.p.Duration, "d", 5*time.Second, "the counted `time`")
	f.DurationVar(&o.p.Warmup, "warmup", time.Second, "`time` before it that is not counted")
	f.DurationVar(&o.p.Ramp, "ramp", 0, "`time` before the warm-up in which the rate, or the connections, grow from nothing")
	f.Func("burst", "with -rate: `factor,at,for`: the rate times factor, that long after the counted time began, for so long", o.setBurst)
	f.DurationVar(&o.p.Timeout, "timeout", time.Minute, "of one request")
	f.StringVar(&o.body, "body", "", "send this `file` as it is instead of a body that is made; needs -header for more than application/json")
	f.Func("header", "a further header, `'name: value'`; may be given many times", o.addHeader)
	f.IntVar(&o.rows, "rows", 1, "rows of a request, where the first dimension is open")
	f.Func("dim", "`N or input:axis=N`: the length of other open dimensions; may be given many times", o.addDim)
	f.BoolVar(&o.json, "json", false, "make a JSON body")
	f.BoolVar(&o.binary, "binary", false, "make a body of binary tensors and ask for such answers (the default)")
	f.IntVar(&o.p.Threads, "threads", 0, "threads that send; by default half as many as there are cores")
	f.Uint64Var(&o.p.Seed, "seed", 1, "of the values and of the times; the same gives the same")
	f.StringVar(&o.output, "o", "text", "the report: `text or json`")
	return f
}

func (o *options) setBurst(text string) (err error) {
	factor, rest, ok1 := strings.Cut(text, ",")
	at, length, ok2 := strings.Cut(rest, ",")
	b := &o.p.Burst
	b.Factor, err = strconv.ParseFloat(factor, 64)
	if err == nil {
		b.At, err = time.ParseDuration(at)
	}
	if err == nil {
		b.For, err = time.ParseDuration(length)
	}
	if err != nil || !ok1 || !ok2 || b.Factor <= 0 {
		return errors.New("want factor,at,for such as 10,5s,200ms")
	}
	return nil
}

func (o *options) addHeader(text string) error {
	name, v, ok := strings.Cut(text, ":")
	if !ok || strings.TrimSpace(name) == "" {
		return errors.New("want 'name: value'")
	}
	o.headers[strings.TrimSpace(name)] = strings.TrimSpace(v)
	return nil
}

func (o *options) addDim(text string) error {
	at := strings.LastIndexByte(text, '=')
	n, err := strconv.ParseInt(text[at+1:], 10, 64)
	if err != nil || n < 0 {
		return errors.New("want N or input:axis=N")
	}
	o.dims[text[:max(at, 0)]] = n
	return nil
}

// plan makes the plan's target: from a file, or from what the server says.
func (o *options) plan(ctx context.Context) (loadgen.Plan, error) {
	if _, err := url.Parse(o.url); err != nil {
		return o.p, err
	}
	if o.body == "" {
		t, err := loadgen.FromMetadata(ctx, o.url, o.model, loadgen.BodyOptions{
			Version: o.version, Rows: o.rows, Dims: o.dims, Binary: !o.json, Seed: o.p.Seed, Headers: o.headers,
		})
		o.p.Targets = []loadgen.Target{t}
		return o.p, err
	}
	body, err := os.ReadFile(o.body)
	if err != nil {
		return o.p, err
	}
	t := loadgen.Target{URL: o.url, Body: body, Headers: map[string]string{"Content-Type": "application/json"}}
	if o.model != "" {
		t.URL = loadgen.InferURL(o.url, o.model, o.version)
	}
	for name, v := range o.headers {
		if strings.EqualFold(name, "Content-Type") {
			name = "Content-Type"
		}
		t.Headers[name] = v
	}
	o.p.Targets = []loadgen.Target{t}
	return o.p, nil
}
