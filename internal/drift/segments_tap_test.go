package drift

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// buyers is a model with a vector, two numbers, two texts, a code and an output.
func buyers() *infer.Model {
	return infer.NewModel("buyers", 1, []infer.TensorSpec{
		{Name: "emb", DType: infer.FP32, Shape: infer.Shape{-1, 4}},
		{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 2}},
		{Name: "texts", DType: infer.Bytes, Shape: infer.Shape{-1, 2}},
		{Name: "code", DType: infer.Int64, Shape: infer.Shape{-1}, Optional: true},
	}, []infer.TensorSpec{{Name: "y", DType: infer.FP64, Shape: infer.Shape{-1}}})
}

// buyer is a row of the model.
type buyer struct {
	emb     [4]float64
	x       [2]float64
	texts   [2]string // what, and the country
	code    float64
	y       float64
	country string
}

func newBuyer(rng *rand.Rand) (r buyer) {
	for i := range r.emb {
		r.emb[i] = float64(float32(rng.NormFloat64()))
	}
	at := min(rng.IntN(6), 3)
	r.country, r.code = []string{"DE", "FR", "IT", ""}[at], []float64{7, 8, 9, 0}[at]
	if at == 3 { // others: new ones, long ones, and none
		r.country = []string{fmt.Sprint("X", rng.IntN(1000)), strings.Repeat("long", 1+rng.IntN(100)), ""}[rng.IntN(3)]
		r.code = float64(100 + rng.IntN(1000))
	}
	r.texts = [2]string{[]string{"a", "b", "c"}[rng.IntN(3)], r.country}
	r.x = [2]float64{float64(float32(rng.NormFloat64() + float64(at))), float64(float32(rng.ExpFloat64()))}
	r.y = r.x[0] + 1
	return r
}

// buyersProfile is a profile by a key, with the vector.
func buyersProfile(t testing.TB, key SegmentKey) *Profile {
	t.Helper()
	var features []Feature
	add := func(name, kind, tensor string, element int, dtype, measure string) {
		features = append(features, Feature{Name: name, Kind: kind, Tensor: tensor, Element: element, Datatype: dtype, Measure: measure})
	}
	for i := range 4 {
		add(fmt.Sprint("emb", i), KindInput, "emb", i, "FP32", MeasureVector)
	}
	add("x0", KindInput, "x", 0, "FP32", "")
	add("x1", KindInput, "x", 1, "FP32", "")
	add("what", KindInput, "texts", 0, "BYTES", "")
	add("country", KindInput, "texts", 1, "BYTES", "")
	add("code", KindInput, "code", 0, "INT64", "")
	add("y", KindOutput, "y", 0, "FP64", "")
	b := NewBuilder(features, BuilderOptions{MaxSampleBytes: 64 << 20, MaxSampleRows: 50_000, TextNames: true})
	if err := b.BySegment(key, 3, nil); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 8000 {
		r := newBuyer(rng)
		b.InSegment(r.country)
		values := []float64{r.emb[0], r.emb[1], r.emb[2], r.emb[3], r.x[0], r.x[1], 0, 0, r.code, r.y}
		b.AddRow(values, []string{"", "", "", "", "", "", r.texts[0], r.texts[1], "", ""}, make([]bool, len(values)))
	}
	p := b.Profile(Meta{Model: "buyers"})
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	if err := p.check(); err != nil {
		t.Fatal(err)
	}
	return p
}

// bought is a request with rows and its answer, with or without the code and the output.
func bought(t testing.TB, m *infer.Model, rows []buyer, code, output bool) (*infer.Request, *infer.Response) {
	t.Helper()
	n := int64(len(rows))
	var emb, x, texts, codes []byte
	for _, r := range rows {
		for _, v := range r.emb {
			emb = append(emb, fp32(float32(v))...)
		}
		x = append(x, fp32(float32(r.x[0]), float32(r.x[1]))...)
		texts = infer.AppendElement(infer.AppendElement(texts, r.texts[0]), r.texts[1])
		codes = binary.LittleEndian.AppendUint64(codes, uint64(r.code))
	}
	req := &infer.Request{Inputs: []infer.Tensor{
		{Name: "texts", DType: infer.Bytes, Shape: infer.Shape{n, 2}, Data: texts},
		{Name: "x", DType: infer.FP32, Shape: infer.Shape{n, 2}, Data: x},
		{Name: "emb", DType: infer.FP32, Shape: infer.Shape{n, 4}, Data: emb},
	}, DriftSegment: rows[0].country}
	if code {
		req.Inputs = append(req.Inputs, infer.Tensor{Name: "code", DType: infer.Int64, Shape: infer.Shape{n}, Data: codes})
	}
	if err := m.Check(req); err != nil {
		t.Fatal(err)
	}
	resp := infer.NewResponse()
	if output {
		y := resp.Add("y", 0, infer.FP64, infer.Shape{n}, int(8*n))
		for i, r := range rows {
			binary.LittleEndian.PutUint64(y[8*i:], math.Float64bits(r.y))
		}
	}
	return req, resp
}

// divided are a tap and those of its segments.
func divided(m *infer.Model, p *Profile, maxBytes int) (whole *Tap, parts map[string]*Tap) {
	tap := func(p *Profile) *Tap {
		return NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 100, MaxBytes: maxBytes})
	}
	whole, parts = tap(p), map[string]*Tap{}
	for _, value := range p.SegmentsUpTo(8) {
		parts[value] = tap(p.Of(value))
		whole.Divide(value, parts[value])
	}
	return whole, parts
}

