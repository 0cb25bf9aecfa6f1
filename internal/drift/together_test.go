package drift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// rowsOf makes rows of several features.
type rowsOf func(row []float64)

// factors makes normal features with the correlation rho of each two.
func factors(rng *rand.Rand, rho float64) rowsOf {
	return func(row []float64) {
		common := rng.NormFloat64()
		for i := range row {
			row[i] = math.Sqrt(rho)*common + math.Sqrt(1-rho)*rng.NormFloat64()
		}
	}
}

// moved adds to the first n features.
func moved(of rowsOf, n int, by float64) rowsOf {
	return func(row []float64) {
		of(row)
		for i := range n {
			row[i] += by
		}
	}
}

// rowsAgain makes each row n times in a row.
func rowsAgain(of rowsOf, n int) rowsOf {
	var last []float64
	left := 0
	return func(row []float64) {
		if left == 0 {
			of(row)
			last, left = slices.Clone(row), n
		}
		left--
		copy(row, last)
	}
}

// swaying has a common part that changes slowly and moves all features in the same direction.
func swaying(rng *rand.Rand, share float64) rowsOf {
	common := dependent(rng, 0.9)
	return func(row []float64) {
		c := common()
		for i := range row {
			row[i] = math.Sqrt(share)*c + math.Sqrt(1-share)*rng.NormFloat64()
		}
	}
}

// paired makes a profile of rows.
func paired(t testing.TB, features, rows int, of rowsOf) *drift.Profile {
	t.Helper()
	list := make([]drift.Feature, features)
	for i := range list {
		list[i] = drift.Feature{Name: fmt.Sprintf("f%d", i), Kind: drift.KindInput, Tensor: "x", Element: i, Datatype: "FP64"}
	}
	b := newBuilder(list, drift.BuilderOptions{})
	row, missing := make([]float64, features), make([]bool, features)
	for range rows {
		of(row)
		b.Add(row, missing)
	}
	p := b.Profile(drift.Meta{Model: "m", Created: epoch})
	if p.Pairs == nil || len(p.Pairs.Features) != features {
		t.Fatalf("the profile pairs %+v; want all %d features", p.Pairs, features)
	}
	return p
}

// togetherOptions test only what features have together, with one false alarm in so many windows.
func togetherOptions(windows float64) drift.Options {
	o := drift.CompleteOptions()
	o.FalseAlarmWindows, o.Window = windows, 0
	o.Gates.Joint, o.Gates.Correlation = 0.05, 0.15
	return o
}

// judged judges windows of rows.
func judged(p *drift.Profile, d drift.Detector, rows, windows int, of func(window int) rowsOf) []drift.Verdict {
	n := len(p.Features)
	values, missing := make([]float64, n), make([]bool, n)
	seq := func(yield func(drift.Row) bool) {
		for w := range windows {
			source := of(w)
			for range rows {
				source(values)
				if !yield(drift.Row{At: epoch.Add(time.Duration(w) * time.Minute), Values: values, Missing: missing}) {
					return
				}
			}
		}
	}
	o := drift.SimulateOptions{Windows: drift.Windowing{Rows: uint64(rows), MinRows: 50}, Pairs: true}
	return slices.Collect(drift.Simulate(p, d, seq, o))
}

// detectedBy returns the findings of these statistics that are detected.
func detectedBy(v *drift.Verdict, statistic string) (list []drift.Finding) {
	for _, f := range v.Features {
		if f.State == drift.Detected && (statistic == "" || f.Statistic == statistic) {
			list = append(list, f)
		}
	}
	return list
}

func always(of rowsOf) func(int) rowsOf { return func(int) rowsOf { return of } }

