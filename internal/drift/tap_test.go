package drift

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// tapped is a model with inputs x [n, 3] and flag [n] (optional), and the output y [n, 2]. The
// profile has x[0], x[2], flag and y[1].
func tapped() (*infer.Model, *Profile) {
	m := infer.NewModel("iris", 1, []infer.TensorSpec{
		{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 3}},
		{Name: "flag", DType: infer.Int64, Shape: infer.Shape{-1}, Optional: true},
	}, []infer.TensorSpec{
		{Name: "label", DType: infer.Int64, Shape: infer.Shape{-1}},
		{Name: "y", DType: infer.FP64, Shape: infer.Shape{-1, 2}},
	})
	feature := func(name, kind, tensor string, element int) Feature {
		return Feature{Name: name, Kind: kind, Tensor: tensor, Element: element, Edges: []float64{0}, Min: -10, Max: 10, Reference: Counts{Bins: []uint64{1, 1}}}
	}
	return m, &Profile{Features: []Feature{
		feature("a", KindInput, "x", 0), feature("c", KindInput, "x", 2),
		feature("flag", KindInput, "flag", 0), feature("q", KindOutput, "y", 1),
	}}
}

func fp32(values ...float32) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// asked is a request of n rows with k, -k, and NaN in the third row as x.
func asked(m *infer.Model, id string, n int, flag bool) *infer.Request {
	var x []float32
	for k := range n {
		third := float32(-k)
		if k == 2 {
			third = float32(math.NaN())
		}
		x = append(x, float32(k), 99, third)
	}
	req := &infer.Request{RequestID: id, Inputs: []infer.Tensor{{Name: "x", DType: infer.FP32, Shape: infer.Shape{int64(n), 3}, Data: fp32(x...)}}}
	if flag {
		req.Inputs = append(req.Inputs, infer.Tensor{Name: "flag", DType: infer.Int64, Shape: infer.Shape{int64(n)}, Data: make([]byte, 8*n)})
	}
	if err := m.Check(req); err != nil {
		panic(err)
	}
	return req
}

// answered has label and y, in the reverse order of the model's.
func answered(n int) *infer.Response {
	resp := infer.NewResponse()
	y := resp.Add("y", 1, infer.FP64, infer.Shape{int64(n), 2}, 16*n)
	for k := range n {
		binary.LittleEndian.PutUint64(y[16*k+8:], math.Float64bits(0.5))
	}
	resp.Add("label", 0, infer.Int64, infer.Shape{int64(n)}, 8*n)
	return resp
}

func empty(p *Profile) []Counts {
	counts := make([]Counts, len(p.Features))
	for i := range counts {
		counts[i] = p.Features[i].newSplitCounts()
	}
	return counts
}

// drain counts all waiting rows, and returns their number and the number of dropped ones.
func drain(tap *Tap, counts []Counts) (rows, dropped uint64) {
	dropped = tap.take()
	return tap.count(&Window{Counts: counts}, &Splitter{}, math.MaxUint64), dropped
}

func TestTapCountsInputsAndOutputsTogether(t *testing.T) {
	m, p := tapped()
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 100, MaxBytes: 1 << 20})
	tap.Offer(asked(m, "1", 4, true), answered(4))
	tap.Offer(asked(m, "2", 2, false), answered(2))
	counts := empty(p)
	rows, dropped := drain(tap, counts)
	if rows != 6 || dropped != 0 {
		t.Fatalf("%d rows, %d dropped", rows, dropped)
	}
	f := func(i int, low, high, missing uint64) {
		t.Helper()
		c := counts[i]
		if c.Bins[0] != low || c.Bins[1] != high || c.Missing != missing {
			t.Errorf("%s: %+v, want bins %d %d, %d missing", p.Features[i].Name, c, low, high, missing)
		}
	}
	f(0, 2, 4, 0) // a: 0 1 2 3, 0 1
	f(1, 5, 0, 1) // c: 0 -1 NaN -3, 0 -1
	f(2, 4, 0, 2) // the second request had no flag
	f(3, 0, 6, 0) // q, although the answer has another order
	if rows, _ := drain(tap, counts); rows != 0 {
		t.Errorf("%d rows are there twice", rows)
	}
}

func TestTapTakesRowsEvenlyAndOutputsThatWereAskedFor(t *testing.T) {
	m, p := tapped()
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 4, MaxBytes: 1 << 20})
	resp := infer.NewResponse() // only label
	resp.Add("label", 0, infer.Int64, infer.Shape{100}, 800)
	tap.Offer(asked(m, "1", 100, true), resp)
	counts := empty(p)
	if rows, _ := drain(tap, counts); rows != 4 {
		t.Errorf("%d rows of a request of 100, want 4", rows)
	}
	if n := counts[0].Bins[0] + counts[0].Bins[1]; n != 4 || counts[0].Sum != 12+37+62+87 {
		t.Errorf("took rows with the sum %v, want 12, 37, 62 and 87", counts[0].Sum)
	}
	if c := counts[3]; c.Bins[0]+c.Bins[1]+c.Missing != 0 {
		t.Errorf("an output that was not asked for counts: %+v", c)
	}
}

