// Command rawort runs a model with ONNX Runtime in a loop of C, without a server:
// the limit for anything that serves through it. It prints a JSON object for each
// number of rows and each setting of the CPU arena, and marks the better one.
//
//	go run ./rawort -model models/mlp/1/model.onnx -shape 1,64 -threads 2 -batch 1,8,32
//
// With -verify it runs the model once on a tensor read from a file, little-endian
// FP32, and prints the outputs as a V2 response in JSON: what a server should answer.
//
//	go run ./rawort -verify input.bin -model models/mlp/1/model.onnx -shape 1,64
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

type options struct {
	library, model, verify string
	shape, batches         []int64
	threads                int
	duration, warmup       time.Duration
	arenas                 []bool
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err == nil {
		err = run(o, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rawort:", err)
		os.Exit(1)
	}
}

func parse(args []string, usage io.Writer) (o options, err error) {
	f := flag.NewFlagSet("rawort", flag.ContinueOnError)
	f.SetOutput(usage)
	f.StringVar(&o.library, "library", cmp.Or(os.Getenv("SLUICE_ORT_LIBRARY"), "../.deps/onnxruntime/lib/libonnxruntime.so"), "ONNX Runtime's shared library")
	f.StringVar(&o.model, "model", "", "the model's file; it has one FP32 input")
	shape := f.String("shape", "", "the input's shape for one row, as 1,16")
	batch := f.String("batch", "1,8,32", "how many times that many rows are run at once")
	arena := f.String("arena", "both", "ONNX Runtime's CPU arena and its plans of memory: on, off or both")
	f.IntVar(&o.threads, "threads", 1, "threads that share one session")
	f.DurationVar(&o.duration, "d", 2*time.Second, "how long each line is measured")
	f.DurationVar(&o.warmup, "warmup", 200*time.Millisecond, "how long the model runs before each stretch of that")
	f.StringVar(&o.verify, "verify", "", "run once on the tensor in this file (- for the standard input) and print the outputs")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.shape, err = numbers(*shape); err != nil {
		return o, fmt.Errorf("-shape: %w", err)
	}
	if o.batches, err = numbers(*batch); err != nil {
		return o, fmt.Errorf("-batch: %w", err)
	}
	var ok bool
	if o.arenas, ok = map[string][]bool{"on": {true}, "off": {false}, "both": {true, false}}[*arena]; !ok {
		return o, fmt.Errorf("-arena is %q: use on, off or both", *arena)
	}
	if o.model == "" || o.threads < 1 || o.threads > maxThreads || o.duration <= 0 || f.NArg() > 0 {
		return o, fmt.Errorf("-model, 1 to %d -threads and a positive -d are needed, and no arguments beside the flags", maxThreads)
	}
	return o, o.checkSize()
}

const maxThreads = 1024

// checkSize refuses inputs that would not fit into memory.
func (o options) checkSize() error {
	const most = 1 << 30 // numbers
	n := slices.Max(o.batches)
	for _, d := range o.shape {
		if n *= d; n > most {
			return fmt.Errorf("an input of %v times %v has more than %d numbers", o.shape, slices.Max(o.batches), most)
		}
	}
	return nil
}

// numbers reads positive numbers with commas between them.
func numbers(text string) (list []int64, err error) {
	const most = 1 << 30
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%q is no list of positive numbers", text)
		}
		list = append(list, n)
	}
	return list, nil
}

func run(o options, in io.Reader, out io.Writer) error {
	if err := openLibrary(o.library); err != nil {
		return err
	}
	if o.verify != "" {
		return verify(o, in, out)
	}
	return measure(o, out)
}
