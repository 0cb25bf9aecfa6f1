package drift

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

func TestReadText(t *testing.T) {
	f := func(text string, limit int, length float64, classes ...float64) {
		t.Helper()
		x := ReadText([]byte(text[:min(limit, len(text))]), len(text))
		if x.length != length || cmp.Diff(classes, x.classes[:]) != "" {
			t.Errorf("%q: %v characters, classes %v; want %v, %v", text, x.length, x.classes, length, classes)
		}
	}
	f("ab 1,", 256, 5, 0.4, 0.2, 0.2, 0.2, 0)
	f("Größe", 256, 5, 1, 0, 0, 0, 0)
	f("день", 256, 4, 0, 0, 0, 0, 1)
	f("€5😀\x00", 256, 4, 0, 0.25, 0, 0.25, 0.5)
	f("\xff\xfe", 256, 2, 0, 0, 0, 0, 1)
	f("", 256, 0, 0, 0, 0, 0, 0)
	// A longer text: its beginning is looked at, without a character that is cut, and stands for the rest.
	f(strings.Repeat("a", 1000), 100, 1000, 1, 0, 0, 0, 0)
	f(strings.Repeat("ж", 500), 101, 500, 0, 0, 0, 0, 1)

	same := func(a, b string) bool {
		x, y := ReadText([]byte(a[:min(4, len(a))]), len(a)), ReadText([]byte(b[:min(4, len(b))]), len(b))
		return x.hash == y.hash
	}
	if !same("abcdef", "abcdxx") || same("abcdef", "abcdefg") || same("abcd", "abcde") || same("abcd", "abce") {
		t.Error("texts are the same if beginning and length are")
	}
	if h := ReadText([]byte("EUR"), 3).hash; h >= 1<<53 {
		t.Errorf("%d is not exact in a float64", h)
	}
}

func TestNameOf(t *testing.T) {
	f := func(text string, limit int, want string) {
		t.Helper()
		if got := nameOf([]byte(text[:min(limit, len(text))]), len(text)); got != want || len(got) > maxNameBytes {
			t.Errorf("%q of %d bytes: %q, want %q", text, limit, got, want)
		}
	}
	f("EUR", 256, "EUR")
	f("a\x00\xff", 256, "a\x00\uFFFD")
	f(strings.Repeat("x", 64), 256, strings.Repeat("x", 64))
	f(strings.Repeat("ж", 65), 256, strings.Repeat("ж", 64)+"…")
	f(strings.Repeat("😀", 1000), 300, strings.Repeat("😀", 64)+"…")
	f("abcж", 4, "abc…")
}

// shop is a model with the texts currency and comment, a number, and a label as its answer.
func shop() *infer.Model {
	return infer.NewModel("shop", 1, []infer.TensorSpec{
		{Name: "currency", DType: infer.Bytes, Shape: infer.Shape{-1, 1}},
		{Name: "notes", DType: infer.Bytes, Shape: infer.Shape{-1, 3}},
		{Name: "amount", DType: infer.FP32, Shape: infer.Shape{-1, 1}},
	}, []infer.TensorSpec{{Name: "label", DType: infer.Bytes, Shape: infer.Shape{-1}}})
}

// order is a row of shop; the comment is the last of three notes.
type order struct {
	currency, comment, label string
	amount                   float32
}

// orders makes rows: the share of EUR is as given, the others are USD and GBP.
func orders(rng *rand.Rand, n int, euro float64) []order {
	list := make([]order, n)
	for i := range list {
		o := &list[i]
		o.amount, o.currency, o.label = float32(rng.NormFloat64()), "USD", "ok"
		switch u := rng.Float64(); {
		case u < euro:
			o.currency = "EUR"
		case u > 0.9:
			o.currency = "GBP"
		}
		if rng.IntN(4) == 0 {
			o.label = "fraud"
		}
		o.comment = fmt.Sprintf("order %d of %x", rng.IntN(1e6), rng.Uint64())
	}
	return list
}

func shopProfile(t testing.TB, list []order) *Profile {
	t.Helper()
	b := NewBuilder([]Feature{
		{Name: "currency", Kind: KindInput, Tensor: "currency", Datatype: "BYTES"},
		{Name: "comment", Kind: KindInput, Tensor: "notes", Element: 2, Datatype: "BYTES"},
		{Name: "amount", Kind: KindInput, Tensor: "amount", Datatype: "FP32"},
		{Name: "label", Kind: KindOutput, Tensor: "label", Datatype: "BYTES"},
	}, BuilderOptions{MaxSampleBytes: 64 << 20, MaxSampleRows: 100_000, TextNames: true})
	for i := range list {
		o := &list[i]
		b.AddRow([]float64{0, 0, float64(o.amount), 0}, []string{o.currency, o.comment, "", o.label}, make([]bool, 4))
	}
	p := b.Profile(Meta{Model: "shop"})
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&text, MaxProfileBytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Fits(shop()); err != nil {
		t.Fatal(err)
	}
	return back
}

// offerOrders offers the rows to a tap, some in each request.
func offerOrders(t testing.TB, tap *Tap, m *infer.Model, list []order, perRequest int) {
	t.Helper()
	for len(list) > 0 {
		n := min(perRequest, len(list))
		req, resp := orderRequest(t, m, list[:n])
		tap.Offer(req, resp)
		resp.Release()
		list = list[n:]
	}
}

