package app_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/offline"
)

// wrongProfiles are files that "double" cannot be compared with, and the reasons.
func wrongProfiles(t *testing.T) map[string]func(file string) {
	t.Helper()
	write := func(p *offline.Profile) func(string) { return func(file string) { writeProfile(t, file, p) } }
	other, columns := doubleProfile(t, 0, 1), doubleProfile(t, 0, 1)
	other.Model = "triple"
	columns.Features[2].Element = 7
	return map[string]func(string){
		"it is for model 'triple'":                               write(other),
		"it is for version 9":                                    write(doubleProfile(t, 9, 1)),
		"element 7 of input 'x' does not exist: its rows have 3": write(columns),
		"there is no such file":                                  func(file string) { must(t, os.Remove(file)) },
		"it is not a regular file":                               func(file string) { must(t, errors.Join(os.Remove(file), os.Symlink(t.TempDir(), file))) },
		"the profile is incomplete: it ends after 1000 bytes":    func(file string) { must(t, os.Truncate(file, 1000)) },
		"the file is not a profile":                              func(file string) { must(t, os.WriteFile(file, []byte("[1, 2]"), 0o600)) },
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestStartWithAWrongProfile: the gateway serves, and says why nothing is compared.
func TestStartWithAWrongProfile(t *testing.T) {
	for want, spoil := range wrongProfiles(t) {
		d := newDrifts(t, 1)
		spoil(d.profile)
		d.start(t, d.compared())
		d.feed(t, "double", 10, nil)
		s := d.stream(t, 1, api.RoleDefault)
		if s.State != api.DriftOff || !strings.Contains(s.Reason, want) || strings.Contains(s.Reason, os.TempDir()) {
			t.Errorf("%+v, want %q", s, want)
		}
		writeProfile(t, d.profile, doubleProfile(t, 0, 1))
		d.must(t, http.MethodPost, d.admin+"/-/reload", "")
		d.feed(t, "double", 10, nil)
		if s := d.counted(t, 1, api.RoleDefault, 10); s.State != api.DriftUnjudged || s.Reason != "" || s.ReferenceRows != 2000 || s.Features != 6 {
			t.Errorf("%+v", s)
		}
		must(t, d.stop())
	}
}

// TestReloadWithAWrongProfile: the reload is refused, and the comparison stays the same, also
// if a route is edited afterwards.
func TestReloadWithAWrongProfile(t *testing.T) {
	d := newDrifts(t, 2)
	d.start(t, d.compared(), "routes: {double: {variants: [{version: 1, weight: 100%}]}}")
	d.feed(t, "double", 30, nil)
	digest := d.counted(t, 1, api.RoleStable, 30).ProfileDigest
	for want, spoil := range wrongProfiles(t) {
		writeProfile(t, d.profile, doubleProfile(t, 0, 1))
		spoil(d.profile)
		status, body := d.call(t, http.MethodPost, d.admin+"/-/reload", "")
		if status != http.StatusBadRequest || !strings.Contains(body, "models.double.drift.profile: ") || !strings.Contains(body, want) ||
			!strings.Contains(body, "nothing was applied") {
			t.Errorf("%d %s, want %q", status, body, want)
		}
		d.set(t, "double", `{"variants":[{"version":1,"weight":10000}]}`)
		if s := d.stream(t, 1, api.RoleStable); s.State != api.DriftUnjudged || s.Waiting != 30 || s.ProfileDigest != digest {
			t.Errorf("%q: %+v", want, s)
		}
	}
	d.feed(t, "double", 10, nil)
	d.counted(t, 1, api.RoleStable, 40)
}

// TestReloadOfAProfile: another profile takes effect, the same one changes nothing, and without
// one nothing is compared any more.
func TestReloadOfAProfile(t *testing.T) {
	d := newDrifts(t, 1)
	d.start(t, d.compared())
	d.feed(t, "double", 30, nil)
	first := d.counted(t, 1, api.RoleDefault, 30)
	writeProfile(t, d.profile, doubleProfile(t, 0, 1))
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if s := d.stream(t, 1, api.RoleDefault); s.ProfileDigest != first.ProfileDigest || s.Waiting != 30 {
		t.Errorf("the same again: %+v", s)
	}
	writeProfile(t, d.profile, doubleProfile(t, 0, 2))
	if s := d.stream(t, 1, api.RoleDefault); s.ProfileDigest != first.ProfileDigest {
		t.Errorf("before the reload: %+v", s)
	}
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if s := d.stream(t, 1, api.RoleDefault); s.ProfileDigest == first.ProfileDigest || s.Waiting != 0 {
		t.Errorf("another one: %+v", s)
	}
	d.feed(t, "double", 10, nil)
	d.counted(t, 1, api.RoleDefault, 10)
	d.configure(t, d.dir, "models: {double: {"+fakeModels+"}}")
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if list := d.status(t); len(list) != 0 {
		t.Errorf("without one: %+v", list)
	}
	d.feed(t, "double", 10, nil)
	must(t, errors.Join(os.Remove(d.profile), d.stop()))
}

// TestProfileOfOneVersion: the other version is not compared, and the profile is not refused.
func TestProfileOfOneVersion(t *testing.T) {
	d := newDrifts(t, 2)
	writeProfile(t, d.profile, doubleProfile(t, 1, 1))
	d.start(t, d.compared(), "routes: {double: {variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}], sticky: {header: User}}}")
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if s := d.stream(t, 1, api.RoleStable); s.State != api.DriftUnjudged {
		t.Errorf("%+v", s)
	}
	if s := d.stream(t, 2, api.RoleCanary); s.State != api.DriftOff || !strings.Contains(s.Reason, "it is for version 1") {
		t.Errorf("%+v", s)
	}
}

// Two versions answer differently while nothing drifts: outputs that one of them computed are
// compared only with its own, inputs with both.
func TestProfileWithOutputsOfOneVersion(t *testing.T) {
	d := newDrifts(t, 2)
	p := doubleProfile(t, 0, 1)
	p.OutputsOf = 1
	writeProfile(t, d.profile, p)
	d.start(t, d.compared(), "routes: {double: {variants: [{version: 1, weight: 5000}, {version: 2, weight: 5000, role: canary}]}}")
	if s := d.stream(t, 1, api.RoleStable); s.Features != 6 {
		t.Errorf("the version that computed them: %+v", s)
	}
	if s := d.stream(t, 2, api.RoleCanary); s.State != api.DriftUnjudged || s.Features != 3 {
		t.Errorf("the version that did not: %+v", s)
	}
	d.feed(t, "double", 4*driftRows, nil)
	d.until(t, 2, api.RoleCanary, func(s api.DriftStatus) bool { return s.Windows > 0 })
	if s := d.stream(t, 2, api.RoleCanary); s.State != "OK" {
		t.Errorf("clean rows: %+v", s)
	}
	d.feed(t, "double", 6*driftRows, func(row []float64) { row[1]++ })
	s := d.until(t, 2, api.RoleCanary, func(s api.DriftStatus) bool { return s.State == "DETECTED" })
	if s.Last.Features[0].Feature != "x[1]" || len(s.Last.Features) != 3 {
		t.Errorf("%+v", s.Last.Features)
	}
	var events []api.Event
	eventually(t, func() bool { // the event is written after the state is known
		err := json.Unmarshal([]byte(d.must(t, http.MethodGet, d.admin+"/api/v1/journal?subject=drift/double/2/canary", "")), &events)
		return err == nil && len(events) > 0
	})
	var e api.DriftEvidence
	if err := json.Unmarshal(events[0].After, &e); err != nil {
		t.Fatal(err)
	}
	if r, err := offline.ReplayDrift(p, &e); err != nil || !r.Same {
		t.Errorf("judged again: %+v %v", r, err)
	}
}
