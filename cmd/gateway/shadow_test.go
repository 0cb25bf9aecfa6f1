package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

func shadowReport() *api.ShadowReport {
	nan := api.Number(math.NaN())
	return &api.ShadowReport{Route: "iris", Model: "iris", Shadows: []api.ShadowComparison{
		{
			Version: 3, Against: 1, Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Failed: 2, Disagreement: 0.05, Low: 0.03, High: 0.08,
			Comparison: api.Comparison{
				Compared: 1000, Differing: 70, Tolerance: 0.001,
				Outputs: []api.OutputDifference{
					{Name: "label", Compared: 1000, Elements: 1000, Equal: 0.95, Beyond: 50, MeanDifference: nan, Top1Reference: nan, Top1Candidate: nan},
					{
						Name: "<b>scores", Compared: 1000, Elements: 3000, Equal: 0.5, Beyond: 70, MaxAbsolute: 0.4, MaxRelative: 2, Top1Rows: 1000, Top1Agree: 950,
						Top1Reference: 0.9, Top1Candidate: 0.85, Changes: []api.ClassChange{{From: "setosa", To: "virginica", Rows: 30}},
					},
				},
				Worst:     []api.RowDifference{{RequestID: "r1", Output: "scores", Element: 2, Reference: "0.1", Candidate: "0.5", Inputs: map[string]string{"x": "1 2 3 4"}}},
				Reference: api.ComparedLatency{Count: 1000, P50: 120, P99: 900},
				Candidate: api.ComparedLatency{Count: 1000, P50: 150, P99: 1800},
			},
		},
		{Version: 4, Disagreement: nan},
	}}
}

func TestShadowReportForPeople(t *testing.T) {
	var b strings.Builder
	printShadowReport(&b, shadowReport())
	for _, want := range []string{
		"version 3 of iris as a shadow, compared with version 1 since 2026-03-01 12:00:00", "1000 answers compared: 70 differ by more than 0.001; 2 copies failed",
		"disagreement: 5.00% of the rows, 3.00% to 8.00%", "label\t1000\t0\t0\t95.00%", "95.00%\t0.9\t0.85", "30\t<b>scores\tsetosa\tvirginica", "  x\t1 2 3 4", "shadow\t1000\t150µs\t1.8ms",
		"version 4 of iris has answered no copy yet",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	printShadowReport(&b, &api.ShadowReport{Route: "iris"})
	if !strings.Contains(b.String(), "has no shadow") {
		t.Error(b.String())
	}
}

func TestShadowReportAsAPage(t *testing.T) {
	var b strings.Builder
	if err := writeShadowPage(&b, shadowReport()); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"<!doctype html>", "Version 3, compared with version 1", "left: 3.00%", "&lt;b&gt;scores", "virginica", "It has answered no copy yet"} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %q", want)
		}
	}
	for _, wrong := range []string{"<b>", "http:", "https:", "ZgotmplZ", "NaN%"} {
		if strings.Contains(page, wrong) {
			t.Errorf("there is %q", wrong)
		}
	}
}
