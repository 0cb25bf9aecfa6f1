package drift_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// textProfile makes a profile of one column of texts.
func textProfile(t testing.TB, o drift.BuilderOptions, texts ...string) *drift.Profile {
	t.Helper()
	o.TextNames = true
	b := newBuilder([]drift.Feature{{Name: "x", Kind: drift.KindInput, Tensor: "x", Measure: drift.MeasureText}}, o)
	for _, text := range texts {
		b.AddRow([]float64{0}, []string{text}, []bool{false})
	}
	p := b.Profile(drift.Meta{})
	if err := p.Write(&bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// words returns n words, of which word k is about 1/(k+1) times as frequent as the first one.
func words(rng *rand.Rand, n, different int) []string {
	zipf := rand.NewZipf(rng, 1.01, 1, uint64(different-1))
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("word %d", zipf.Uint64())
	}
	return list
}

func TestWhatIsACategory(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 2))
	f := func(category bool, bins int, texts ...string) {
		t.Helper()
		p := textProfile(t, drift.BuilderOptions{}, texts...)
		x := &p.Features[0]
		if x.IsCategory() != category || category && len(x.Reference.Bins) != bins || !category && len(p.Features) != 6 {
			t.Errorf("%.60q: %+v", texts, x)
		}
		if n := x.Reference.N(); n != uint64(len(texts)) {
			t.Errorf("%.60q: %d rows", texts, n)
		}
	}
	f(true, 1, "", "")
	f(true, 2, "a", "a", "")
	f(true, 2, "a", "b")
	f(true, 32, words(rng, 20_000, 32)...)
	f(true, 32, words(rng, 20_000, 500)...)
	f(false, 0, words(rng, 100_000, 5000)...)
	f(false, 0, words(rng, 60, 200)...)
}

// TestDifferentTexts: the number of different values of all rows is known by 5 %, also of those that are not
// in the sample, and memory is bounded.
func TestDifferentTexts(t *testing.T) {
	b := newBuilder([]drift.Feature{{Name: "x", Kind: drift.KindInput, Tensor: "x", Measure: drift.MeasureText}}, drift.BuilderOptions{MaxSampleRows: 1000})
	for i := range 200_000 {
		b.AddRow([]float64{0}, []string{fmt.Sprint("id ", i)}, []bool{false})
	}
	p := b.Profile(drift.Meta{})
	x := p.Features[0].Text
	if x.Distinct < 190_000 || x.Distinct > 210_000 || len(x.Sketch) > 5000 || len(x.Names) > 0 {
		t.Errorf("%d different values, a sketch of %d bytes, %d names", x.Distinct, len(x.Sketch), len(x.Names))
	}
}

// TestSampleOfTexts: a sample that is smaller than the file counts as many rows of each value as the sample
// has.
func TestSampleOfTexts(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 3))
	p := textProfile(t, drift.BuilderOptions{MaxSampleRows: 2000}, words(rng, 50_000, 20)...)
	x := &p.Features[0]
	total := uint64(0)
	for _, rows := range x.Text.Rows {
		total += rows
	}
	if !x.IsCategory() || total != 2000 || p.Rows != 50_000 || x.Reference.N() != 2000 {
		t.Errorf("%d rows: %+v", total, x)
	}
}

// TestFalseAlarmsOnTexts: clean windows of categories with many rare values raise no more alarms than promised.
func TestFalseAlarmsOnTexts(t *testing.T) {
	alarms, windows := 0, 0
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 4))
		p := textProfile(t, drift.BuilderOptions{}, words(rng, 5000, 400)...)
		o := drift.CompleteOptions()
		o.FalseAlarmWindows = 200
		d := detector(t, p, o)
		for number := range 40 {
			list := words(rng, 500, 400)
			i := -1
			v := d.Judge(window(p, number, len(list), func(int) source {
				return func() float64 {
					i++
					x := drift.ReadText([]byte(list[i]), len(list[i]))
					return x.Of(&p.Features[0])
				}
			}))
			windows++
			if v.State == drift.Detected {
				alarms++
				t.Logf("%+v", v.Features)
			}
		}
	}
	if alarms > 6 { // 2 are allowed on average
		t.Errorf("%d alarms in %d windows", alarms, windows)
	}
}

// TestCompareTexts: categories of two profiles are compared exactly.
func TestCompareTexts(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 5))
	a := textProfile(t, drift.BuilderOptions{}, words(rng, 5000, 50)...)
	f := func(verdict, change string, texts ...string) {
		t.Helper()
		c := compared(t, a, textProfile(t, drift.BuilderOptions{}, texts...))
		if c.Verdict != verdict || !strings.Contains(c.Features[0].Change, change) {
			t.Errorf("%+v, want %s %s", c, verdict, change)
		}
	}
	f(drift.Same, "", words(rng, 5000, 50)...)
	f(drift.Same, "", words(rng, 500, 50)...)
	f(drift.Differs, `of the values are "word 0"`, append(words(rng, 4000, 50), make1000("word 0")...)...)
	f(drift.Differs, `new: 20 % of the values, 0 % in A, for example "other"`, append(words(rng, 4000, 50), make1000("other")...)...)
	if s := a.Features[0].Summary(); !strings.HasPrefix(s, `50: "word 0" `) || !strings.HasSuffix(s, ", …") {
		t.Error(s)
	}
}

func make1000(text string) []string {
	list := make([]string, 1000)
	for i := range list {
		list[i] = text
	}
	return list
}

// FuzzTextProfile: a profile with wrong values of a text is refused, and one that is read can be judged.
func FuzzTextProfile(f *testing.F) {
	p := textProfile(f, drift.BuilderOptions{}, "a", "a", "b", "", "c")
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		f.Fatal(err)
	}
	f.Add(text.String())
	for _, edit := range [][2]string{
		{`"bins":[1`, `"bins":[7`},
		{`"rows":[`, `"rows":[9,`},
		{`"hashes":[`, `"hashes":[1,`},
		{`"names":["a"`, `"names":["` + strings.Repeat("x", 300) + `"`},
		{`"measure":"category"`, `"measure":"length"`},
		{`"measure":"category"`, `"measure":"size"`},
		{`"text_bytes":256`, `"text_bytes":-1`},
		{`"text":`, `"performance":`},
	} {
		changed := strings.Replace(text.String(), edit[0], edit[1], 1)
		if changed == text.String() {
			f.Fatalf("%s is not in %s", edit[0], text.String())
		}
		if _, err := drift.Read(strings.NewReader(changed), drift.MaxProfileBytes); err == nil {
			f.Errorf("%s is accepted", changed)
		}
		f.Add(changed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := drift.Read(strings.NewReader(text), drift.MaxProfileBytes)
		if err != nil {
			return
		}
		d := detector(t, p, drift.CompleteOptions())
		w := p.NewWindow(epoch)
		for range 100 {
			for i := range p.Features {
				w.Counts[i].AddIn(&p.Features[i], 12345, drift.Halves{})
			}
			w.Rows++
		}
		d.Judge(w)
	})
}
