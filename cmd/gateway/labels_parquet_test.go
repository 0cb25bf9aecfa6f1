package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// parquetFile writes rows to a file.
func parquetFile[T any](t testing.TB, rows ...T) string {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return saved(t, b.Bytes())
}

func saved(t testing.TB, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "labels.parquet")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readLabelsAt reads a file, and returns the parts that are sent.
func readLabelsAt(t testing.TB, path string) (parts []string, err error) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	err = readLabelsFile(file, func(mediaType string, body []byte) error {
		parts = append(parts, mediaType+" "+string(body))
		return nil
	})
	return parts, err
}

type (
	numberLabel struct {
		RequestID string    `parquet:"request_id"`
		Row       int32     `parquet:"row"`
		Label     float64   `parquet:"label"`
		Time      time.Time `parquet:"time,timestamp(microsecond)"`
	}
	textLabel struct {
		RequestID string  `parquet:"request_id,dict"`
		Label     *string `parquet:"label,optional,zstd"`
		Time      string  `parquet:"time"`
		Index     int64   `parquet:"__index_level_0__"`
	}
)

func TestReadLabelsParquet(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		got, err := readLabelsAt(t, path)
		if diff := cmp.Diff([]string{"application/json " + want}, got); err != nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
	}
	at, yes := time.Date(2026, 11, 30, 8, 0, 0, 250_000_000, time.UTC), "yes"
	f(parquetFile(t, numberLabel{"a", 0, 1.5, at}, numberLabel{"b", 7, math.NaN(), at}),
		`{"labels":[{"label":1.5,"request_id":"a","row":0,"time":"2026-11-30T08:00:00.25Z"},{"label":"NaN","request_id":"b","row":7,"time":"2026-11-30T08:00:00.25Z"}]}`)
	f(parquetFile(t, textLabel{"a", &yes, "2026-11-30T08:00:00Z", 1}, textLabel{"b", nil, "x", 2}),
		`{"labels":[{"label":"yes","request_id":"a","time":"2026-11-30T08:00:00Z"},{"request_id":"b","time":"x"}]}`)
	many, err := readLabelsAt(t, parquetFile(t, make([]numberLabel, 2*labelPart+1)...))
	if err != nil || len(many) != 3 {
		t.Errorf("%d parts: %v", len(many), err)
	}
	bad := func(path, want string) {
		t.Helper()
		if _, err := readLabelsAt(t, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	bad(parquetFile(t, struct {
		RequestID string `parquet:"request_id"`
	}{"a"}), "column 'label' is missing")
	bad(parquetFile(t, struct {
		RequestID string  `parquet:"request_id"`
		Label     []int64 `parquet:"label,list"`
	}{"a", nil}), "unknown column 'label.list.element'")
	bad(parquetFile(t, struct {
		RequestID string  `parquet:"request_id"`
		Label     []int64 `parquet:"label"`
	}{"a", nil}), "column 'label' has lists")
	bad(saved(t, []byte("PAR1PAR1")), "not valid Parquet")
	whole, err := os.ReadFile(parquetFile(t, make([]numberLabel, 1000)...))
	if err != nil {
		t.Fatal(err)
	}
	bad(saved(t, whole[:len(whole)/2]), "not valid Parquet")
}

// FuzzReadLabelsParquet: a damaged file is an error, not a panic.
func FuzzReadLabelsParquet(f *testing.F) {
	whole, err := os.ReadFile(parquetFile(f, make([]numberLabel, 3)...))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = readLabelsParquet(bytes.NewReader(b), int64(len(b)), func(string, []byte) error { return nil })
	})
}
