package offline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

func parityTables(n int) (a, b string) {
	rng := rand.New(rand.NewPCG(3, 3))
	table := func(shift float64, extra string) string {
		var t strings.Builder
		t.WriteString("moved,same,word," + extra + "\n")
		for range n {
			fmt.Fprintf(&t, "%.3f,%.3f,%s,1\n", rng.NormFloat64()+shift, rng.NormFloat64(), []string{"yes", "no"}[rng.IntN(2)])
		}
		return t.String()
	}
	return table(0, "left"), table(0.8, "right")
}

func TestCompareTables(t *testing.T) {
	a, b := parityTables(600)
	for _, tool := range offline.ParityTools() {
		list, err := offline.CompareTables(t.Context(), strings.NewReader(a), strings.NewReader(b), tool, &offline.TableOptions{}, comparing())
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"moved": offline.ProfilesDiffer, "same": offline.ProfilesSame, "word": offline.ProfilesSame}
		if len(list) != len(want) {
			t.Fatalf("%s: %d columns; want %d", tool, len(list), len(want))
		}
		for _, c := range list {
			if c.Verdict != want[c.Column] || len(c.Results) == 0 {
				t.Errorf("%s: %+v; want %s", tool, c, want[c.Column])
			}
		}
	}
}

func TestCompareTablesWithNothingInCommon(t *testing.T) {
	compare := func(a, b string) ([]offline.ColumnParity, error) {
		return offline.CompareTables(t.Context(), strings.NewReader(a), strings.NewReader(b), "evidently", &offline.TableOptions{}, comparing())
	}
	if _, err := compare("a,b\n1,2\n", "c,d\n1,2\n"); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("no common column: %v", err)
	}
	if _, err := compare("a,b\n1,2\n", "a,b\n"); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("no rows: %v", err)
	}
	list, err := compare("a,b\n1,2\n,3\n", "a,b\n,2\n,4\n")
	if err != nil || len(list) != 2 || len(list[0].Results) != 0 || list[0].Verdict != offline.ProfilesUndecided {
		t.Errorf("a column without values: %+v, %v", list, err)
	}
}

func comparing() offline.CompareOptions {
	return offline.CompareOptions{Tolerance: 0.02, QualityTolerance: 0.01, RangeTolerance: 0.01, MinRows: 50, FalseAlarm: 0.001}
}
