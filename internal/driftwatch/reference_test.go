package driftwatch

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

func TestColumnsOfAProfile(t *testing.T) {
	f := func(want map[string][]string, features ...drift.Feature) {
		t.Helper()
		r := &Reference{profile: &drift.Profile{Features: features}}
		if diff := cmp.Diff(want, r.Columns()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", features, diff)
		}
	}
	in := func(name, tensor string, element int) drift.Feature {
		return drift.Feature{Name: name, Kind: drift.KindInput, Tensor: tensor, Element: element}
	}
	out := drift.Feature{Name: "score", Kind: drift.KindOutput, Tensor: "y"}
	f(map[string][]string{})
	f(map[string][]string{"x": {"a", "b"}, "z": {"c"}}, in("b", "x", 1), out, in("a", "x", 0), in("c", "z", 0))
	f(map[string][]string{"z": {"c"}}, in("b", "x", 1), in("c", "z", 0)) // one element of x has no name
	f(map[string][]string{}, in("b", "x", 1<<31-1))

	if got := (&Reference{err: infer.Errorf(infer.Invalid, "no file")}).Columns(); got != nil {
		t.Errorf("a profile that cannot be read: %v", got)
	}
	if got := (*Reference)(nil).Columns(); got != nil {
		t.Errorf("no profile: %v", got)
	}
}
