package ort_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// double has two outputs: twice its input, and the sum of each row.
func double(name string) *onnxgen.Graph {
	g := onnxgen.New(name)
	x := g.Input("x", infer.FP32, "N", 2)
	g.Output("y", infer.FP32, g.Op("Add", x, x), "N", 2)
	g.Output("first", infer.FP32, g.Op("ReduceSum", x, g.Init(onnxgen.Int64s([]int64{1}, 1))).Int("keepdims", 0), "N")
	return g
}

func TestMembersGetTheirRows(t *testing.T) {
	s := load(t, double("rows"), options())
	instance := newInstance(t, s)
	reqs := []*infer.Request{
		request(t, s, nil, floats("x", infer.Shape{1, 2}, 1, 2)),
		request(t, s, []string{"first"}, floats("x", infer.Shape{2, 2}, 3, 4, 5, 6)),
		request(t, s, nil, floats("x", infer.Shape{0, 2})),
		request(t, s, []string{"first", "y"}, floats("x", infer.Shape{1, 2}, 7, 8)),
	}
	for range 3 { // allocated by the runtime, then by the instance, then again
		got, err := predict(instance, reqs...)
		if err != nil {
			t.Fatal(err)
		}
		first := func(f infer.Tensor) infer.Tensor { return named("first", 1, f) }
		same(t, got[0], floats("y", infer.Shape{1, 2}, 2, 4), first(floats("", infer.Shape{1}, 3)))
		same(t, got[1], first(floats("", infer.Shape{2}, 7, 11)))
		same(t, got[2], floats("y", infer.Shape{0, 2}), first(floats("", infer.Shape{0})))
		same(t, got[3], first(floats("", infer.Shape{1}, 15)), floats("y", infer.Shape{1, 2}, 14, 16))
	}
}

// ReverseSequence leaves the rows of sequences of length 0 unwritten: a caller must not see
// there the answer to another one.
func TestOutputsHoldNoOldMemory(t *testing.T) {
	g := onnxgen.New("reverse")
	x, lengths := g.Input("x", infer.FP32, "N", 2), g.Input("lengths", infer.Int64, "N")
	y := g.Op("ReverseSequence", x, lengths).Int("batch_axis", 0).Int("time_axis", 1)
	g.Output("y", infer.FP32, y, "N", 2)
	s := load(t, g, options())
	instance := newInstance(t, s)
	ask := func(a, b float32, length int64) []infer.Tensor {
		t.Helper()
		return mustPredict(t, instance, request(t, s, nil, floats("x", infer.Shape{1, 2}, a, b), named("lengths", 1, onnxgen.Int64s([]int64{length}, 1))))
	}
	for range 3 {
		same(t, ask(41, 42, 2), floats("y", infer.Shape{1, 2}, 42, 41))
	}
	for _, v := range ask(1, 2, 0)[0].Data {
		if v != 0 {
			t.Fatalf("an earlier answer shows: %v", ask(1, 2, 0)[0].Data)
		}
	}
}

func TestStringsAreSplitByRows(t *testing.T) {
	g := onnxgen.New("words")
	g.Output("y", infer.Bytes, g.Op("Identity", g.Input("x", infer.Bytes, "N", 2)), "N", 2)
	s := load(t, g, options())
	instance := newInstance(t, s)
	one := named("x", 0, onnxgen.Strings([]string{"a", ""}, 1, 2))
	two := named("x", 0, onnxgen.Strings([]string{"b\x00b", strings.Repeat("c", 1000), "d", "e"}, 2, 2))
	for range 2 {
		got, err := predict(instance, request(t, s, nil, one), request(t, s, nil, two))
		if err != nil {
			t.Fatal(err)
		}
		same(t, got[0], named("y", 0, one))
		same(t, got[1], named("y", 0, two))
	}
}

func TestOnlyWantedOutputsAreFetched(t *testing.T) {
	s := load(t, double("wanted"), options())
	instance := newInstance(t, s)
	x := floats("x", infer.Shape{1, 2}, 1, 2)
	for range 2 {
		same(t, mustPredict(t, instance, request(t, s, []string{"first"}, x)), named("first", 1, floats("", infer.Shape{1}, 3)))
	}
	if n := s.Memory().Outputs(); n != 64 {
		t.Errorf("%d bytes for one output of 4, want one aligned place of 64", n)
	}
	all := mustPredict(t, instance, request(t, s, nil, x))
	same(t, all, floats("y", infer.Shape{1, 2}, 2, 4), named("first", 1, floats("", infer.Shape{1}, 3)))
}

