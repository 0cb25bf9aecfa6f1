package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

// watchTriton records some requests of one version and exports them as Triton does.
func watchTriton() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	m := metrics.New(prometheus.NewRegistry())
	v := m.Version("warm", 1)
	for range 3 {
		v.ObserveRequest(request(), nil, 10*ms)
	}
	for _, code := range []infer.Code{infer.Overloaded, infer.Unavailable, infer.Deadline, infer.Canceled, infer.Canceled, infer.Internal, infer.NotFound} {
		v.ObserveRequest(&infer.Request{}, ended(code), ms)
	}
	v.ObserveRequest(&infer.Request{}, errRefused, ms)
	v.ObserveRun(8, 3, ms, 5*ms, ms, nil)
	metrics.New(reg).WatchTriton(func() map[infer.Version]metrics.TritonVersion {
		return map[infer.Version]metrics.TritonVersion{{Model: "warm", Number: 1}: {Statistics: v.Snapshot(), Pending: 4}}
	})
	return reg
}

// The series nv_inference_* have the names, types, help texts and labels that Triton 2.51 exports, and
// there are no others.
func TestTritonSeriesAreAsRecorded(t *testing.T) {
	text, err := os.ReadFile("testdata/triton-2.51-metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	type family struct{ Type, Help, Labels string }
	want, got := map[string]family{}, map[string]family{}
	sample := regexp.MustCompile(`^(\w+)(?:\{(.*)\})? `)
	value := regexp.MustCompile(`="[^"]*"`)
	for line := range strings.Lines(string(text)) {
		if part := strings.SplitN(strings.TrimSpace(line), " ", 4); len(part) == 4 && part[0] == "#" && strings.HasPrefix(part[2], "nv_inference_") {
			f := want[part[2]]
			switch part[1] {
			case "HELP":
				f.Help = part[3]
			case "TYPE":
				f.Type = part[3]
			}
			want[part[2]] = f
		} else if s := sample.FindStringSubmatch(line); s != nil && strings.HasPrefix(s[1], "nv_inference_") {
			f := want[s[1]]
			f.Labels = value.ReplaceAllString(s[2], "")
			want[s[1]] = f
		}
	}
	families, err := watchTriton().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "nv_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		got[f.GetName()] = family{strings.ToLower(f.GetType().String()), f.GetHelp(), strings.Join(labels, ",")}
	}
	if len(want) < 10 {
		t.Fatalf("only %d series are recorded", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-Triton +ours):\n%s", diff)
	}
}

func TestTritonValues(t *testing.T) {
	want := map[string]float64{
		"request_success": 3, "count": 8, "exec_count": 1, "request_duration_us": 30000, "queue_duration_us": 6000,
		"compute_input_duration_us": 3000, "compute_infer_duration_us": 15000, "compute_output_duration_us": 3000, "pending_request_count": 4,
		"request_failure REJECTED": 3, "request_failure CANCELED": 2, "request_failure BACKEND": 2, "request_failure OTHER": 1,
	}
	got := map[string]float64{}
	families, err := watchTriton().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name, ok := strings.CutPrefix(f.GetName(), "nv_inference_")
		if !ok {
			continue
		}
		for _, m := range f.GetMetric() {
			series := name
			if labels := m.GetLabel(); len(labels) == 3 { // model, reason, version
				series += " " + labels[1].GetValue()
			}
			got[series] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
