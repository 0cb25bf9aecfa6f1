package estimate_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"sluice.io/sluice/internal/confseq"
	"sluice.io/sluice/internal/estimate"
)

// TestLossesBesideNannyML: sums of what a loss model answers have NannyML's estimates. It is trained
// on the same rows, and its answers are those of its ONNX file. Of the ten parts of each data set,
// each has more rows of one kind than the one before, and estimates follow the truth.
func TestLossesBesideNannyML(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "dle", "nannyml.json"))
	if err != nil {
		t.Fatal(err)
	}
	type sums struct{ Rows, Sum, Squares, Truth, Residuals, NannyML, Metric float64 }
	var sets []struct {
		Name  string
		Parts []map[string]sums
	}
	if err := json.Unmarshal(text, &sets); err != nil || len(sets) != 2 {
		t.Fatalf("%d sets, %v", len(sets), err)
	}
	o := estimate.LossOptions{Alpha: 0.05, Margin: confseq.Margin, Tolerance: 0.05}
	for _, set := range sets {
		for _, metric := range []string{"mae", "rmse"} {
			var ours, theirs, between, truths, constant float64
			wrong, missed, n := 0, 0, float64(len(set.Parts))
			for _, part := range set.Parts {
				x := part[metric]
				l := estimate.Losses{
					Squared: metric == "rmse", Rows: x.Rows, Sum: x.Sum, Squares: x.Squares,
					Labelled: x.Rows, LabelledSum: x.Sum, LabelledSquares: x.Squares, Truth: x.Truth, Residuals: x.Residuals,
				}
				c, ok := l.Compare(o)
				if !ok || math.Abs(c.Truth/x.Metric-1) > 1e-9 {
					t.Fatalf("%s: %+v, truth %v", set.Name, c, x.Metric)
				}
				if !c.Holds {
					wrong++
				}
				before := l
				before.Labelled = 0
				e, _ := before.Estimate(o)
				if x.Metric < e.Low || x.Metric > e.High {
					missed++
				}
				ours, theirs, between = ours+math.Abs(e.Value-x.Metric)/n, theirs+math.Abs(x.NannyML-x.Metric)/n, between+math.Abs(e.Value-x.NannyML)/n
				truths += x.Metric / n
				constant += math.Abs(set.Parts[0][metric].Metric-x.Metric) / n // if the first part's were taken for all
			}
			t.Logf("| %s | %s | %.4g | %.4g | %.4g | %.4g | %.4g | %d |", set.Name, metric, truths, ours, theirs, between, constant, wrong)
			if between > 1e-3*truths || ours > theirs+1e-3*truths || ours > 0.1*truths || wrong > 0 || missed > 0 {
				t.Errorf("%s, %s: mean errors are %v and %v, and differ by %v; %d parts are called wrong, %d intervals miss", set.Name, metric, ours, theirs, between, wrong, missed)
			}
		}
	}
}
