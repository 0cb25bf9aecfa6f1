package drift_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
)

// segmented are the features of rows with a country: a text, two numbers, and an output.
func segmented(key string) []drift.Feature {
	list := []drift.Feature{
		{Name: "age", Kind: drift.KindInput, Tensor: "age", Datatype: "FP32"},
		{Name: "income", Kind: drift.KindInput, Tensor: "income", Datatype: "FP64"},
		{Name: "score", Kind: drift.KindOutput, Tensor: "score", Datatype: "FP32"},
	}
	switch key {
	case "text":
		list = append(list, drift.Feature{Name: "country", Kind: drift.KindInput, Tensor: "country", Datatype: "BYTES"})
	case "number":
		list = append(list, drift.Feature{Name: "country", Kind: drift.KindInput, Tensor: "country", Datatype: "INT64"})
	}
	return list
}

var countries = []struct {
	name   string
	number float64
	share  float64
	mean   float64 // of age
}{{"DE", 49, 0.6, 40}, {"FR", 33, 0.25, 30}, {"PT", 351, 0.1, 50}, {"LU", 352, 0.05, 45}}

// segmentRow makes a row of a country, or of one by chance if at is below 0.
func segmentRow(rng *rand.Rand, at int, key string) (values []float64, texts []string, missing []bool, country string) {
	if at < 0 {
		u := rng.Float64()
		for at = 0; at < len(countries)-1 && u > countries[at].share; at++ {
			u -= countries[at].share
		}
	}
	c := &countries[at]
	age := c.mean + 5*rng.NormFloat64()
	values = []float64{float64(float32(age)), 1000 * rng.ExpFloat64(), rng.Float64()}
	texts = []string{"", "", ""}
	switch key {
	case "text":
		values, texts = append(values, 0), append(texts, c.name)
	case "number":
		values, texts = append(values, c.number), append(texts, "")
	}
	return values, texts, make([]bool, len(values)), c.name
}

func keyOf(key string) drift.SegmentKey {
	if key == "parameter" {
		return drift.SegmentKey{Parameter: "country"}
	}
	return drift.SegmentKey{Input: "country"}
}

// segmentProfile makes a profile of rows with segments.
func segmentProfile(t testing.TB, key string, seed uint64, rows int, bins *drift.Profile) *drift.Profile {
	t.Helper()
	b := newBuilder(segmented(key), drift.BuilderOptions{TextNames: true})
	if bins != nil {
		if err := b.CountIn(bins); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.BySegment(keyOf(key), 2, bins); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 7))
	for range rows {
		values, texts, missing, country := segmentRow(rng, -1, key)
		if key == "parameter" {
			b.InSegment(country)
		}
		b.AddRow(values, texts, missing)
	}
	p := b.Profile(drift.Meta{Model: "m", Created: epoch})
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	return read(t, p)
}

