package offline_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// byPlan is a table of rows of three plans, of which the one that moves has a tenth.
func byPlan(seed uint64, rows int, shift float64) string {
	rng := rand.New(rand.NewPCG(seed, 3))
	var b strings.Builder
	b.WriteString("plan,a,b\n")
	for range rows {
		plan, mean := "free", 0.0
		switch u := rng.Float64(); {
		case u < 0.1:
			plan, mean = "pro", 3+shift
		case u < 0.3:
			plan = "team"
		case u < 0.302:
			plan = fmt.Sprint("trial", rng.IntN(1000))
		}
		fmt.Fprintf(&b, "%s,%.5f,%.5f\n", plan, mean+rng.NormFloat64(), rng.NormFloat64())
	}
	return b.String()
}

func planProfile(t *testing.T, m *infer.Model, csv string, bins *offline.Profile) *offline.Profile {
	t.Helper()
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(csv), offline.ProfileOptions{
		Model: m, Segment: offline.SegmentOptions{Column: "plan", Most: 8}, Bins: bins, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSegmentColumn: the column is an input if there is one of its name, and a parameter of requests if not. A segment that moves is found
// in its own stream.
func TestSegmentColumn(t *testing.T) {
	numbers := []infer.TensorSpec{
		{Name: "a", DType: infer.FP32, Shape: infer.Shape{-1, 1}}, {Name: "b", DType: infer.FP32, Shape: infer.Shape{-1, 1}},
	}
	withPlan := append(slices.Clone(numbers), infer.TensorSpec{Name: "plan", DType: infer.Bytes, Shape: infer.Shape{-1, 1}})
	for _, x := range []struct {
		name, key string
		model     *infer.Model
	}{
		{"none", "element 0 of input 'plan'", nil},
		{"input", "element 0 of input 'plan'", infer.NewModel("m", 1, withPlan, nil)},
		{"parameter", "parameter 'plan'", infer.NewModel("m", 1, numbers, nil)},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := planProfile(t, x.model, byPlan(1, 20_000, 0), nil)
			if got := p.Segment.String(); got != x.key {
				t.Errorf("the key is %s", got)
			}
			if got := p.SegmentsUpTo(8); !slices.Equal(got, []string{"free", "team", "pro"}) {
				t.Errorf("%v", got)
			}
			if got := offline.SegmentsOf(p); !strings.Contains(got, "only part of the whole") {
				t.Errorf("%s", got)
			}
			var last offline.Simulated
			found := map[string]bool{}
			table := byPlan(2, 10_000, 0) + strings.TrimPrefix(byPlan(3, 10_000, 1), "plan,a,b\n")
			rows, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(table), simulation(), func(s offline.Simulated) error {
				if s.State == "DETECTED" {
					found[s.Segment] = true
					if s.Segment == "pro" && !found["pro "] {
						found["pro "] = true
						if s.From < 9000 || s.Since < 9000 {
							t.Errorf("detected in rows %d to %d, since %d", s.From, s.To, s.Since)
						}
					}
				}
				if s.From <= last.To && s.Segment == last.Segment || s.To < s.From {
					t.Errorf("rows %d to %d after %d to %d", s.From, s.To, last.From, last.To)
				}
				last = s
				return nil
			})
			if err != nil || rows != 20_000 {
				t.Fatalf("%d rows, %v", rows, err)
			}
			if !found["pro"] || found["free"] || found["team"] {
				t.Errorf("%v", found)
			}
		})
	}
}

// TestSegmentsWithBins: profiles of parts have the same segments only if both are built so.
func TestSegmentsWithBins(t *testing.T) {
	bins := planProfile(t, nil, byPlan(1, 20_000, 0), nil)
	a, b := planProfile(t, nil, byPlan(2, 5000, 0), bins), planProfile(t, nil, byPlan(3, 7000, 0), bins)
	sum, err := offline.MergeProfiles([]*offline.Profile{a, b})
	if err != nil {
		t.Fatal(err)
	}
	if err := sum.Write(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	if got := sum.Of("pro").Rows; got != a.Of("pro").Rows+b.Of("pro").Rows || got < 1000 {
		t.Errorf("%d rows", got)
	}
	rest, err := offline.SubtractProfiles(sum, b)
	if err != nil || rest.Profile.Of("pro").Rows != a.Of("pro").Rows {
		t.Errorf("%v", err)
	}
	_, err = offline.MakeProfile(t.Context(), strings.NewReader(byPlan(2, 5000, 0)), offline.ProfileOptions{Bins: bins})
	if err == nil || !strings.Contains(err.Error(), "--segment") {
		t.Errorf("%v", err)
	}
	for _, column := range []string{"nothing", "a"} {
		_, err = offline.MakeProfile(t.Context(), strings.NewReader(byPlan(2, 5000, 0)), offline.ProfileOptions{
			Segment: offline.SegmentOptions{Column: column, Most: 8}, Outputs: []string{"a"},
		})
		if err == nil || !strings.Contains(err.Error(), "'"+column+"'") {
			t.Errorf("%s: %v", column, err)
		}
	}
}