func TestJointFindsManyWeakChanges(t *testing.T) {
	for _, c := range []struct {
		reference, rows, most int
		rho                   float64
	}{
		{50_000, 1000, 4, 0},
		{50_000, 500, 8, 0},
		{5000, 500, 30, 0},
		{50_000, 200, 50, 0},
		{50_000, 1000, 16, 0.3},
	} {
		for seed := range uint64(3) {
			rng := rand.New(rand.NewPCG(41, seed))
			p := paired(t, 10, c.reference, factors(rng, c.rho))
			d := detector(t, p, togetherOptions(720))
			clean, changed := factors(rng, c.rho), moved(factors(rng, c.rho), 5, 0.15)
			for i, v := range judged(p, d, c.rows, 40, always(clean)) {
				if v.State == drift.Detected {
					t.Errorf("%+v: clean window %d is %s: %+v", c, i, v.State, v.Features[0])
				}
			}
			found := 0
			for i, v := range judged(p, d, c.rows, c.most, always(changed)) {
				if list := detectedBy(&v, drift.StatisticJoint); len(list) > 0 {
					found = i + 1
					t.Logf("%+v: %d rows: %s", c, found*c.rows, list[0].Change)
					break
				}
			}
			if found == 0 {
				t.Errorf("%+v: five features that moved by 0.15 were not found in %d windows", c, c.most)
			}
		}
	}
}

func TestCorrelationsFindChanges(t *testing.T) {
	pair := func(rng *rand.Rand, rho float64, sign func() float64) rowsOf {
		return func(row []float64) {
			for i := range row {
				row[i] = rng.NormFloat64()
			}
			s := sign()
			row[1] = rho*s*row[0] + math.Sqrt(1-rho*rho)*row[1]
		}
	}
	plus := func() float64 { return 1 }
	swapped := func(of rowsOf) rowsOf {
		return func(row []float64) {
			of(row)
			row[1], row[2] = row[2], row[1]
		}
	}
	for name, change := range map[string]func(*rand.Rand) rowsOf{
		"lost":         func(rng *rand.Rand) rowsOf { return pair(rng, 0, plus) },
		"swapped":      func(rng *rand.Rand) rowsOf { return swapped(pair(rng, 0.8, plus)) },
		"sign flipped": func(rng *rand.Rand) rowsOf { return pair(rng, 0.8, func() float64 { return -1 }) },
	} {
		for seed := range uint64(2) {
			rng := rand.New(rand.NewPCG(42, seed))
			p := paired(t, 6, 20_000, pair(rng, 0.8, plus))
			d := detector(t, p, togetherOptions(720))
			for i, v := range judged(p, d, 500, 8, always(pair(rng, 0.8, plus))) {
				if v.State == drift.Detected {
					t.Errorf("%s: clean window %d is %s: %+v", name, i, v.State, v.Features[0])
				}
			}
			verdicts := judged(p, d, 500, 2, always(change(rng)))
			list := detectedBy(&verdicts[len(verdicts)-1], drift.StatisticCorrelation)
			if len(list) == 0 {
				t.Errorf("%s: not found in 1,000 rows", name)
				continue
			}
			if f := list[0]; f.Feature != "f0" && f.Feature != "f1" {
				t.Errorf("%s: the finding names %s", name, f.Feature)
			}
			t.Logf("%s: %s: %s", name, list[0].Feature, list[0].Change)
			verdicts = append(verdicts, judged(p, d, 500, 20, always(pair(rng, 0.8, plus)))...)
			if last := verdicts[len(verdicts)-1]; len(detectedBy(&last, drift.StatisticCorrelation)) > 0 {
				t.Errorf("%s: still detected after 10,000 clean rows", name)
			}
		}
	}
}

