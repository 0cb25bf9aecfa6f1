package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
)

func TestReadLabels(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		var got []string
		err := readLabels(strings.NewReader(text), func(mediaType string, body []byte) error {
			got = append(got, mediaType+" "+string(body))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	const two = `application/json {"labels":[{"request_id":"a","label":1},{"request_id":"b","label":0}]}`
	f(`{"labels":[{"request_id":"a","label":1},{"request_id":"b","label":0}]}`, two)
	f("\n{\"request_id\":\"a\",\"label\":1}\n{\"request_id\":\"b\",\"label\":0}\n", two)
	f(`[{"request_id":"a","label":1},{"request_id":"b","label":0}]`, two)
	f("request_id,label\na,1\nb,\"x,y\"\n", "text/csv request_id,label\na,1\nb,\"x,y\"\n")
	f("request_id,label\n")
	long := "request_id,label\n" + strings.Repeat("a,1\n", labelPart)
	f(long+"b,1\n", "text/csv "+long, "text/csv request_id,label\nb,1\n")

	bad := func(text, want string) {
		t.Helper()
		err := readLabels(strings.NewReader(text), func(string, []byte) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	bad("", "the file is empty")
	bad(`{"labels":`, "the file is not valid JSON")
	bad("request_id,label\na\n", "the file is not valid CSV")
}

func TestPrintLabelReport(t *testing.T) {
	low, high, holds := 0.8, 0.95, false
	report := api.LabelReport{Model: "churn", Labels: api.LabelCounts{Rows: 12, Joined: 10, Unknown: 2}, Streams: []api.LabelStream{
		{
			Version: 3, Role: "stable", Predictions: 20, Labels: 10, Coverage: 0.5, Delay: &api.LabelDelay{Median: api.Duration(90e9)}, Positive: "yes",
			Metrics: []api.LabelMetric{
				{Name: "accuracy", Value: 0.9, Low: &low, High: &high, Method: api.IntervalExact},
				{Name: "auc", Value: 0.912345, Low: &low, High: &high, Method: api.IntervalAsymptotic},
				{Name: "ece", Value: 0.01},
			},
			Calibration: []api.CalibrationBin{{From: 0.9, To: 1, Rows: 10, Mean: 0.95, Rate: 0.9, Low: 0.5, High: 1}},
		},
		{
			Version: 4, Role: "canary", Segment: "E\tU", Predictions: 1,
			Estimates: []api.LabelEstimate{
				{Name: "accuracy", Value: 0.9, Low: &low, High: &high, Rows: 1, Outside: 0.25, Check: &api.EstimateCheck{Rows: 200, Estimate: 0.91, Truth: 0.6, Holds: &holds}},
				{Name: "auc", Value: 0.8, Rows: 1},
			},
			Shift: []api.ClassShare{{Class: "no", Reference: 0.8, Value: 0.5, Low: 0.4, High: 0.6, Shifted: true}, {Class: "yes", Reference: 0.2, Value: 0.25, Low: 0.1, High: 0.3}},
		},
		{Version: 5, Role: "pinned", NoEstimates: "no"},
	}}
	var b strings.Builder
	printLabelReport(&b, &report, true)
	const want = "VERSION\tROLE\tSEGMENT\tPREDICTIONS\tLABELS\tCOVERAGE\tDELAY\tMETRIC\tVALUE\tINTERVAL\n" +
		"3\tstable\t-\t20\t10\t50.0%\t1m30s\taccuracy\t0.9\t[0.8, 0.95]\n" +
		"\t\t\t\t\t\t\tauc\t0.9123\t~[0.8, 0.95]\n" +
		"\t\t\t\t\t\t\tece\t0.01\t-\n" +
		"4\tcanary\tE U\t1\t0\t0.0%\t-\t-\t-\t-\n" +
		"5\tpinned\t-\t0\t0\t0.0%\t-\t-\t-\t-\n" +
		"\nVERSION\tROLE\tSEGMENT\tMETRIC\tESTIMATE\tINTERVAL\tROWS\tLABELLED\tESTIMATED\tTRUTH\tHOLDS\n" +
		"4\tcanary\tE U\taccuracy\t0.9\t~[0.8, 0.95]\t1\t200\t0.91\t0.6\tNO\n" +
		"\t\t\tauc\t0.8\t-\t1\t-\t-\t-\t-\n" +
		"\nversion 4 canary E U: the shares of the true classes have probably shifted\nCLASS\tREFERENCE\tESTIMATE\tINTERVAL\tSHIFTED\tLABELLED\tESTIMATED\tTRUTH\tHOLDS\n" +
		"no\t0.8\t0.5\t~[0.4, 0.6]\tYES\t-\t-\t-\t-\n" +
		"yes\t0.2\t0.25\t~[0.1, 0.3]\tno\t-\t-\t-\t-\n" +
		"\nversion 4 canary E U: 25% of the rows have scores outside of those of the reference; estimates are guesses for them\n" +
		"\nversion 5 pinned: nothing is estimated: no\n" +
		"\nLABELS\tJOINED\tUNKNOWN\tLATE\tDUPLICATE\tCONTRADICTORY\tINVALID\n12\t10\t2\t0\t0\t0\t0\n" +
		"\nversion 3 stable: calibration of class yes\nPREDICTED\tROWS\tMEAN\tRATE\tINTERVAL\n0.9 to 1.0\t10\t0.950\t0.900\t[0.500, 1.000]\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
