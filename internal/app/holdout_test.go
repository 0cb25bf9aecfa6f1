package app

import (
	"testing"
	"time"

	"sluice.io/sluice/api"
)

func TestHoldout(t *testing.T) {
	at := func(minute float64) time.Time {
		return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(minute * float64(time.Minute)))
	}
	file := func(first, last float64, rows int64) api.CaptureFile {
		return api.CaptureFile{Version: 1, First: at(first), Last: at(last), Rows: rows}
	}
	f := func(want, since, share float64, files ...api.CaptureFile) {
		t.Helper()
		if got := holdoutOf(files, at(since), at(100), share); got.Sub(at(want)).Abs() > time.Second {
			t.Errorf("got %v, want %v", got, at(want))
		}
	}
	f(100, 0, 0.2)
	f(8, 0, 0.2, file(0, 10, 100))
	f(18, 0, 0.1, file(0, 10, 100), file(10, 20, 100))
	f(9, 0, 0.55, file(0, 10, 100), file(10, 20, 100))
	f(19, 10, 0.1, file(0, 10, 100), file(10, 20, 100))             // nothing before counts
	f(17.5, 15, 0.5, file(10, 20, 100), api.CaptureFile{Rows: 900}) // labels do not count
	f(5, 0, 0.5, file(5, 5, 10))                                    // a moment
}
