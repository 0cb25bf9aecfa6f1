//go:build unix

package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/fulldisk"
)

// TestDriftOnAFullDisk: drift that is detected while the journal cannot grow is signalled as
// soon as it can, even if the rows look well by then, and is the same after a restart.
func TestDriftOnAFullDisk(t *testing.T) {
	if !fulldisk.Alone(t) {
		return
	}
	d, data := newDrifts(t, 2), t.TempDir()
	d.start(t, dataIn(data), d.compared())
	d.set(t, "other", `{"model":"double","variants":[{"version":1,"weight":10000}]}`)
	journal, err := os.Stat(filepath.Join(data, "journal.db"))
	must(t, err)
	fulldisk.Limited(t, journal.Size(), func() {
		fill(t, func(i int) reply { return d.change(t, http.MethodPut, "other", "*", splitOther(i)) })
		d.feed(t, "double", driftRows, higher)
		if s := d.until(t, 2, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 1 }); s.State != "DETECTED" {
			t.Fatalf("%+v", s)
		}
		d.feed(t, "double", 10, nil) // serving goes on
		if list := d.signals(t); len(list) != 0 {
			t.Fatalf("%+v", list)
		}
	})
	d.feed(t, "double", driftRows-10, nil)
	d.until(t, 2, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 2 && s.State == "RECOVERING" })
	list := d.signalled(t, 1)
	if s := list[0]; s.Type != api.TypeRetrainRequested || s.Features[0].Feature != "x[1]" && s.Features[0].Feature != "y[1]" || s.State != api.SignalOpen {
		t.Errorf("%+v", s)
	}
	must(t, d.stop())
	d.start(t, dataIn(data), d.compared())
	// DETECTED, if the disk had room for that event after all: then the recovery is no change of what is detected.
	if s := d.stream(t, 2, api.RoleDefault); s.State != "RECOVERING" && s.State != "DETECTED" {
		t.Errorf("after the restart: %+v", s)
	}
	d.feed(t, "double", driftRows, higher)
	d.until(t, 2, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 1 && s.State == "DETECTED" })
	d.feed(t, "double", driftRows, nil)
	d.until(t, 2, api.RoleDefault, func(s api.DriftStatus) bool { return s.Windows == 2 })
	if diff := cmp.Diff(list, d.signals(t), exceptAlso); diff != "" {
		t.Error(diff)
	}
}

// splitOther is a route that the number makes different from others.
func splitOther(n int) string {
	return `{"model":"double",` + split(1, 2, n)[1:]
}
