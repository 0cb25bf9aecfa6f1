package record_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/record"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	want := record.Run{
		Machine:    record.Machine{Cores: 2, Settings: record.Settings{Rounds: 5, Setups: []string{record.Shared}}},
		Contenders: []record.Contender{{Setup: record.Shared, Name: record.Noop, ReadyMS: 1.5, MaxDiff: map[string]float64{"lin": 1e-7}}},
		Raw:        []record.Raw{{Setup: record.Shared, Model: "lin", Threads: 2, Batch: 8, Runs: 1e6}},
		Cells: []record.Cell{{
			Setup: record.Shared, Round: 1, Contender: record.Gateway, Rate: 7, Errors: map[string]int64{"429": 3},
			Work: record.Work{Name: "lin binary c=64", Model: "lin", Rows: 1}, Latency: record.Latency{P50: 1, P99: 2, P999: 3},
			Usage: record.Usage{Server: 0.9, Noisy: true}, Go: &record.GoStats{Allocs: 2},
		}},
		Points: []record.Point{{Kind: record.Open, Load: 0.7, Latency: record.Latency{P99: 9}}},
	}
	var text bytes.Buffer
	w := record.NewWriter(&text)
	for _, l := range []record.Line{
		{Machine: &want.Machine}, {Contender: &want.Contenders[0]}, {Raw: &want.Raw[0]}, {Cell: &want.Cells[0]}, {Point: &want.Points[0]},
	} {
		if err := w.Write(l); err != nil {
			t.Fatal(err)
		}
	}
	got, err := record.Read(&text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBrokenFiles(t *testing.T) {
	const machine = `{"machine":{"cores":2}}` + "\n"
	for text, want := range map[string]string{
		"":                                     "no results",
		`{"cell":{}}`:                          "line 1: the first line",
		machine + machine:                      "line 2: the first line",
		machine + `{"cell":{}}` + "\n" + `{}`:  "line 3: neither",
		machine + `{"cell":{"round":"first"}}`: "line 2: json",
	} {
		if _, err := record.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