// TestFalseAlarmsTogether: clean rows, also those that depend on each other, raise no more alarms than
// promised.
func TestFalseAlarmsTogether(t *testing.T) {
	const every, windows, runs = 20, 100, 8
	laws := map[string]func(*rand.Rand) rowsOf{
		"independent":               func(rng *rand.Rand) rowsOf { return factors(rng, 0) },
		"correlated":                func(rng *rand.Rand) rowsOf { return factors(rng, 0.9) },
		"each row 4 times":          func(rng *rand.Rand) rowsOf { return rowsAgain(factors(rng, 0.5), 4) },
		"requests of 16 equal rows": func(rng *rand.Rand) rowsOf { return rowsAgain(factors(rng, 0.5), 16) },
		"a common slow part":        func(rng *rand.Rand) rowsOf { return swaying(rng, 0.3) },
		"two values": func(rng *rand.Rand) rowsOf {
			of := factors(rng, 0.5)
			return func(row []float64) {
				of(row)
				for i := range row {
					row[i] = math.Max(0, math.Copysign(1, row[i]-0.3))
				}
			}
		},
		"heavy tails": func(rng *rand.Rand) rowsOf {
			of := factors(rng, 0.7)
			return func(row []float64) {
				of(row)
				scale := math.Exp(rng.NormFloat64())
				for i := range row {
					row[i] *= scale
				}
			}
		},
	}
	half := func(rng *rand.Rand) rowsOf { return factors(rng, 0.5) }
	references := map[string]func(*rand.Rand) rowsOf{
		"each row 4 times": half, "requests of 16 equal rows": half,
		"a common slow part": func(rng *rand.Rand) rowsOf { return factors(rng, 0.3) },
	}
	for name, law := range laws {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alarms := 0
			for seed := range uint64(runs) {
				rng := rand.New(rand.NewPCG(43, seed))
				reference := law(rng)
				if independent := references[name]; independent != nil { // the rows of a profile are
					reference = independent(rng)
				}
				p := paired(t, 8, []int{1000, 20_000}[seed%2], reference)
				o := togetherOptions(every)
				o.Gates.Joint, o.Gates.Correlation = 1e-9, 1e-9 // any change is too large
				d := detector(t, p, o)
				before := map[string]bool{}
				for _, v := range judged(p, d, []int{200, 1000}[seed/2%2], windows, always(law(rng))) {
					now := map[string]bool{}
					for _, f := range detectedBy(&v, "") {
						if f.Statistic == drift.StatisticG {
							continue
						}
						key := f.Statistic + f.Feature
						if now[key] = true; !before[key] {
							alarms++
							t.Logf("reference %d: %s %s, p %.2g of %.2g, effect %v: %s", p.Rows, f.Statistic, f.Feature, f.P, f.Limit, f.DesignEffect, f.Change)
						}
					}
					before = now
				}
			}
			if allowed := runs * windows / every; alarms > allowed/2 {
				t.Errorf("%d alarms; %d are allowed for all statistics, half of them for these", alarms, allowed)
			}
		})
	}
}