func TestOptionalInputs(t *testing.T) {
	g := onnxgen.New("bias")
	x := g.Input("x", infer.FP32, "N")
	bias := g.InputWithDefault(named("bias", 0, onnxgen.Float32s([]float32{100}, 1)), 1)
	g.Output("y", infer.FP32, g.Op("Add", x, bias), "N")
	s := load(t, g, options())
	instance := newInstance(t, s)
	for range 2 {
		same(t, mustPredict(t, instance, request(t, s, nil, floats("x", infer.Shape{1}, 1))), floats("y", infer.Shape{1}, 101))
		same(t, mustPredict(t, instance, request(t, s, nil, floats("bias", infer.Shape{1}, 5), floats("x", infer.Shape{1}, 1))), floats("y", infer.Shape{1}, 6))
	}
}

// TestShapesThatDependOnData covers outputs of unknown size, and outputs whose declared size
// only some runs keep.
func TestShapesThatDependOnData(t *testing.T) {
	g := onnxgen.New("nonzero")
	x := g.Input("x", infer.FP32, "N")
	where := g.Op("NonZero", x)
	g.Output("free", infer.Int64, where, 1, "K")
	g.Output("promised", infer.Int64, g.Op("Identity", where), 1, "N")
	s := load(t, g, options())
	instance := newInstance(t, s)
	f := func(output string, want []int64, values ...float32) {
		t.Helper()
		got := mustPredict(t, instance, request(t, s, []string{output}, floats("x", infer.Shape{int64(len(values))}, values...)))
		index := 0
		if output == "promised" {
			index = 1
		}
		same(t, got, named(output, index, onnxgen.Int64s(want, 1, int64(len(want)))))
	}
	for _, output := range []string{"free", "promised"} {
		f(output, []int64{0, 1, 2}, 1, 1, 1) // as promised
		f(output, []int64{0, 1, 2}, 1, 1, 1)
		f(output, []int64{1}, 0, 1, 0)
		f(output, nil, 0, 0, 0)
		f(output, []int64{0, 1, 2}, 1, 1, 1)
	}
}

func TestFailedRunLeavesTheInstanceWell(t *testing.T) {
	g := onnxgen.New("gather")
	g.Output("y", infer.FP32, g.Op("Gather", g.Init(onnxgen.Float32s([]float32{10, 11}, 2)), g.Input("x", infer.Int64, "N")), "N")
	s := load(t, g, options())
	instance := newInstance(t, s)
	good := request(t, s, nil, named("x", 0, onnxgen.Int64s([]int64{1}, 1)))
	bad := request(t, s, nil, named("x", 0, onnxgen.Int64s([]int64{7}, 1)))
	for range 3 {
		same(t, mustPredict(t, instance, good), floats("y", infer.Shape{1}, 11))
		_, err := predict(instance, bad)
		if infer.CodeOf(err) != infer.Invalid {
			t.Errorf("got %v, want invalid", err)
		}
		if err := instance.Scatter(0, infer.NewResponse()); err == nil {
			t.Error("a failed run was scattered")
		}
	}
}

// On x86-64 such a division is a signal that ends the process unless it is handled.
func TestIntegerDivisionByZero(t *testing.T) {
	sizes := map[infer.DType]int{infer.Int8: 1, infer.Uint8: 1, infer.Int16: 2, infer.Uint16: 2, infer.Int32: 4, infer.Uint32: 4, infer.Int64: 8, infer.Uint64: 8}
	for d, size := range sizes {
		for _, op := range []string{"Div", "Mod"} {
			g := onnxgen.New(op)
			g.Output("y", d, g.Op(op, g.Input("a", d, "N"), g.Input("b", d, "N")), "N")
			s := load(t, g, options())
			instance := newInstance(t, s)
			for _, n := range []int{1, 3, 100} {
				tensor := func(name string, first byte) infer.Tensor {
					data := make([]byte, n*size)
					for i := range n {
						data[i*size] = 1
					}
					data[0] = first
					return infer.Tensor{Name: name, DType: d, Shape: infer.Shape{int64(n)}, Data: data}
				}
				for range 2 {
					if _, err := predict(instance, request(t, s, nil, tensor("a", 7), tensor("b", 0))); err != nil && !errors.Is(err, infer.ErrRefused) || err == nil && runtime.GOARCH == "amd64" {
						t.Errorf("%v %s: got %v, want one that the model refused", d, op, err)
					}
					got := mustPredict(t, instance, request(t, s, nil, tensor("a", 7), tensor("b", 4)))
					if want := map[string]byte{"Div": 1, "Mod": 3}[op]; got[0].Data[0] != want {
						t.Errorf("%v %s: got %d, want %d", d, op, got[0].Data[0], want)
					}
				}
			}
		}
	}
}

