// Command rawort runs a model with ONNX Runtime in a loop of C, without a server: the limit
// for anything that serves through it. It prints a JSON object for each number of rows, with
// ONNX Runtime's CPU arena and its plans of memory and without.
//
//	go run ./rawort -model models/mlp/1/model.onnx -shape 1,64 -threads 2 -batch 1,8,32
//
// With -verify it runs the model once on a tensor from the standard input, little-endian
// FP32, and prints the outputs as a V2 response in JSON: what a server should answer.
package main

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "rawort:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	library := flag.String("library", cmp.Or(os.Getenv("SLUICE_ORT_LIBRARY"), "../.deps/onnxruntime/lib/libonnxruntime.so"), "ONNX Runtime's shared library")
	model := flag.String("model", "", "the model's file; it has one FP32 input")
	shapeText := flag.String("shape", "", "the input's shape for one row, as 1,16")
	batchText := flag.String("batch", "1,8,32", "how many times that many rows are run at once")
	threads := flag.Int("threads", 1, "threads that share one session")
	duration := flag.Duration("d", 2*time.Second, "how long each line is measured")
	warmup := flag.Duration("warmup", 200*time.Millisecond, "how long the model runs before each stretch of that")
	check := flag.Bool("verify", false, "run once on the standard input and print the outputs")
	flag.Parse()
	shape, err := numbers(*shapeText)
	if err != nil {
		return err
	}
	batches, err := numbers(*batchText)
	if err != nil {
		return err
	}
	if err := openLibrary(*library); err != nil {
		return err
	}
	if *check {
		return verify(*model, shape, in, out)
	}
	with, err := load(*model, true)
	if err != nil {
		return err
	}
	defer with.close()
	without, err := load(*model, false)
	if err != nil {
		return err
	}
	defer without.close()
	for _, batch := range batches {
		rows := slices.Clone(shape)
		rows[0] *= batch
		// Each twice, in another order: what else the machine does meets both.
		rates := map[bool]float64{}
		for _, arena := range []bool{true, false, false, true} {
			s := without
			if arena {
				s = with
			}
			rate, err := s.stretch(*threads, rows, *warmup, *duration/2)
			if err != nil {
				return fmt.Errorf("batch %d: %w", batch, err)
			}
			rates[arena] += rate / 2
		}
		for _, arena := range []bool{true, false} {
			line := map[string]any{"threads": *threads, "batch": batch, "arena": arena, "runs_per_second": rates[arena]}
			if err := json.NewEncoder(out).Encode(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// numbers reads positive numbers with commas between them.
func numbers(text string) (list []int64, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a list of positive numbers", text)
		}
		list = append(list, n)
	}
	return list, nil
}

func elements(shape []int64) int64 {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return n
}

// stretch runs the model on threads with tensors of their own, and returns the runs per
// second of all together. The inputs are normal numbers, of which none is so small that it
// slows arithmetic.
func (s *session) stretch(threads int, shape []int64, warmup, d time.Duration) (float64, error) {
	list := make([]tensors, 0, threads)
	defer func() {
		for _, t := range list {
			t.close()
		}
	}()
	for i := range threads {
		rng := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // no secret
		input := make([]float32, elements(shape))
		for k := range input {
			input[k] = float32(rng.NormFloat64())
		}
		t, err := s.prepare(input, shape)
		if err != nil {
			return 0, err
		}
		list = append(list, t)
	}
	return s.loop(list, warmup, d)
}

// verify prints what the model answers.
func verify(model string, shape []int64, in io.Reader, out io.Writer) error {
	input := make([]float32, elements(shape))
	if err := binary.Read(in, binary.LittleEndian, input); err != nil {
		return fmt.Errorf("a tensor of FP32 %v: %w", shape, err)
	}
	s, err := load(model, false)
	if err != nil {
		return err
	}
	defer s.close()
	t, err := s.prepare(input, shape)
	if err != nil {
		return err
	}
	defer t.close()
	list, err := t.run()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(map[string]any{"outputs": list}) // not of NaN, which JSON does not have
}