func orderRequest(t testing.TB, m *infer.Model, list []order) (*infer.Request, *infer.Response) {
	t.Helper()
	n := int64(len(list))
	var currency, notes, labels []byte
	var amounts []float32
	for i := range list {
		currency = infer.AppendElement(currency, list[i].currency)
		for _, note := range [...]string{"", "left out", list[i].comment} {
			notes = infer.AppendElement(notes, note)
		}
		amounts = append(amounts, list[i].amount)
		labels = infer.AppendElement(labels, list[i].label)
	}
	req := &infer.Request{RequestID: "1", Inputs: []infer.Tensor{ // in another order than the model's
		{Name: "notes", DType: infer.Bytes, Shape: infer.Shape{n, 3}, Data: notes},
		{Name: "amount", DType: infer.FP32, Shape: infer.Shape{n, 1}, Data: fp32(amounts...)},
		{Name: "currency", DType: infer.Bytes, Shape: infer.Shape{n, 1}, Data: currency},
	}}
	if err := m.Check(req); err != nil {
		t.Fatal(err)
	}
	resp := infer.NewResponse()
	copy(resp.Add("label", 0, infer.Bytes, infer.Shape{n}, len(labels)), labels)
	return req, resp
}

// TestTextsFromProfileToFinding: a profile with texts, rows through a tap, windows, and verdicts in words.
func TestTextsFromProfileToFinding(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 1))
	m, p := shop(), shopProfile(t, orders(rng, 20_000, 0.3))
	names := make([]string, len(p.Features))
	for i := range p.Features {
		names[i] = p.Features[i].Name
	}
	want := "currency, comment length, comment letters, comment digits, comment spaces, comment punctuation, comment other, amount, label"
	if got := strings.Join(names, ", "); got != want {
		t.Fatalf("features %s, want %s", got, want)
	}
	judge := func(named bool, edit func(o *order)) Verdict {
		t.Helper()
		d, err := NewDetector(p, CompleteOptions())
		if err != nil {
			t.Fatal(err)
		}
		tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 64 << 20, NameValues: named})
		list := orders(rng, 4000, 0.3)
		for i := range list {
			edit(&list[i])
		}
		offerOrders(t, tap, m, list, 5)
		w := p.NewWindow(time.Unix(0, 0))
		w.End = time.Unix(3600, 0)
		var split Splitter
		split.Begin(4000)
		if dropped := tap.take(); dropped != 0 {
			t.Fatalf("%d rows dropped", dropped)
		}
		if w.Rows = tap.count(&w, &split, 1<<40); w.Rows != 4000 {
			t.Fatalf("%d rows", w.Rows)
		}
		if err := CheckWindow(p, &w); err != nil {
			t.Fatal(err)
		}
		return d.Judge(w)
	}
	f := func(edit func(o *order), feature, statistic, change string) {
		t.Helper()
		v := judge(true, edit)
		found := ""
		for _, x := range append(v.Features, v.Quality...) {
			if x.Feature == feature && x.Statistic == statistic && x.State == Detected {
				found = x.Change
			}
		}
		if !strings.Contains(found, change) || found == "" {
			t.Errorf("%s: %q, want %q in %+v", feature, found, change, v)
		}
	}
	some := func(share float64, edit func(*order)) func(*order) {
		return func(o *order) {
			if rng.Float64() < share {
				edit(o)
			}
		}
	}
	if v := judge(true, func(*order) {}); v.State != OK {
		t.Errorf("clean rows: %+v", v)
	}
	f(some(0.5, func(o *order) { o.currency = "EUR" }), "currency", StatisticG, `of the values are "EUR", 30`)
	f(some(0.4, func(o *order) { o.currency = "GBP" }), "currency", StatisticG, `of the values are "GBP", `)
	f(some(0.05, func(o *order) { o.currency = "CHF" }), "currency", StatisticNew, `% of the rows, 0 % in the reference, for example "CHF"`)
	f(some(0.1, func(o *order) { o.currency = "" }), "currency", StatisticMissing, "% of the rows, 0 % in the reference")
	f(some(0.3, func(o *order) { o.label = "fraud" }), "label", StatisticG, `of the values are "fraud", 2`)
	f(some(0.5, func(o *order) { o.comment += " and much more text" }), "comment length", StatisticRange, "% of the rows")
	f(some(0.9, func(o *order) { o.comment = "short" }), "comment length", StatisticG, "mean lower by")
	f(some(0.3, func(o *order) { o.comment = "заказ" }), "comment other", StatisticRange, "% of the rows")
	f(some(0.2, func(o *order) { o.comment = strings.Repeat("x", 1<<20) }), "comment length", StatisticRange, "% of the rows")
	f(func(o *order) { o.currency = strconv.FormatUint(rng.Uint64(), 10) }, "currency", StatisticNew, "100 % of the rows")

	v := judge(false, some(0.05, func(o *order) { o.currency = "CHF" }))
	if len(v.Quality) == 0 || strings.Contains(fmt.Sprint(v), "CHF") {
		t.Errorf("a value of the traffic is named: %+v", v)
	}
}
