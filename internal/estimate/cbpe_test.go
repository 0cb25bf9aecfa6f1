package estimate_test

import (
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/internal/estimate"
)

const bins, logits = 1024, 16

// runs is the number of runs by which error rates are measured; -runs 1000 is the long form.
var runs = flag.Int("runs", 50, "runs by which error rates are measured")

// scores returns the scores in the middle of the bins.
func scores() []float64 {
	list := make([]float64, bins)
	for b := range list {
		list[b] = sigmoid((float64(b)+0.5)*2*logits/bins - logits)
	}
	return list
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func bin(p float64) int {
	return int(min(max(math.Floor((math.Log(p)-math.Log1p(-p)+logits)*bins/(2*logits)), 0), bins-1))
}

// once is the margin of an interval for one look.
func once(n, alpha float64) float64 { return distuv.UnitNormal.Quantile(1-alpha/2) / math.Sqrt(n) }

func options() estimate.Options {
	return estimate.Options{Scores: scores(), Alpha: 0.05, Margin: once}
}

// world draws rows of two classes: a feature with a mean and a deviation, the score that a model
// gives it, and whether it comes true.
type world struct {
	mean, deviation float64
	score, truth    func(x float64) float64
}

func draw(rng *rand.Rand, w world, n int) (rows, hits []int64) {
	rows, hits = make([]int64, bins), make([]int64, bins)
	for range n {
		x := w.mean + w.deviation*rng.NormFloat64()
		b := bin(w.score(x))
		rows[b]++
		if rng.Float64() < w.truth(x) {
			hits[b]++
		}
	}
	return rows, hits
}

func reference(rows, hits []int64) *estimate.Reference {
	r := &estimate.Reference{Form: json.RawMessage(`{}`), Bins: bins, Curves: []estimate.Curve{estimate.NewCurve(rows, hits)}, Confusion: [][]int64{{0, 0}, {0, 0}}}
	for b := range rows {
		predicted := 0
		if b >= bins/2 {
			predicted = 1
		}
		r.Rows += rows[b]
		r.Confusion[predicted][1] += hits[b]
		r.Confusion[predicted][0] += rows[b] - hits[b]
	}
	return r
}

// TestErrorRates measures how often an estimator is called wrong which is right, and how often one
// which is wrong is not. The model is overconfident, and the later rows are others than those of the
// reference: their feature is larger and varies less. The limit of 5 % is for one look here.
func TestErrorRates(t *testing.T) {
	overconfident := func(x float64) float64 { return sigmoid(2.2*x + 0.3) }
	truth := func(x float64) float64 { return sigmoid(1.2 * x) }
	before := world{0, 1, overconfident, truth}
	runs := float64(*runs)
	f := func(name string, after world, rowsBefore int, check func(metric string, wrong float64) bool) {
		t.Helper()
		wrong, outside := map[string]int{}, map[string]int{}
		rng := rand.New(rand.NewPCG(7, 11))
		for range int(runs) {
			rows, hits := draw(rng, before, rowsBefore)
			c, ok := estimate.NewClassifier(reference(rows, hits), options())
			if !ok {
				t.Fatal("the reference has too few rows")
			}
			later, came := draw(rng, after, 1000)
			comparisons, estimates := c.Compare([][]int64{later}, [][]int64{came}), c.Estimate([][]int64{later})
			if len(comparisons) != 7 || len(estimates) != 7 {
				t.Fatalf("%+v %+v", comparisons, estimates)
			}
			for i, x := range comparisons {
				if !x.Holds {
					wrong[x.Name]++
				}
				if e := estimates[i]; e.Name != x.Name || math.Abs(e.Value-x.Value) > 1e-12 || !e.HasInterval {
					t.Fatalf("%+v and %+v", e, x)
				} else if x.Truth < e.Low || x.Truth > e.High {
					outside[x.Name]++
				}
			}
		}
		for _, metric := range []string{"accuracy", "log_loss", "brier", "auc", "precision", "recall", "f1"} {
			share := float64(wrong[metric]) / runs
			t.Logf("%s: %s: called wrong in %.1f %%, outside of the interval in %.1f %%", name, metric, 100*share, 100*float64(outside[metric])/runs)
			if !check(metric, share) {
				t.Errorf("%s: %s is called wrong in %.3f of the runs", name, metric, share)
			}
		}
	}
	few := func(_ string, wrong float64) bool { return wrong <= 0.05+3*math.Sqrt(0.05*0.95/runs) }
	f("the same rows, 2000", before, 2000, few)
	shifted := world{0.8, 0.7, overconfident, truth}
	f("covariate shift, 500", shifted, 500, few)
	f("covariate shift, 2000", shifted, 2000, few)
	f("covariate shift, 20000", shifted, 20000, few)
	moved := world{0, 1, overconfident, func(x float64) float64 { return sigmoid(1.2 * (x - 1)) }}
	f("concept drift", moved, 2000, func(metric string, wrong float64) bool {
		return wrong > 0.6 || !slices.Contains([]string{"accuracy", "log_loss", "brier"}, metric)
	})
}

// TestCalibration: scores that are right already are left alone, and others are
// corrected.
func TestCalibration(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := func(name string, score func(float64) float64, accuracy, tolerance float64) {
		t.Helper()
		rows, hits := draw(rng, world{0, 1, score, sigmoid}, 20000)
		c, _ := estimate.NewClassifier(reference(rows, hits), options())
		later, _ := draw(rng, world{0, 1, score, sigmoid}, 50000)
		for _, e := range c.Estimate([][]int64{later}) {
			if e.Name == "accuracy" && math.Abs(e.Value-accuracy) > tolerance {
				t.Errorf("%s: %+v, want %v", name, e, accuracy)
			}
		}
	}
	want := 0.0 // the mean of max(p, 1-p)
	const draws = 200000
	for range draws {
		p := sigmoid(rng.NormFloat64())
		want += max(p, 1-p) / draws
	}
	f("calibrated", sigmoid, want, 0.01)
	f("overconfident", func(x float64) float64 { return sigmoid(4 * x) }, want, 0.01)
}

// TestOutside: a reference says nothing about scores that it does not have.
func TestOutside(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	low := func(x float64) float64 { return 0.5 / (1 + math.Exp(-x)) }
	rows, hits := draw(rng, world{0, 1, low, low}, 1000)
	c, _ := estimate.NewClassifier(reference(rows, hits), options())
	later := make([]int64, bins)
	later[bin(0.9)], later[bin(0.3)] = 30, 10
	list := c.Estimate([][]int64{later})
	if list[0].Outside != 0.75 || list[0].HasInterval {
		t.Errorf("%+v", list[0])
	}
	if c.Estimate([][]int64{make([]int64, bins)}) != nil || c.Estimate(nil) != nil || c.Compare(nil, nil) != nil {
		t.Error("estimates of no rows")
	}
	rows[bin(0.3)] = 50
	if _, ok := estimate.NewClassifier(&estimate.Reference{Rows: 99, Bins: bins}, options()); ok {
		t.Error("a reference of 99 rows is used")
	}
}
