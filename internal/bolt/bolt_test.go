package bolt_test

import (
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/internal/bolt"
)

var errRefused = errors.New("refused")

func open(t *testing.T) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "file"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestPanicsAreErrors(t *testing.T) {
	var g bolt.Guard
	db := open(t)
	_, err := g.Update(db, func(*bbolt.Tx) error { panic("damaged") }, func(*bbolt.Tx) bool { return false })
	if !errors.Is(err, bolt.ErrPanic) || !g.Panicked() {
		t.Errorf("got %v, panicked %v", err, g.Panicked())
	}
	if err := g.Call(func() error { t.Error("called after a panic"); return nil }); !errors.Is(err, bolt.ErrPanic) {
		t.Errorf("got %v", err)
	}
}

func TestUpdateSaysWhatIsNotKnown(t *testing.T) {
	f := func(name string, change error, made, want bool) {
		t.Helper()
		var g bolt.Guard
		db := open(t)
		defer db.Close() //nolint:errcheck // of a test
		broken, err := g.Update(db, func(*bbolt.Tx) error { return change }, func(*bbolt.Tx) bool { return made })
		if broken != want || !errors.Is(err, change) {
			t.Errorf("%s: broken %v, %v", name, broken, err)
		}
	}
	f("done", nil, true, false)
	f("failed", errRefused, false, false)
	f("failed, but visible", errRefused, true, true)

	var g bolt.Guard
	db := open(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if broken, err := g.Update(db, func(*bbolt.Tx) error { return nil }, func(*bbolt.Tx) bool { return false }); !broken || err == nil {
		t.Errorf("closed: broken %v, %v", broken, err)
	}
}
