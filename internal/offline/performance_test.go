package offline_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// flowers is a CSV file of n rows of the demo's iris, each with the label.
func flowers(n int, label func(i int) string) string {
	var b strings.Builder
	b.WriteString("a,b,c,d,species\n")
	for i := range n {
		long := float64(i%50) / 10
		fmt.Fprintf(&b, "5.8,3,%.1f,%.1f,%s\n", 1+long, long/2, label(i))
	}
	return b.String()
}

func TestProfileWithLabels(t *testing.T) {
	e, err := offline.RepositoryEvaluator(demoConfig(t), infer.Version{Model: "iris"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // only read
	build := func(csv string, o offline.LabelOptions, notes *string) (*offline.Profile, error) {
		options := offline.ProfileOptions{Model: e.Model(), Evaluator: e, NeedOutputs: true, Labels: o}
		options.Note = func(text string) { *notes += text + "\n" }
		return offline.MakeProfile(t.Context(), strings.NewReader(csv), options)
	}
	var notes string
	p, err := build(flowers(700, func(i int) string {
		if i%7 == 0 {
			return "NA"
		}
		return strconv.Itoa(i % 3)
	}), offline.LabelOptions{Column: "species"}, &notes)
	if err != nil {
		t.Fatal(err)
	}
	r, err := estimate.Decode(p.Performance)
	if err != nil || r.Rows != 600 || r.Classes() != 3 || len(r.Curves) != 4 || p.Rows != 700 {
		t.Errorf("%+v %v", r, err)
	}
	l, err := offline.LabelledRowsOf(p)
	if err != nil || l.Rows != 600 || l.Output != "probabilities" || len(l.Classes) != 3 {
		t.Fatalf("%+v %v", l, err)
	}
	var rows, predicted, right int64
	for i, c := range l.Classes {
		if c.Name != strconv.Itoa(i) || c.Rows != 200 || c.Right > min(c.Rows, c.Predicted) {
			t.Errorf("%+v", c)
		}
		rows, predicted, right = rows+c.Rows, predicted+c.Predicted, right+c.Right
	}
	if rows != 600 || predicted != 600 || right != l.Right || right == 0 {
		t.Errorf("%+v", l)
	}
	if l, err := offline.LabelledRowsOf(&offline.Profile{}); l != nil || err != nil {
		t.Errorf("%+v %v", l, err)
	}
	if _, err := offline.LabelledRowsOf(&offline.Profile{Performance: []byte(`{"rows":1}`)}); infer.CodeOf(err) != infer.Invalid {
		t.Error(err)
	}
	if !strings.Contains(notes, "100 rows have no label or no prediction") {
		t.Error(notes)
	}
	for _, f := range p.Features {
		if f.Name == "species" {
			t.Error("the label is a feature")
		}
	}

	f := func(csv string, o offline.LabelOptions, want string) {
		t.Helper()
		if _, err := build(csv, o, &notes); infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	zero := func(int) string { return "0" }
	f(flowers(200, zero), offline.LabelOptions{Column: "truth"}, "no column 'truth'")
	f(flowers(200, func(i int) string { return strconv.Itoa(i / 100 * 7) }), offline.LabelOptions{Column: "species"}, "line 102, column 5 ('species'): '7' is not a label of the model")
	f(flowers(99, zero), offline.LabelOptions{Column: "species"}, "99 rows have a label and valid scores; expected 100 or more")
	f(flowers(200, zero), offline.LabelOptions{Column: "species", Output: "label"}, "does not have scores of classes")
	f(flowers(200, zero), offline.LabelOptions{Column: "species", Positive: "1"}, "labels.positive is for")
	if _, err := offline.MakeProfile(t.Context(), strings.NewReader(flowers(200, zero)), offline.ProfileOptions{Labels: offline.LabelOptions{Column: "species"}}); err == nil || !strings.Contains(err.Error(), "labels need the model") {
		t.Error(err)
	}
}