func TestOutputThatIsNoBatchIsRefused(t *testing.T) {
	g := onnxgen.New("sum")
	g.Output("y", infer.FP32, g.Op("ReduceSum", g.Input("x", infer.FP32, "N")).Int("keepdims", 1), 1)
	s := load(t, g, options())
	instance := newInstance(t, s)
	r := request(t, s, nil, floats("x", infer.Shape{1}, 1))
	if err := instance.Gather([]*infer.Request{r, r}); err != nil {
		t.Fatal(err)
	}
	// The run fails before any member is answered, so each can be run alone.
	if err := instance.Run(); infer.CodeOf(err) != infer.Internal {
		t.Errorf("got %v, want internal", err)
	}
	same(t, mustPredict(t, instance, r), floats("y", infer.Shape{1}, 1))
}

func TestMembersThatDoNotFitAreRefused(t *testing.T) {
	g := onnxgen.New("loose")
	g.Output("y", infer.FP32, g.Op("Identity", g.Input("x", infer.FP32, "N", "M")), "N", "M")
	s := load(t, g, options())
	instance := newInstance(t, s)
	a, b := request(t, s, nil, floats("x", infer.Shape{1, 1}, 1)), request(t, s, nil, floats("x", infer.Shape{1, 2}, 1, 2))
	if _, err := predict(instance, a, b); infer.CodeOf(err) != infer.Internal {
		t.Errorf("got %v, want internal", err)
	}
	if err := instance.Run(); err == nil {
		t.Error("ran without a gather")
	}
}

func TestMemoryIsBoundedAndCounted(t *testing.T) {
	const keep = 4096
	s := load(t, double("memory"), complete(ort.LoadOptions{KeepBytes: keep, PreparedShapes: 2}))
	instance := newInstance(t, s)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 { // shapes change, blocks move and are freed under kept plans
		n := rng.Int64N(900)
		x := infer.Tensor{Name: "x", DType: infer.FP32, Shape: infer.Shape{n, 2}, Data: make([]byte, 8*n)}
		got := mustPredict(t, instance, request(t, s, nil, x))
		if int64(len(got[0].Data)) != 8*n || !bytes.Equal(got[0].Data, x.Data) { // 2·0 = 0
			t.Fatalf("%d rows: %d bytes", n, len(got[0].Data))
		}
		if m := s.Memory(); m.Inputs() > keep || m.Outputs() > keep {
			t.Fatalf("%d + %d bytes are kept, more than %d each", m.Inputs(), m.Outputs(), keep)
		}
	}
	if s.Memory().InUse() == 0 {
		t.Error("nothing is counted")
	}
}

