package drift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// rounded returns the canonical document of a profile with nine digits of each number, and sums to nine digits
// of what the values add up to.
func rounded(t *testing.T, p *drift.Profile) string {
	t.Helper()
	q := *p
	q.Features = append([]drift.Feature(nil), p.Features...)
	for i := range q.Features {
		f := &q.Features[i]
		c := &f.Reference
		scale := math.Sqrt(f.Variance) * float64(c.Finite())
		f.Mean, f.Variance, c.Squares = digits(f.Mean), digits(f.Variance), digits(c.Squares)
		if math.Abs(c.Sum) < 1e-9*scale {
			c.Sum = 0
		}
		c.Sum = digits(c.Sum)
	}
	var text bytes.Buffer
	if err := q.Write(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func digits(x float64) (y float64) {
	if err := json.Unmarshal(fmt.Appendf(nil, "%.9g", x), &y); err != nil {
		panic(err)
	}
	return y
}

// TestSubtractIsTheInverseOfMerge: the rest has the counts of the other rows, and with the part it is the whole
// again, the same document to nine digits.
func TestSubtractIsTheInverseOfMerge(t *testing.T) {
	rows := mixedRows(3000)
	first := built(t, rows[:1100], nil)
	for _, cut := range []int{1, 2, 1100, 2999} {
		a, b := built(t, rows[:cut], first), built(t, rows[cut:], first)
		whole, err := drift.Merge(a, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []*drift.Profile{a, b} {
			other := b
			if part == b {
				other = a
			}
			rest, err := drift.Subtract(whole, part)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			near := cmpopts.EquateApprox(1e-6, 1e-6)
			bounds := cmpopts.IgnoreFields(drift.Feature{}, "Min", "Max", "Values")
			if diff := cmp.Diff(other, rest.Profile, near, bounds); diff != "" {
				t.Errorf("cut at %d (-other +rest)\n%s", cut, diff)
			}
			again, err := drift.Merge(rest.Profile, part)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rounded(t, whole), rounded(t, again)); diff != "" {
				t.Errorf("cut at %d (-whole +again)\n%s", cut, diff)
			}
			for i := range other.Features {
				f, g := &other.Features[i], &rest.Profile.Features[i]
				known := g.Min == f.Min && g.Max == f.Max || f.Reference.Finite() == 0
				if named := strings.Contains(strings.Join(rest.Ranges, " "), f.Name); !known && !named {
					t.Errorf("cut at %d: the range of %s is %v to %v, and %v to %v in the rest; ranges of %v", cut, f.Name, f.Min, f.Max, g.Min, g.Max, rest.Ranges)
				}
			}
		}
	}
}

// TestSubtractTexts: values of a category are subtracted exactly; the number of different texts is a bound.
func TestSubtractTexts(t *testing.T) {
	first, second, _, comments := twoTexts(t)
	whole, err := drift.Merge(first, second)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := drift.Subtract(whole, second)
	if err != nil {
		t.Fatal(err)
	}
	texts := cmpopts.IgnoreFields(drift.TextValues{}, "Sketch", "Names", "Distinct", "Bins")
	bounds := cmpopts.IgnoreFields(drift.Feature{}, "Min", "Max", "Values")
	if diff := cmp.Diff(first, rest.Profile, cmpopts.EquateApprox(1e-6, 1e-6), texts, bounds); diff != "" {
		t.Errorf("(-first +rest)\n%s", diff)
	}
	if len(rest.Texts) != 2 || rest.Texts[0] != "word" || rest.Texts[1] != "comment length" {
		t.Errorf("%q", rest.Texts)
	}
	again, err := drift.Merge(rest.Profile, second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rounded(t, whole), rounded(t, again)); diff != "" {
		t.Errorf("(-whole +again)\n%s", diff)
	}
	// A rest without any value of the category, and with a single value.
	for _, left := range [][]string{{"", ""}, {"", "a"}, {"b", "a"}} {
		tail := textsOf(t, left, []string{"x", "yz"}, first)
		whole, err := drift.Merge(tail, second)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := drift.Subtract(whole, second)
		if err != nil {
			t.Errorf("a rest of %q: %v", left, err)
			continue
		}
		again, err := drift.Merge(rest.Profile, second)
		if err != nil {
			t.Errorf("a rest of %q: %v", left, err)
			continue
		}
		if diff := cmp.Diff(rounded(t, whole), rounded(t, again)); diff != "" {
			t.Errorf("a rest of %q (-whole +again)\n%s", left, diff)
		}
	}
	if _, err := drift.Subtract(first, textsOf(t, []string{"only in the second"}, comments[:1], first)); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), "feature 'word': the part has a value that is not in the whole") {
		t.Error(err)
	}
}

func TestProfilesThatCannotBeSubtracted(t *testing.T) {
	rows := mixedRows(600)
	whole := built(t, rows, nil)
	f := func(want string, part *drift.Profile) {
		t.Helper()
		before, err := whole.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := drift.Subtract(whole, part); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if after, err := whole.Digest(); err != nil || after != before {
			t.Errorf("%v: the whole has changed", err)
		}
	}
	changed := func(change func(p *drift.Profile)) *drift.Profile {
		part := built(t, rows[:100], whole)
		change(part)
		return part
	}
	f("the part has 600 rows, the whole 600: nothing is left", whole)
	f("for 'm' version 3, and for 'other' version 3", changed(func(p *drift.Profile) { p.Model = "other" }))
	f("4 and 3 features", changed(func(p *drift.Profile) { p.Features = p.Features[:3] }))
	f("feature 'rare' is in only one", changed(func(p *drift.Profile) { p.Features[3].Element = 1 }))
	f("feature 'normal' has other bins", changed(func(p *drift.Profile) { p.Features[0].Edges = p.Features[0].Edges[1:] }))
	f("feature 'normal': the part has a wider range than the whole", changed(func(p *drift.Profile) { p.Features[0].Max = 1e9 }))
	f("feature 'rare': the part has more missing or infinite values", changed(func(p *drift.Profile) { p.Features[3].Read.NegInf = 50 }))
	other := make([][]float64, 0, 300)
	for range 300 {
		other = append(other, []float64{100, 1, 7, math.NaN()})
	}
	f("feature 'normal': the part has more rows in a bin", built(t, other, whole))
}