func TestTapDropsWhatHasNoRoom(t *testing.T) {
	m, p := tapped()
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 400})
	for range 10 {
		tap.Offer(asked(m, "1", 2, true), answered(2))
	}
	counts := empty(p)
	rows, dropped := drain(tap, counts)
	if rows == 0 || dropped == 0 || rows+dropped != 20 {
		t.Errorf("%d rows and %d dropped of 20", rows, dropped)
	}
	if _, dropped := drain(tap, counts); dropped != 0 {
		t.Errorf("%d dropped are counted twice", dropped)
	}
	large := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 1 << 20, MaxBytes: 400})
	large.Offer(asked(m, "1", 10_000, true), answered(10_000))
	if _, dropped := drain(large, counts); dropped != 10_000 || cap(large.taken) > 0 {
		t.Errorf("%d dropped of 10000 rows, for which there was room of %d bytes", dropped, cap(large.taken))
	}
	large.Offer(asked(m, "1", 7, true), answered(7))
	if n := len(large.waiting); n != large.size(asked(m, "1", 7, true), answered(7), 7) {
		t.Errorf("a record of %d bytes", n)
	}
}

func TestTapSamplesByRequestID(t *testing.T) {
	m, p := tapped()
	sampled := func() (ids []int) {
		tap := NewTap(TapOptions{Model: m, Profile: p, Sample: 1000, MaxRows: 1, MaxBytes: 1 << 20})
		for i := range 2000 {
			tap.Offer(asked(m, strconv.Itoa(i), 1, false), answered(1))
			if rows, _ := drain(tap, empty(p)); rows == 1 {
				ids = append(ids, i)
			}
		}
		return ids
	}
	a, b := sampled(), sampled()
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("two gateways sample other requests")
	}
	if len(a) < 120 || len(a) > 280 { // 200 expected, 13 is a standard deviation
		t.Errorf("%d of 2000 at 10 %%", len(a))
	}
}

func TestTapDropsRowsThatDoNotAgree(t *testing.T) {
	m, p := tapped()
	short := asked(m, "1", 4, false)
	short.Inputs[0].Data = short.Inputs[0].Data[:4*4*2] // rows of 2, but the profile has 3
	whole := asked(m, "1", 4, true)
	whole.Inputs[1].Shape, whole.Inputs[1].Data = infer.Shape{1}, whole.Inputs[1].Data[:8]
	for name, c := range map[string]struct {
		req  *infer.Request
		resp *infer.Response
		want uint64
	}{
		"outputs of fewer rows": {asked(m, "1", 3, true), answered(2), 3},
		"outputs of more rows":  {asked(m, "1", 2, true), answered(3), 3},
		"one row for all":       {whole, answered(4), 4},
		"short rows":            {short, answered(4), 4},
		"more than are taken":   {asked(m, "1", 100, true), answered(1), 16},
		"no rows":               {asked(m, "1", 0, true), answered(0), 0},
	} {
		tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 1 << 20})
		tap.Offer(c.req, c.resp)
		if rows, dropped := drain(tap, empty(p)); rows != 0 || dropped != c.want {
			t.Errorf("%s: %d rows, %d dropped; want none and %d", name, rows, dropped, c.want)
		}
	}
}

// Empty rows take no bytes, so a request can have any number of them. They are shorter than the
// profile's.
func TestTapDropsRowsOfNothing(t *testing.T) {
	_, p := tapped()
	p.Features = p.Features[:1]
	m := infer.NewModel("free", 1, []infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, -1}}}, nil)
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 100, MaxBytes: 1 << 20})
	for _, rows := range []int64{1, 1 << 20, 1 << 61, 1 << 62, math.MaxInt64} {
		req := &infer.Request{Inputs: []infer.Tensor{{Name: "x", DType: infer.FP32, Shape: infer.Shape{rows, 0}, Data: []byte{}}}}
		if err := m.Check(req); err != nil {
			t.Fatal(err)
		}
		tap.Offer(req, infer.NewResponse())
		if n, dropped := drain(tap, empty(p)); n != 0 || dropped != uint64(min(rows, 100)) { //nolint:gosec // not negative
			t.Errorf("%d rows: %d counted, %d dropped", rows, n, dropped)
		}
	}
}

func TestTapFromManyGoroutines(t *testing.T) {
	m, p := tapped()
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 1 << 20})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				resp := answered(2)
				tap.Offer(asked(m, fmt.Sprint(g, i), 2, true), resp)
				resp.Release()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }() // ends with the callers
	counts, total := empty(p), uint64(0)
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		rows, dropped := drain(tap, counts)
		total += rows + dropped
	}
	if total != 4000 || counts[3].Bins[1] != 4000 {
		t.Errorf("%d rows, %d counted, want 4000", total, counts[3].Bins[1])
	}
}

// wide is a model of sixteen inputs and three outputs, each a feature with 32 bins.
func wide() (*infer.Model, *Profile) {
	m := infer.NewModel("wide", 1, []infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 16}}},
		[]infer.TensorSpec{{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 3}}})
	p := &Profile{}
	add := func(kind, tensor string, n int) {
		for i := range n {
			f := Feature{Name: fmt.Sprint(tensor, i), Kind: kind, Tensor: tensor, Element: i, Min: -4, Max: 4}
			for e := range MaxBins - 1 {
				f.Edges = append(f.Edges, float64(e-15)/8)
			}
			f.Reference = f.NewCounts()
			p.Features = append(p.Features, f)
		}
	}
	add(KindInput, "x", 16)
	add(KindOutput, "y", 3)
	return m, p
}

func wideRequest(m *infer.Model) *infer.Request {
	var x []float32
	for i := range 16 {
		x = append(x, float32(i)/8-1)
	}
	req := &infer.Request{RequestID: "0123456789abcdef-1", Inputs: []infer.Tensor{{Name: "x", DType: infer.FP32, Shape: infer.Shape{1, 16}, Data: fp32(x...)}}}
	if err := m.Check(req); err != nil {
		panic(err)
	}
	return req
}

func wideResponse() *infer.Response {
	resp := infer.NewResponse()
	copy(resp.Add("y", 0, infer.FP32, infer.Shape{1, 3}, 12), fp32(0.1, 0.2, 0.7))
	return resp
}
