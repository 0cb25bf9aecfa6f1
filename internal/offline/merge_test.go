package offline_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// TestMergeProfilesWithLabels: what two halves know of labels is exactly what the whole knows.
func TestMergeProfilesWithLabels(t *testing.T) {
	e, err := offline.RepositoryEvaluator(demoConfig(t), infer.Version{Model: "iris"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // only read
	build := func(lines []string, bins *offline.Profile, label string) *offline.Profile {
		t.Helper()
		o := offline.ProfileOptions{Model: e.Model(), Evaluator: e, NeedOutputs: true, Bins: bins, Labels: offline.LabelOptions{Column: label}}
		o.Targets = []string{"species"}
		p, err := offline.MakeProfile(t.Context(), strings.NewReader("a,b,c,d,species\n"+strings.Join(lines, "\n")+"\n"), o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	lines := strings.Split(strings.TrimSpace(flowers(900, func(i int) string { return strconv.Itoa(i * i % 3) })), "\n")[1:]
	a := build(lines[:400], nil, "species")
	b, whole := build(lines[400:], a, "species"), build(lines, a, "species")
	for _, list := range [][]*offline.Profile{{a, b}, {b, a}, {build(lines[:200], a, "species"), build(lines[200:500], a, "species"), build(lines[500:], a, "species")}} {
		got, err := offline.MergeProfiles(list)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(whole.Performance), string(got.Performance)); diff != "" || got.Rows != 900 {
			t.Errorf("%d rows: %s", got.Rows, diff)
		}
		for i := range got.Features {
			if diff := cmp.Diff(whole.Features[i].Reference.Bins, got.Features[i].Reference.Bins); diff != "" {
				t.Errorf("%s: %s", got.Features[i].Name, diff)
			}
		}
	}
	rest, err := offline.SubtractProfiles(whole, b)
	if err != nil || string(rest.Profile.Performance) != string(a.Performance) || rest.Profile.Rows != 400 {
		t.Errorf("%v, the rest of %+v", err, rest)
	}
	if _, err := offline.SubtractProfiles(whole, build(lines[400:], a, "")); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), "only one of the profiles has labels") {
		t.Error(err)
	}
	f := func(b *offline.Profile, want string) {
		t.Helper()
		if _, err := offline.MergeProfiles([]*offline.Profile{a, b}); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f(build(lines, a, ""), "only some of the profiles have labels")
	other := *b
	r, err := estimate.Decode(b.Performance)
	if err != nil {
		t.Fatal(err)
	}
	r.Form = []byte(`{"task":"classification","output":"others"}`)
	if other.Performance, err = r.Encode(); err != nil {
		t.Fatal(err)
	}
	f(&other, "the references are not about the same output")
	other.Performance = []byte(`{"rows":1}`)
	f(&other, "the performance of the reference")
}
