package drift_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
)

func TestVectorsMergeExactly(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	rows := make([][]float64, 600)
	for i := range rows {
		rows[i] = fill(make([]float64, 300), rng.NormFloat64) // wide enough to be sketched
	}
	at := 0
	first := vectorProfile(300, len(rows), func() []float64 { at++; return rows[at-1] })
	counted := func(rows [][]float64) *drift.Profile {
		b := newBuilder(vectorFeatures("pixels", 300), drift.BuilderOptions{Seed: 9})
		if err := b.CountIn(first); err != nil {
			t.Fatal(err)
		}
		for _, x := range rows {
			b.Add(x, make([]bool, len(x)))
		}
		return b.Profile(drift.Meta{Model: "m", Created: epoch})
	}
	whole := counted(rows)
	merged, err := drift.Merge(counted(rows[:200]), counted(rows[200:]))
	if err != nil {
		t.Fatal(err)
	}
	a, b := whole.Vectors[0], merged.Vectors[0]
	if a.Rows != b.Rows || !reflect.DeepEqual(a.Sums, b.Sums) || !reflect.DeepEqual(a.Products, b.Products) {
		t.Error("the sums of two parts together are not those of all rows")
	}
	if !reflect.DeepEqual(a.Sums, first.Vectors[0].Sums) {
		t.Error("rows counted in the cosines of their own profile have other sums")
	}
	part := counted(rows[:200])
	rest, err := drift.Subtract(merged, part)
	if err != nil {
		t.Fatal(err)
	}
	c, want := rest.Profile.Vectors[0], counted(rows[200:]).Vectors[0]
	if c.Rows != want.Rows || !reflect.DeepEqual(c.Sums, want.Sums) || !reflect.DeepEqual(c.Products, want.Products) || math.Abs(c.Fourth-want.Fourth) > 1e-9*want.Fourth {
		t.Error("the rest without a part is not that of its own rows")
	}
	part.Vectors[0].Seed++
	if _, err := drift.Subtract(merged, part); err == nil || !strings.Contains(err.Error(), "other cosines") {
		t.Errorf("a part with other cosines: %v", err)
	}
	var text bytes.Buffer
	if err := merged.Write(&text); err != nil {
		t.Fatal(err)
	}
	read, err := drift.Read(&text, drift.MaxProfileBytes)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read.Vectors, merged.Vectors) {
		t.Error("a profile that was written and read has other vectors")
	}
}

func TestVectorRowsThatAreNotFinite(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	p := vectorProfile(8, 1000, func() []float64 { return fill(make([]float64, 8), rng.NormFloat64) })
	w := p.NewWindow(epoch)
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -math.MaxFloat64} {
		x := make([]float64, 8)
		x[3] = bad
		w.CountVector(p, 0, x, drift.Halves{})
		w.Rows++
	}
	norm := &w.Counts[0]
	if norm.Missing != 1 || norm.PosInf != 2 || norm.N() != 5 {
		t.Errorf("%d missing, %d infinite of %d; expected 1, 2 of 5", norm.Missing, norm.PosInf, norm.N())
	}
	if w.Vectors[0].Rows > 2 {
		t.Errorf("%d rows are in the sums; expected at most the 2 finite ones", w.Vectors[0].Rows)
	}
	if err := drift.CheckWindow(p, &w); err != nil {
		t.Error(err)
	}
}