// TestTogetherResumes: a detector that is restored from the JSON of a state gives the same verdicts and
// states, also in the middle of a run of windows.
func TestTogetherResumes(t *testing.T) {
	rng := rand.New(rand.NewPCG(44, 1))
	p := paired(t, 5, 5000, factors(rng, 0.4))
	d := detector(t, p, togetherOptions(720))
	law := factors(rng, 0.4)
	for w := range 12 {
		if w == 6 { // first a correlation is lost, then all means move
			law = moved(factors(rng, 0), 5, 0.12)
		}
		before, err := json.Marshal(d.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		var state drift.Snapshot
		if err := json.Unmarshal(before, &state); err != nil {
			t.Fatal(err)
		}
		other, err := drift.Restore(p, d.Options(), state)
		if err != nil {
			t.Fatal(err)
		}
		source, rows := law, [][]float64(nil)
		law = func(row []float64) { // the second detector judges the same rows
			source(row)
			rows = append(rows, slices.Clone(row))
		}
		first := judged(p, d, 400, 1, always(law))
		law = source
		k := 0
		second := judged(p, other, 400, 1, always(func(row []float64) { copy(row, rows[k]); k++ }))
		a, _ := json.Marshal([]any{first, d.Snapshot()})
		b, _ := json.Marshal([]any{second, other.Snapshot()})
		if !bytes.Equal(a, b) {
			t.Fatalf("window %d differs after a restore:\n%s\n%s", w, a, b)
		}
	}
	if len(d.Snapshot().Findings) < 2 {
		t.Errorf("the state has %d findings; want those of correlations", len(d.Snapshot().Findings))
	}
}

// TestPairsWithoutOutputs: the part of a profile for another version keeps the pairs of the inputs.
func TestPairsWithoutOutputs(t *testing.T) {
	rng := rand.New(rand.NewPCG(45, 1))
	p := paired(t, 4, 3000, factors(rng, 0.6))
	p.Features[1].Kind, p.OutputsOf = drift.KindOutput, 1
	inputs := p.For(2)
	if want := []int{0, 1, 2}; !slices.Equal(inputs.Pairs.Features, want) {
		t.Fatalf("the pairs are of features %v; want %v", inputs.Pairs.Features, want)
	}
	of := func(p *drift.Profile, a, b string) float64 {
		for _, c := range p.Correlations() {
			if p.Features[c.A].Name == a && p.Features[c.B].Name == b {
				return c.Value
			}
		}
		t.Fatalf("no correlation of %s and %s", a, b)
		return 0
	}
	for _, pair := range [][2]string{{"f0", "f2"}, {"f0", "f3"}, {"f2", "f3"}} {
		if a, b := of(p, pair[0], pair[1]), of(inputs, pair[0], pair[1]); a != b || math.Abs(a-0.6) > 0.05 {
			t.Errorf("the correlation of %v is %v, and %v without outputs; want both about 0.6", pair, a, b)
		}
	}
}

// TestPairsBesideTexts: columns of texts between those of numbers do not shift the pairs.
func TestPairsBesideTexts(t *testing.T) {
	b := newBuilder([]drift.Feature{
		{Name: "word", Kind: drift.KindInput, Tensor: "word", Datatype: "BYTES"},
		{Name: "a", Kind: drift.KindInput, Tensor: "a", Datatype: "FP64"},
		{Name: "note", Kind: drift.KindInput, Tensor: "note", Datatype: "BYTES"},
		{Name: "b", Kind: drift.KindInput, Tensor: "b", Datatype: "FP64"},
	}, drift.BuilderOptions{})
	rng := rand.New(rand.NewPCG(47, 1))
	of, row := factors(rng, 0.7), make([]float64, 2)
	for i := range 2000 {
		of(row)
		b.AddRow([]float64{0, row[0], 0, row[1]}, []string{"yes", "", fmt.Sprint("note ", i, rng.Uint64()), ""}, make([]bool, 4))
	}
	p := b.Profile(drift.Meta{Model: "m", Created: epoch})
	list := p.Correlations()
	if len(list) != 1 || p.Features[list[0].A].Name != "a" || p.Features[list[0].B].Name != "b" || math.Abs(list[0].Value-0.7) > 0.05 {
		t.Errorf("the correlations are %+v; want one of a and b of 0.7", list)
	}
}

func BenchmarkPairs(b *testing.B) {
	for _, features := range []int{8, 32, 64} {
		b.Run(strconv.Itoa(features), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(46, 1))
			p := paired(b, features, 3000, factors(rng, 0.3))
			d := detector(b, p, togetherOptions(720))
			for b.Loop() { // a window of 1,000 rows is counted and judged
				judged(p, d, 1000, 1, always(factors(rng, 0.3)))
			}
		})
	}
}

// A daily swing that all features share is learned for their means together too, although each feature is in an alarm of its own, not
// promised yet, while it is learned.
func TestCalibrationCoversSeveralFeatures(t *testing.T) {
	o := everything(200)
	o.Window = calibrating().Window
	o.FalseAlarmEvery = 200 * o.Window
	x := swung(t, 0, 3, 20_000, 500, swing(0.5), independent, o)
	shown, promisedOnes := 0, 0
	for k := range 3 * day {
		v := x.judge()
		if k < day && alarmed(&v) {
			shown++
		}
		if promised(&v) {
			promisedOnes++
		}
	}
	if promisedOnes > 0 {
		t.Errorf("%d of %d windows are in a promised alarm", promisedOnes, 3*day)
	}
	if shown < day/2 {
		t.Errorf("%d of the first %d windows are in an alarm; want most of them", shown, day)
	}
}
