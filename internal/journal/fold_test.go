package journal_test

import (
	"errors"
	"fmt"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

// counter is a fold that counts events.
type counter int

func (c *counter) Apply(e api.Event) error {
	if *c++; int64(*c) != e.Seq {
		return fmt.Errorf("event %d is the fold's %d", e.Seq, *c)
	}
	return nil
}

func (c *counter) Snapshot() ([]byte, error) { return fmt.Append(nil, int(*c)), nil }

func (c *counter) Restore(state []byte) error {
	var n int
	_, err := fmt.Sscan(string(state), &n)
	*c = counter(n)
	return err
}

func count(name string) func() journal.NamedFold {
	return func() journal.NamedFold { return journal.NamedFold{Name: name, Fold: new(counter)} }
}

// failing is a fold that can fail, and counts its calls.
type failing struct {
	apply, snapshot, restore error
	applied, restored        int
}

func (f *failing) Apply(api.Event) error     { f.applied++; return f.apply }
func (f *failing) Snapshot() ([]byte, error) { return []byte("state"), f.snapshot }
func (f *failing) Restore([]byte) error      { f.restored++; return f.restore }

func TestRestore(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	add(t, l, 25)
	good := func(name string, version uint32, fold *failing) journal.NamedFold {
		return journal.NamedFold{Name: name, Version: version, Fold: fold}
	}
	made := func() journal.NamedFold { return good("a", 1, &failing{}) }
	restore := func(version uint32, fold *failing, restored, applied int) {
		t.Helper()
		beside := new(counter) // has no snapshot in the beginning
		err := l.Restore([]journal.NamedFold{good("a", version, fold), {Name: "counter", Fold: beside}})
		if err != nil || int64(*beside) != l.Last() || fold.restored != restored || fold.applied != applied {
			t.Errorf("restored %d times, applied %d events, want %d and %d; the fold beside it %d; %v",
				fold.restored, fold.applied, restored, applied, *beside, err)
		}
	}
	restore(1, &failing{}, 0, 25) // no cut yet, so there is no snapshot
	cut(t, cutter(l, 10, made))
	restore(1, &failing{}, 1, 15) // stores snapshots at event 25, since the counter read archived events
	restore(1, &failing{}, 1, 0)
	restore(1, &failing{restore: errors.New("no")}, 1, 25)
	add(t, l, 2)
	restore(1, &failing{}, 1, 2)
	restore(2, &failing{}, 0, 27)
	restore(2, &failing{}, 1, 0)
	broken := errors.New("broken")
	if err := l.Restore([]journal.NamedFold{good("b", 1, &failing{apply: broken})}); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := l.Restore(nil); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	restore(2, &failing{}, 1, 0)
	memory := journal.Memory()
	add(t, memory, 5)
	fold := count("x")()
	if err := memory.Restore([]journal.NamedFold{fold}); err != nil || *fold.Fold.(*counter) != 5 {
		t.Errorf("in memory: %d, %v", *fold.Fold.(*counter), err)
	}
}
