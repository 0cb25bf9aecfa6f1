package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

// beside returns the path of the profile beside a version of "double".
func (d *drifts) beside(version int) string {
	return filepath.Join(d.dir, "double", strconv.Itoa(version), "profile.json")
}

// described is the description of a version of "double".
func (d *drifts) described(t *testing.T, version int64) api.ModelStatus {
	t.Helper()
	var list []api.ModelStatus
	if err := json.Unmarshal([]byte(d.must(t, http.MethodGet, d.admin+"/api/v1/models/double", "")), &list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Version == version && m.Detail != nil {
			return m
		}
	}
	t.Fatalf("%+v", list)
	return api.ModelStatus{}
}

// versionEvents counts the events about versions of models.
func (d *drifts) versionEvents(t *testing.T) (n int) {
	t.Helper()
	for _, e := range d.journal(t, 0) {
		if strings.HasPrefix(e.Type, "version.") {
			n++
		}
	}
	return n
}

const besideDouble = "models: {double: {" + fakeModels + ", drift: {rows: 400, calibration: {unpromised: ask}}}}"

// TestProfileBesideAVersion: a profile beside a version is used without a setting. A new one
// takes effect at the next reload, which does not load the version again. The setting takes
// precedence.
func TestProfileBesideAVersion(t *testing.T) {
	d := newDrifts(t, 1)
	writeProfile(t, d.beside(1), doubleProfile(t, 1, 1))
	d.start(t, besideDouble)
	d.feed(t, "double", 30, nil)
	first, loaded := d.counted(t, 1, api.RoleDefault, 30), d.described(t, 1)
	if p := loaded.Detail.Profile; first.ProfileFrom != api.ProfileFromVersion || p == nil || p.From != api.ProfileFromVersion || p.Digest != first.ProfileDigest || p.Reason != "" || p.Digest == "" {
		t.Fatalf("%+v, %+v", first, p)
	}
	events := d.versionEvents(t)
	unloaded := func(what string) {
		t.Helper()
		now := d.described(t, 1)
		if !now.LoadedAt.Equal(*loaded.LoadedAt) || now.Digest != loaded.Digest || d.versionEvents(t) != events {
			t.Errorf("%s: the version was loaded again: %+v, then %+v", what, loaded, now)
		}
	}
	must(t, os.WriteFile(filepath.Join(d.dir, "double", "1", "readme.md"), []byte("a note"), 0o600))
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if s := d.stream(t, 1, api.RoleDefault); s.Waiting != 30 {
		t.Errorf("a note takes the window: %+v", s)
	}
	unloaded("a note")
	renamed := doubleProfile(t, 1, 2)
	renamed.Features[0].Name = "left"
	writeProfile(t, d.beside(1), renamed)
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	second := d.stream(t, 1, api.RoleDefault)
	if second.ProfileDigest == first.ProfileDigest || second.Waiting != 0 {
		t.Errorf("a new profile: %+v", second)
	}
	unloaded("a new profile")
	if got := d.predictions(t, "/v2/models/double/predict", "application/json", `[{"left":3,"x[1]":1,"x[2]":2}]`); len(got) != 1 {
		t.Errorf("the columns are still named as before: %v", got)
	}

	must(t, os.WriteFile(d.beside(1), []byte("{"), 0o600)) // a reload is not refused for it
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if s := d.stream(t, 1, api.RoleDefault); s.State != api.DriftOff || !strings.Contains(s.Reason, "incomplete") || s.ProfileFrom != api.ProfileFromVersion {
		t.Errorf("a broken one: %+v", s)
	}
	if p := d.described(t, 1).Detail.Profile; p == nil || !strings.Contains(p.Reason, "incomplete") {
		t.Errorf("a broken one: %+v", p)
	}
	d.configure(t, d.dir, d.compared())
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if s := d.stream(t, 1, api.RoleDefault); s.ProfileFrom != api.ProfileFromConfig || s.State != api.DriftUnjudged {
		t.Errorf("the setting wins: %+v", s)
	}
	d.configure(t, d.dir, "models: {double: {"+fakeModels+", drift: {profile: none}}}")
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if list := d.status(t); len(list) != 0 || d.described(t, 1).Detail.Profile != nil {
		t.Errorf("none: %+v", list)
	}
	d.configure(t, d.dir, besideDouble)
	must(t, os.Remove(d.beside(1)))
	d.must(t, http.MethodPost, d.admin+"/-/reload", "")
	if list := d.status(t); len(list) != 0 {
		t.Errorf("without a file: %+v", list)
	}
	unloaded("without a file")
}

// TestPollFindsProfiles: each version has a profile of its own.
func TestPollFindsProfiles(t *testing.T) {
	d := newDrifts(t, 2)
	d.start(t, "repository.control: poll", "repository.poll_interval: 100ms", besideDouble,
		"routes: {double: {variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}]}}")
	loaded, events := d.described(t, 1), d.versionEvents(t)
	if list := d.status(t); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	digests := map[string]bool{}
	for seed := range uint64(2) {
		for version := range 2 {
			writeProfile(t, d.beside(version+1), doubleProfile(t, int64(version+1), 1+2*seed+uint64(version)))
		}
		for version, role := range map[int64]string{1: api.RoleStable, 2: api.RoleCanary} {
			eventually(t, func() bool {
				for _, s := range d.status(t) {
					if s.Version == version && s.Role == role && s.State == api.DriftUnjudged && !digests[s.ProfileDigest] {
						digests[s.ProfileDigest] = true
						return true
					}
				}
				return false
			})
		}
	}
	if now := d.described(t, 1); !now.LoadedAt.Equal(*loaded.LoadedAt) || d.versionEvents(t) != events {
		t.Errorf("loaded again: %+v, %+v", loaded, now)
	}
}