// TestVectorIsReplayed stores state and window between two windows.
func TestVectorIsReplayed(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	next := func() []float64 { return fill(make([]float64, 16), rng.NormFloat64) }
	p := vectorProfile(16, 2000, next)
	o := vectorOptions()
	o.Calibration = drift.Calibration{Windows: 20, Gross: 4}
	d := detector(t, p, o)
	for i := range 30 {
		shift := 0.0
		if i >= 25 {
			shift = 1
		}
		w := vectorWindow(p, i, 300, nil, func() []float64 {
			x := next()
			x[0] += shift
			return x
		})
		var saved drift.Snapshot
		var stored drift.Window
		through(t, d.Snapshot(), &saved)
		through(t, w, &stored)
		again, err := drift.Restore(p, o, saved)
		if err != nil {
			t.Fatal(err)
		}
		if err := drift.CheckWindow(p, &stored); err != nil {
			t.Fatal(err)
		}
		v := d.Judge(w)
		if got := again.Judge(stored); !reflect.DeepEqual(got, v) {
			t.Fatalf("window %d: another verdict after a restart: %+v; expected %+v", i, got, v)
		}
		f := vectorFinding(t, v)
		if clean := i < 25; clean && f.State == drift.Detected {
			t.Errorf("window %d is clean, but %s", i, f.Change)
		}
		if i == 29 && (f.State != drift.Detected || f.Low > 1.2 || f.High < 0.5 || f.Unpromised) {
			t.Errorf("a shift of 1 s.d.: %s, %s, %v to %v, unpromised %v", f.State, f.Change, f.Low, f.High, f.Unpromised)
		}
	}
}

func through(t *testing.T, from, to any) {
	t.Helper()
	text, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

// TestVectorOfFewUsers has clean windows in which users send many like rows.
func TestVectorOfFewUsers(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	next := func() []float64 { return fill(make([]float64, 32), rng.NormFloat64) }
	p := vectorProfile(32, 5000, next)
	d := detector(t, p, vectorOptions())
	alarms := 0
	for i := range 60 {
		user, own := uint64(0), []float64(nil)
		w := vectorWindow(p, i, 500, func(row int) uint64 {
			if row%10 == 0 {
				user, own = uint64(i*1000+row+1), next()
			}
			return user
		}, func() []float64 { return own })
		if vectorFinding(t, d.Judge(w)).State == drift.Detected {
			alarms++
		}
	}
	if alarms > 0 {
		t.Errorf("%d of 60 clean windows with 10 like rows of each user are in alarm; expected none", alarms)
	}
}

func BenchmarkVectorRow(b *testing.B) {
	for _, size := range []int{64, 784, 150_528} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(5, 5))
			x := fill(make([]float64, size), rng.NormFloat64)
			p := vectorProfile(size, 60, func() []float64 { return fill(make([]float64, size), rng.NormFloat64) })
			w := p.NewWindow(epoch)
			b.ReportAllocs()
			for b.Loop() {
				w.CountVector(p, 0, x, drift.Halves{1, 0, 1, 0})
			}
		})
	}
}

// A new version has what its parent has learned of a vector, until its own first clean round; not if its vectors are unlike those of the parent.
func TestVectorsInherit(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	build := func(scale float64) *drift.Profile {
		return vectorProfile(16, 2000, func() []float64 {
			return fill(make([]float64, 16), func() float64 { return scale * rng.NormFloat64() })
		})
	}
	parent := build(1)
	o := vectorOptions()
	o.Calibration = drift.Calibration{Windows: 20, Gross: 4}
	d := detector(t, parent, o)
	for i := range 25 {
		d.Judge(vectorWindow(parent, i, 300, nil, func() []float64 { return fill(make([]float64, 16), rng.NormFloat64) }))
	}
	state := d.Snapshot()
	text, err := json.Marshal(drift.LearnedOf(parent, &state))
	if err != nil {
		t.Fatal(err)
	}
	var known drift.Learned
	if err := json.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	inherits := func(p *drift.Profile) int64 {
		t.Helper()
		s := drift.Snapshot{Options: o}
		if known.Inherit(&s, p, 7) == 0 {
			return 0
		}
		again, err := drift.Restore(p, o, s)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Snapshot().Vectors[0]; got.Usual.Windows > 0 {
			return got.From
		}
		return 0
	}
	if got := inherits(build(1)); got != 7 {
		t.Errorf("a like profile has what version %d learned", got)
	}
	if got := inherits(build(3)); got != 0 {
		t.Errorf("a profile of larger numbers has what version %d learned", got)
	}
}