// TestTapOfSegments: each row of a tap is also in the tap of its segment, with all that its profile has.
func TestTapOfSegments(t *testing.T) {
	for name, key := range map[string]SegmentKey{
		"text": {Input: "texts", Element: 1}, "code": {Input: "code"}, "parameter": {Parameter: "country"},
	} {
		t.Run(name, func(t *testing.T) {
			m, p := buyers(), buyersProfile(t, key)
			whole, parts := divided(m, p, 1<<20)
			if len(parts) != 4 || parts[OtherSegment] == nil {
				t.Fatalf("%v", p.SegmentsUpTo(8))
			}
			want := map[string][]Counts{}
			for value, part := range parts {
				want[value] = empty(part.o.Profile)
			}
			rng := rand.New(rand.NewPCG(5, 5))
			rows, all := 0, empty(p)
			for request := range 300 {
				list := make([]buyer, 1+rng.IntN(5))
				for i := range list {
					list[i] = newBuyer(rng)
				}
				code, output := request%3 > 0, request%4 > 0
				req, resp := bought(t, m, list, code, output)
				whole.Offer(req, resp)
				for i := range list {
					r := &list[i]
					value := p.SegmentOfText(r.country)
					switch {
					case name == "parameter":
						value = p.SegmentOfText(list[0].country)
					case name == "code" && code:
						value = p.SegmentOfNumber(r.code)
					case name == "code":
						value = OtherSegment
					}
					countBuyer(parts[value].o.Profile, want[value], r, code, output)
					rows++
				}
				if request%50 == 0 {
					drainAll(t, whole, all, parts, want)
				}
			}
			drainAll(t, whole, all, parts, want)
			if n := all[0].N(); n != uint64(rows) {
				t.Errorf("%d rows of %d", n, rows)
			}
		})
	}
}

// countBuyer counts a row as a profile has it.
func countBuyer(p *Profile, counts []Counts, r *buyer, code, output bool) {
	for i := range p.Features {
		f, c := &p.Features[i], &counts[i]
		switch {
		case f.Tensor == "x":
			c.Add(f, r.x[f.Element])
		case f.Tensor == "texts" && r.texts[f.Element] == "":
			c.AddMissing()
		case f.Tensor == "texts":
			text := r.texts[f.Element]
			x := ReadText([]byte(text[:min(len(text), p.TextBytes)]), len(text))
			c.Add(f, x.Of(f))
		case f.Tensor == "code" && !code:
			c.AddMissing()
		case f.Tensor == "code":
			c.Add(f, r.code)
		case output:
			c.Add(f, r.y)
		}
	}
}

// drainAll counts what waits, compares that of each part with what it should be, and empties the latter.
func drainAll(t *testing.T, whole *Tap, all []Counts, parts map[string]*Tap, want map[string][]Counts) {
	t.Helper()
	w := Window{Counts: all, Vectors: whole.o.Profile.newVectors()}
	var split Splitter
	if dropped := whole.take(); dropped > 0 {
		t.Errorf("%d rows were dropped", dropped)
	}
	whole.count(&w, &split, math.MaxUint64)
	for value, part := range parts {
		got := Window{Counts: empty(part.o.Profile)}
		var split Splitter
		if dropped := part.take(); dropped > 0 {
			t.Errorf("%s: %d rows were dropped", value, dropped)
		}
		part.count(&got, &split, math.MaxUint64)
		for i := range got.Counts {
			got.Counts[i].Halves, want[value][i].Halves = nil, nil
			got.Counts[i].Flaws = [numFlaws]Flaws{} // which belong to halves
		}
		if diff := cmp.Diff(want[value], got.Counts); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
		want[value] = empty(part.o.Profile)
	}
}

// TestTapOfSegmentsWithoutRoom: what a segment has no room for is counted as dropped there, and the whole has it.
func TestTapOfSegmentsWithoutRoom(t *testing.T) {
	m, p := buyers(), buyersProfile(t, SegmentKey{Parameter: "country"})
	whole, parts := divided(m, p, 1<<20)
	parts["DE"].o.MaxBytes = 1000
	r := newBuyer(rand.New(rand.NewPCG(1, 1)))
	r.country = "DE"
	req, resp := bought(t, m, slices.Repeat([]buyer{r}, 90), true, true)
	whole.Offer(req, resp)
	w := Window{Counts: empty(p), Vectors: p.newVectors()}
	var split Splitter
	dropped := whole.take()
	if rows := whole.count(&w, &split, math.MaxUint64); rows != 90 || dropped != 0 {
		t.Errorf("%d rows, %d dropped", rows, dropped)
	}
	part := Window{Counts: empty(parts["DE"].o.Profile)}
	lost := parts["DE"].take()
	rows := parts["DE"].count(&part, &split, math.MaxUint64)
	if rows < 5 || rows+lost != 90 {
		t.Errorf("%d rows, %d dropped", rows, lost)
	}
	whole.Divide("DE", nil)
	whole.Offer(req, resp)
	whole.take()
	if parts["DE"].take(); len(parts["DE"].rest) > 0 {
		t.Error("a segment that is not watched gets rows")
	}
}

// BenchmarkDivide gives rows of a request to the taps of their segments.
func BenchmarkDivide(b *testing.B) {
	for _, segments := range []bool{false, true} {
		b.Run(fmt.Sprintf("segments=%v", segments), func(b *testing.B) {
			m, p := buyers(), buyersProfile(b, SegmentKey{Input: "texts", Element: 1})
			whole, parts := divided(m, p, 1<<20)
			rng := rand.New(rand.NewPCG(1, 1))
			list := make([]buyer, 64)
			for i := range list {
				list[i] = newBuyer(rng)
			}
			req, resp := bought(b, m, list, true, true)
			if !segments {
				for value := range parts {
					whole.Divide(value, nil)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				whole.Offer(req, resp)
				whole.take()
				whole.rest = nil
				for _, part := range parts {
					part.take()
					part.rest = nil
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/row")
		})
	}
}
