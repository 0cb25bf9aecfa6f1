package labels_test

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/labels"
)

// TestTimesThatCannotBe: a clock that is ahead by less than a day counts as right, and one that is ahead
// by more makes labels invalid. A label that comes after a year is late while its prediction is kept.
func TestTimesThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const year = 365 * 24 * time.Hour
		h := start(t, labels.Options{Dir: dir, MaxAge: 2 * year})
		defer h.stop(t)
		k := h.keeper(t, classifier())
		predict(k, "a", 0.9, 0.9, 0.9, 0.9)
		f := func(want string, row int, after time.Duration) {
			t.Helper()
			r := text("a", "yes")
			r.Row, r.Time = row, time.Now().Add(after)
			if got := h.label(t, "churn", r); got[0] != want {
				t.Errorf("row %d at %v: %s, want %s", row, after, got[0], want)
			}
		}
		f(api.LabelJoined, 0, 23*time.Hour)
		f(api.LabelInvalid, 1, 25*time.Hour)
		f(api.LabelInvalid, 1, 200*year)
		f(api.LabelJoined, 1, -200*year)
		s := h.report(t, "churn")
		if d := s.Streams[0].Delay; d.Max > api.Duration(time.Second) || s.Labels.BeforePrediction != 1 {
			t.Errorf("%+v, %+v", d, s.Labels)
		}
		h.stop(t)
		time.Sleep(year)
		h.Store = labels.New(h.options)
		h.run(t)
		f(api.LabelLate, 2, 0)
		f(api.LabelLate, 3, -year) // it may have been known then, but it was not sent
		if got := h.report(t, "churn").Labels; got.Late != 2 || got.Joined != 2 {
			t.Errorf("%+v", got)
		}
	})
}

// TestLabelsThatAreNoClass: numbers that are not finite, and labels of another type.
func TestLabelsThatAreNoClass(t *testing.T) {
	h := start(t, labels.Options{Dir: t.TempDir()})
	k, r := h.keeper(t, classifier()), h.keeper(t, regressor())
	predict(k, "a", 0.9)
	predictValues(r, "a", 1)
	send := func(model string, values ...any) string {
		t.Helper()
		var rows []labels.Row
		for _, v := range values {
			rows = append(rows, labels.RowOf(&api.LabelRow{RequestID: "a", Label: v}))
		}
		return fmt.Sprint(h.label(t, model, rows...))
	}
	if got := send("churn", math.NaN(), math.Inf(-1), 1.5, 2.0, -1.0, "", nil, 1e300, true, "YES", "yes"); got != "[invalid invalid invalid invalid invalid invalid invalid invalid invalid invalid joined]" {
		t.Error(got)
	}
	if got := send("price", math.NaN(), math.Inf(1), "1", "", nil, true, 1e308); got != "[invalid invalid invalid invalid invalid invalid joined]" {
		t.Error(got)
	}
	if got := h.report(t, "churn").Labels; got.Invalid != 10 || got.Joined != 1 {
		t.Errorf("%+v", got)
	}
	if got := h.report(t, "price").Streams[0]; got.Labels != 1 || got.Unmeasured != 1 {
		t.Errorf("%+v", got)
	}
}