func TestOutputLimit(t *testing.T) {
	s := load(t, double("limit"), complete(ort.LoadOptions{MaxOutputBytes: 12 * 4}))
	instance := newInstance(t, s)
	four := request(t, s, nil, floats("x", infer.Shape{4, 2}, 1, 2, 3, 4, 5, 6, 7, 8))
	five := request(t, s, nil, floats("x", infer.Shape{5, 2}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
	for range 2 {
		mustPredict(t, instance, four)
		_, err := predict(instance, five)
		if infer.CodeOf(err) != infer.TooLarge || !strings.Contains(infer.Message(err), "60 bytes, more than the limit of 48") {
			t.Errorf("got %v", err)
		}
	}
}

// A request without data can ask for outputs of any size. They are refused before memory is
// allocated for them.
func TestHugeOutputsOfNothing(t *testing.T) {
	g := onnxgen.New("sums")
	x := g.Input("x", infer.FP32, "N", "T")
	sum := g.Op("ReduceSum", x, g.Init(onnxgen.Int64s([]int64{1}, 1)))
	g.Output("sum", infer.FP32, sum, "N", 1)
	g.Output("negative", infer.FP32, g.Op("Neg", sum), "N", 1)
	s := load(t, g, options())
	instance := newInstance(t, s)
	for _, rows := range []int64{1 << 36, 1 << 60, 1 << 61, math.MaxInt64} {
		_, err := predict(instance, request(t, s, nil, floats("x", infer.Shape{rows, 0})))
		if infer.CodeOf(err) != infer.TooLarge {
			t.Errorf("%d rows: got %v", rows, err)
		}
	}
	same(t, mustPredict(t, instance, request(t, s, []string{"sum"}, floats("x", infer.Shape{2, 0}))), floats("sum", infer.Shape{2, 1}, 0, 0))
}

// The outputs of a refused run are freed before the next one.
func TestRefusedOutputsAreFreed(t *testing.T) {
	const elements = 16 << 20
	s := load(t, onnxgen.NonZero(), complete(ort.LoadOptions{MaxOutputBytes: 1 << 20}))
	instance := newInstance(t, s)
	x := floats("input", infer.Shape{elements})
	x.Data = bytes.Repeat([]byte{1}, 4*elements)
	_, err := predict(instance, request(t, s, nil, x))
	if infer.CodeOf(err) != infer.TooLarge {
		t.Fatalf("got %v", err)
	}
	debug.FreeOSMemory() // all that Go would give back later, except for x
	held := resident(t)
	mustPredict(t, instance, request(t, s, nil, floats("input", infer.Shape{1}, 1))) // frees the kept outputs
	if now := resident(t); held-now > elements {
		t.Errorf("%d bytes resident after the refusal, %d after the next run", held, now)
	}
	runtime.KeepAlive(x)
}

// resident returns the memory of the process in bytes, 0 if it is unknown.
func resident(t *testing.T) (bytes int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// forever is a loop of as many turns as the input says.
func forever() *onnxgen.Graph {
	g := onnxgen.New("loop")
	turns := g.Input("turns", infer.Int64)
	body := g.Sub("body")
	body.Input("i", infer.Int64)
	more := body.Input("more", infer.Bool)
	sum := body.Input("sum", infer.FP32, 1)
	body.Output("more_out", infer.Bool, body.Op("Identity", more))
	body.Output("sum_out", infer.FP32, body.Op("Add", sum, g.Init(onnxgen.Float32s([]float32{1}, 1))), 1)
	g.Output("y", infer.FP32, g.Op("Loop", turns, nil, g.Init(onnxgen.Float32s([]float32{0}, 1))).Graph("body", body), 1)
	return g
}

func TestTerminate(t *testing.T) {
	s := load(t, forever(), options())
	instance := newInstance(t, s)
	turns := func(n int64) *infer.Request { return request(t, s, nil, named("turns", 0, onnxgen.Int64s([]int64{n}))) }
	for range 3 {
		same(t, mustPredict(t, instance, turns(3)), floats("y", infer.Shape{1}, 3))
		if err := instance.Gather([]*infer.Request{turns(1 << 40)}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- instance.Run() }()
		select {
		case err := <-done:
			t.Fatal("the run ended by itself:", err)
		case <-time.After(20 * time.Millisecond): // most likely in the middle of the loop; the test must pass at any moment
		}
		instance.Terminate()
		if err := <-done; infer.CodeOf(err) != infer.Canceled {
			t.Errorf("got %v, want canceled", err)
		}
		instance.Terminate() // too late for that run: the next Gather clears it
	}
}

func TestTerminateBetweenGatherAndRun(t *testing.T) {
	s := load(t, forever(), options())
	instance := newInstance(t, s)
	if err := instance.Gather([]*infer.Request{request(t, s, nil, named("turns", 0, onnxgen.Int64s([]int64{1 << 40})))}); err != nil {
		t.Fatal(err)
	}
	instance.Terminate()
	if err := instance.Run(); infer.CodeOf(err) != infer.Canceled {
		t.Errorf("got %v, want canceled", err)
	}
}

func TestInstancesRunAtOnce(t *testing.T) {
	s := load(t, double("parallel"), options())
	var wg sync.WaitGroup
	for worker := range 4 {
		instance := newInstance(t, s)
		wg.Go(func() {
			for i := range 200 {
				v := float32(worker*1000 + i)
				rows := int64(i%3 + 1)
				values := []float32{v, 1, v, 1, v, 1}
				got, err := predict(instance, request(t, s, []string{"first"}, floats("x", infer.Shape{rows, 2}, values[:2*rows]...)))
				if err != nil {
					t.Error(err)
					return
				}
				sums := []float32{v + 1, v + 1, v + 1}
				same(t, got[0], named("first", 1, floats("", infer.Shape{rows}, sums[:rows]...)))
			}
		})
	}
	for range 100 { // from outside, as a batcher would
		instance := newInstance(t, s)
		instance.Terminate()
	}
	wg.Wait()
}

func TestCloseInOrder(t *testing.T) {
	s, err := env.Load(write(t, double("close")), options())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := s.NewInstance()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil {
		t.Error("a session with an instance was closed")
	}
	if err := env.Close(); err == nil {
		t.Error("an environment with a session was closed")
	}
	mustPredict(t, instance, request(t, s, nil, floats("x", infer.Shape{1, 2}, 1, 2)))
	if err := instance.Close(); err != nil {
		t.Error(err)
	}
	instance.Terminate() // may come late
	if s.Memory().InUse() != 0 {
		t.Errorf("%d bytes after the instance was closed", s.Memory().InUse())
	}
	if err := instance.Gather(nil); err == nil {
		t.Error("gathered in a closed instance")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
