package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wellFormed fails if a drawing in a page is not well-formed XML, and returns the number of drawings.
func wellFormed(t *testing.T, page string) (drawings int) {
	t.Helper()
	for _, part := range strings.Split(page, "<svg")[1:] {
		text, _, found := strings.Cut(part, "</svg>")
		if !found {
			t.Fatal("a drawing does not end")
		}
		d := xml.NewDecoder(strings.NewReader("<svg" + text + "</svg>"))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("drawing %d: %v", drawings+1, err)
			}
		}
		drawings++
	}
	return drawings
}

func TestDriftReport(t *testing.T) {
	side := sideOf(t, driftFold())
	run := func(args ...string) result {
		t.Helper()
		return command(t, "", append([]string{"drift", "report", "--admin", side}, args...))
	}
	file := filepath.Join(t.TempDir(), "drift.html")
	if got := run("iris", "--html", file); got.code != exitOK || got.out != "" {
		t.Fatalf("%+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, part := range []string{
		"<title>Drift of iris</title>", `<span class="DETECTED">DETECTED</span>`, "mean higher by 0.54 s.d.", "PSI 0.312", "missing: 8.02 % of the rows",
		"&lt;b&gt;label", "now 3.85%",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page has no %q", part)
		}
	}
	for _, part := range []string{"<script", "http://", "https://", "src=", "<b>label", "ZgotmplZ", "NaN"} {
		if strings.Contains(page, part) {
			t.Errorf("the page has %q", part)
		}
	}
	if n := wellFormed(t, page); n != 4 {
		t.Errorf("%d drawings, want one for each of two features of two streams", n)
	}
	if got := run("iris", "--html", "-"); got.code != exitOK || got.out != page {
		t.Error("the page on standard output differs from the file")
	}
	if got := run("iris", "-o", "json"); got.code != exitOK || !strings.Contains(got.out, `"distributions"`) {
		t.Errorf("json: %+v", got)
	}
	if got := run("iris"); got.code != exitUsage {
		t.Errorf("without a file: %+v", got)
	}
	if got := run("none", "--html", "-"); got.code == exitOK {
		t.Errorf("an unknown model: %+v", got)
	}
}

// The columns of a histogram have the shares of the bins, whatever the widths of the bins.
func TestHistogramColumns(t *testing.T) {
	f := func(edges []float64, low, high float64, bins []uint64, want map[int]float64) {
		t.Helper()
		all := columnsOf(edges, low, high, bins)
		sum := 0.0
		for i, share := range all {
			sum += share
			if w, ok := want[i]; ok && (share < w-1e-9 || share > w+1e-9) {
				t.Errorf("column %d has %v, want %v", i, share, w)
			}
		}
		if sum < 1-1e-9 || sum > 1+1e-9 {
			t.Errorf("the columns have %v of the rows", sum)
		}
	}
	f([]float64{10, 20, 30}, 0, 40, []uint64{1, 1, 1, 1}, nil)
	f([]float64{0, 4}, 0, 4, []uint64{0, 10, 0}, map[int]float64{0: 0.025, 39: 0.025})
	f([]float64{0, 1, 1.0000001, 4}, 0, 4, []uint64{0, 0, 7, 0, 0}, map[int]float64{10: 1}) // one value
	f([]float64{0, 4}, -1e300, 1e300, []uint64{5, 0, 5}, nil)                               // far values
	f([]float64{3}, 3, 3, []uint64{5, 5}, map[int]float64{0: 0.5, 1: 0.5})
	if diff := cmp.Diff(bars(nil), columnsOf(nil, 0, 0, []uint64{3})); diff != "" {
		t.Error(diff)
	}
}
