package drift

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// testdata/noncentral.py computed the values with 600 digits.
func TestNoncentralTail(t *testing.T) {
	data, err := os.ReadFile("testdata/noncentral.json")
	if err != nil {
		t.Fatal(err)
	}
	var values [][4]float64
	if err := json.Unmarshal(data, &values); err != nil {
		t.Fatal(err)
	}
	worst := [2]float64{}
	for _, v := range values {
		x, df, lambda, want := v[0], v[1], v[2], v[3]
		got := noncentralTail(x, df, lambda)
		off, limit, i := math.Abs(math.Expm1(got-want)), 1e-9, 0
		if lambda > seriesLimit {
			limit, i = 2e-3, 1
		}
		worst[i] = max(worst[i], off)
		if !(off < limit) {
			t.Errorf("log P(X >= %v), df %v, lambda %v: got %v, want %v (off by %.2g)", x, df, lambda, got, want, off)
		}
	}
	t.Logf("%d values; relative error of P at most %.1g in the series, %.1g beyond", len(values), worst[0], worst[1])
}