// read writes a profile and reads it again.
func read(t testing.TB, p *drift.Profile) *drift.Profile {
	t.Helper()
	var file bytes.Buffer
	if err := p.Write(&file); err != nil {
		t.Fatal(err)
	}
	again, err := drift.Read(&file, drift.MaxProfileBytes)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func feat(t testing.TB, p *drift.Profile, name string) *drift.Feature {
	t.Helper()
	for i := range p.Features {
		if p.Features[i].Name == name {
			return &p.Features[i]
		}
	}
	t.Fatalf("no feature %s", name)
	return nil
}

// TestSegments: each frequent value has its own counts in the bins of all rows, and the others are together.
func TestSegments(t *testing.T) {
	for _, key := range []string{"text", "number", "parameter"} {
		t.Run(key, func(t *testing.T) {
			p := segmentProfile(t, key, 1, 20_000, nil)
			names := []string{"DE", "FR", drift.OtherSegment}
			if key == "number" {
				names[0], names[1] = "49", "33"
			}
			if got := p.SegmentsUpTo(8); !cmp.Equal(got, names) {
				t.Fatalf("segments %v", got)
			}
			if got := p.SegmentsUpTo(1); !cmp.Equal(got, []string{names[0], drift.OtherSegment}) {
				t.Errorf("up to one: %v", got)
			}
			whole, rows := feat(t, p, "age"), int64(0)
			sum := whole.NewCounts()
			for i, name := range names {
				q := p.Of(name)
				rows += q.Rows
				f := feat(t, q, "age")
				if want := []float64{40, 30, 48.3}[i]; f.Mean < want-0.5 || f.Mean > want+0.5 || f.Variance < 20 || f.Variance > 45 {
					t.Errorf("%s: mean %v, variance %v", name, f.Mean, f.Variance)
				}
				if !cmp.Equal(f.Edges, whole.Edges) || f.Min < whole.Min || f.Max > whole.Max || f.Reference.N() != uint64(q.Rows) {
					t.Errorf("%s: %+v", name, f)
				}
				for bin, n := range f.Reference.Bins {
					sum.Bins[bin] += n
				}
				for i := range q.Features {
					if q.Features[i].Name == "country" {
						t.Errorf("%s has the feature that it is chosen by", name)
					}
				}
				if err := q.Write(&bytes.Buffer{}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if rows != p.Rows || !cmp.Equal(sum.Bins, whole.Reference.Bins) {
				t.Errorf("%d of %d rows, %v of %v", rows, p.Rows, sum.Bins, whole.Reference.Bins)
			}
			if p.Of("LU") != nil || p.Of("") != nil {
				t.Error("a value without a segment has a profile")
			}
			if inputs := p.For(0); len(inputs.Segments) != 3 {
				t.Errorf("%d segments", len(inputs.Segments))
			}
			p.OutputsOf = 3
			of := p.For(4).Of(names[0])
			if len(of.Features) != 2 || feat(t, of, "income").Mean != feat(t, p.Of(names[0]), "income").Mean {
				t.Errorf("for another version: %+v", of.Features)
			}
		})
	}
}

// TestSegmentsMerge: parts that are counted in the same bins merge exactly, segment by segment, and can be subtracted again.
func TestSegmentsMerge(t *testing.T) {
	for _, key := range []string{"text", "number", "parameter"} {
		t.Run(key, func(t *testing.T) {
			bins := segmentProfile(t, key, 1, 20_000, nil)
			a, b := segmentProfile(t, key, 2, 3000, bins), segmentProfile(t, key, 3, 5000, bins)
			sum, err := drift.Merge(a, b)
			if err != nil {
				t.Fatal(err)
			}
			sum = read(t, sum)
			rest, err := drift.Subtract(sum, a)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range sum.Segments {
				if s.Rows != a.Segments[i].Rows+b.Segments[i].Rows || rest.Profile.Segments[i].Rows != b.Segments[i].Rows {
					t.Errorf("%s: %d rows of %d and %d", s.Value, s.Rows, a.Segments[i].Rows, b.Segments[i].Rows)
				}
				for k := range s.Features {
					f, x, y, z := &s.Features[k], &a.Segments[i].Features[k], &b.Segments[i].Features[k], &rest.Profile.Segments[i].Features[k]
					for bin, n := range f.Reference.Bins {
						if n != x.Reference.Bins[bin]+y.Reference.Bins[bin] || z.Reference.Bins[bin] != y.Reference.Bins[bin] {
							t.Errorf("%s, feature %d, bin %d: %d of %d and %d, rest %d", s.Value, k, bin, n, x.Reference.Bins[bin], y.Reference.Bins[bin], z.Reference.Bins[bin])
						}
					}
					if d := z.Mean - y.Mean; d > 1e-6 || d < -1e-6 {
						t.Errorf("%s, feature %d: mean %v of %v", s.Value, k, z.Mean, y.Mean)
					}
				}
			}
			b.Segments = b.Segments[:1]
			if _, err := drift.Merge(a, b); err == nil || !strings.Contains(err.Error(), "different segments") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestSegmentsOfManyValues: a million values of a segment, long ones and missing ones are one segment.
func TestSegmentsOfManyValues(t *testing.T) {
	b := newBuilder(segmented("parameter"), drift.BuilderOptions{MaxSampleRows: 20_000})
	if err := b.BySegment(keyOf("parameter"), 8, nil); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	long := strings.Repeat("x", 1<<20)
	for i := range 100_000 {
		values, texts, missing, _ := segmentRow(rng, -1, "parameter")
		switch i % 5 {
		case 0:
			b.InSegment("DE")
		case 1:
			b.InSegment(long)
		case 2:
			b.InSegment("")
		case 3:
			b.InSegment("bad \xff")
		default:
			b.InSegment(fmt.Sprint("user ", i))
		}
		b.AddRow(values, texts, missing)
	}
	p := read(t, b.Profile(drift.Meta{Model: "m", Created: epoch}))
	if got := p.SegmentsUpTo(8); !cmp.Equal(got, []string{"DE", drift.OtherSegment}) {
		t.Errorf("%v", got)
	}
	if de := p.Of("DE").Rows; de < 3500 || de > 4500 {
		t.Errorf("%d rows", de)
	}
}

// TestSegmentsRefused: what cannot be a segment is an error that says why.
func TestSegmentsRefused(t *testing.T) {
	f := func(features []drift.Feature, key drift.SegmentKey, rows int, want string) {
		t.Helper()
		b := newBuilder(features, drift.BuilderOptions{})
		err := b.BySegment(key, 2, nil)
		if err == nil {
			rng := rand.New(rand.NewPCG(1, 1))
			for range rows {
				values, texts, missing, _ := segmentRow(rng, -1, "text")
				b.AddRow(values, texts, missing)
			}
			b.Profile(drift.Meta{})
			err = b.Err()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; expected %s", err, want)
		}
	}
	f(segmented("text"), drift.SegmentKey{Input: "nation"}, 0, "which is not a feature")
	f(segmented("text")[3:], drift.SegmentKey{Input: "country"}, 0, "no feature besides")
	f(segmented("text"), keyOf("text"), 400, "has 500 of the 400 rows")
	f(segmented("text"), drift.SegmentKey{Input: "income"}, 2000, "no value of element 0 of input 'income' has 500")
}

// TestSegmentsDamaged: a profile whose segments contradict it is refused.
func TestSegmentsDamaged(t *testing.T) {
	f := func(want string, damage func(p *drift.Profile)) {
		t.Helper()
		p := segmentProfile(t, "text", 1, 5000, nil)
		damage(p)
		if err := p.Write(&bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; expected %s", err, want)
		}
	}
	f("does not say of what", func(p *drift.Profile) { p.Segment = nil })
	f("needs an input or a parameter", func(p *drift.Profile) { p.Segment.Parameter = "x" })
	f("which no feature is", func(p *drift.Profile) { p.Segment.Element = 1 })
	f("expected different texts", func(p *drift.Profile) { p.Segments[1].Value = p.Segments[0].Value })
	f("0 segments", func(p *drift.Profile) { p.Segments = nil })
	f("at most those of the profile", func(p *drift.Profile) { p.Segments[0].Rows = p.Rows + 1 })
	f("do not add up", func(p *drift.Profile) { p.Segments[0].Features[0].Reference.Bins[0]++; p.Segments[0].Rows-- })
	f("2 features; expected 4", func(p *drift.Profile) { p.Segments[0].Features = p.Segments[0].Features[:2] })
}

// TestSegmentIsFoundAlone: one segment moves, and the whole hardly does. Its own stream finds that, and those of the others stay quiet.
func TestSegmentIsFoundAlone(t *testing.T) {
	p := segmentProfile(t, "text", 1, 50_000, nil)
	o := drift.Options{
		Gates: drift.Gates{Mean: 0.1, Spread: 0.1, ShareRatio: 1.5, ShareGain: 0.002, New: 0.005, Joint: 0.05}, Tolerance: 0.02, QualityTolerance: 0.01,
		RangeTolerance: 0.005, FalseAlarmWindows: 1000, Streams: 4, MinRows: 50, Recover: 3,
	}
	detectors := map[string]*drift.Tumbling{}
	windows := map[string]*drift.Window{}
	for _, name := range p.SegmentsUpTo(8) {
		detectors[name] = detector(t, p.Of(name), o)
	}
	rng := rand.New(rand.NewPCG(9, 9))
	begin := func(number int) {
		for name := range detectors {
			w := p.Of(name).NewWindow(epoch.Add(time.Duration(number) * time.Hour))
			w.End = w.Start.Add(time.Hour)
			windows[name] = &w
		}
	}
	alarms := map[string]int{}
	for number := range 40 {
		begin(number)
		for range 2000 {
			values, _, _, country := segmentRow(rng, -1, "text")
			if number >= 20 && country == "FR" {
				values[0] += 5 // one standard deviation
			}
			name := p.SegmentOfText(country)
			q, w := p.Of(name), windows[name]
			for i := range q.Features {
				w.Counts[i].AddIn(&q.Features[i], values[i], drift.Halves{})
			}
			w.Rows++
		}
		for name, d := range detectors {
			w := windows[name]
			for i := range w.Counts {
				w.Counts[i].Halves = nil
			}
			if v := d.Judge(*w); v.State == drift.Detected {
				alarms[name]++
				if number < 20 || name != "FR" {
					t.Errorf("window %d of %s: %+v", number, name, v.Features[0])
				}
			}
		}
	}
	if alarms["FR"] < 15 {
		t.Errorf("%v", alarms)
	}
}

// FuzzSegments: any profile with segments that can be read has valid profiles of them, which can be judged with and merged.
func FuzzSegments(f *testing.F) {
	for _, key := range []string{"text", "number", "parameter"} {
		b := newBuilder(segmented(key), drift.BuilderOptions{TextNames: true})
		if err := b.BySegment(keyOf(key), 1, nil); err != nil {
			f.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 7))
		for range 1500 {
			values, texts, missing, country := segmentRow(rng, -1, key)
			b.InSegment(country)
			b.AddRow(values, texts, missing)
		}
		var file bytes.Buffer
		if err := b.Profile(drift.Meta{Model: "m", OutputsOf: 1, Created: epoch}).Write(&file); err != nil {
			f.Fatal(err)
		}
		f.Add(file.Bytes())
		f.Add(bytes.ReplaceAll(file.Bytes(), []byte(`"missing":0`), []byte(`"missing":1`)))
		f.Add(bytes.Replace(file.Bytes(), []byte(`"country"`), []byte(`"income"`), 1))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := drift.Read(bytes.NewReader(text), 1<<20)
		if err != nil {
			return
		}
		for _, value := range p.SegmentsUpTo(drift.MaxSegments) {
			for _, q := range []*drift.Profile{p.Of(value), p.For(2).Of(value), p.Of(value).For(2)} {
				if len(q.Features) == 0 { // there are only outputs of another version
					continue
				}
				if err := q.Write(&bytes.Buffer{}); err != nil {
					t.Fatalf("%s: %v", value, err)
				}
				d := detector(t, q, drift.Options{
					Tolerance: 0.02, QualityTolerance: 0.01, RangeTolerance: 0.005, FalseAlarmWindows: 720, Streams: 1, MinRows: 1, Recover: 3,
				})
				d.Judge(q.NewWindow(epoch))
			}
		}
		if sum, err := drift.Merge(p, p); err == nil && len(sum.Segments) != len(p.Segments) {
			t.Errorf("%d segments of %d", len(sum.Segments), len(p.Segments))
		}
	})
}
