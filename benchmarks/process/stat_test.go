package process_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/process"
)

func TestReadStat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "stat")
	read := func(text string) (process.Stat, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return process.ReadStat(file)
	}
	got, err := read("42 (a name) (x) S 7 42 43 0 -1 4194304 100 0 0 0 300 20 1 4 39 19 5 0 100 1000 200")
	want := process.Stat{Parent: 7, Session: 43, Nice: 19, Begin: 100, CPU: 3200 * time.Millisecond, Reaped: 50 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1 (x) S 1", "1 (x) S x 42 42 0 -1 4194304 100 0 0 0 300 20 1 4 20 0 5 0 100 1000 200"} {
		if got, err := read(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	if _, err := process.ReadStat(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("no such file: %v", err)
	}
}
