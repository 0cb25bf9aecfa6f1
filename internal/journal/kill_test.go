//go:build unix && !race

package journal_test

import (
	"bufio"
	"errors"
	"math/rand/v2"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"sluice.io/sluice/internal/journal"
)

// TestKill kills a process that appends, at random moments, also while it creates or opens
// the file. All acknowledged events must be there, and at most one that was not
// acknowledged. The test does not run under the race detector, which cannot report on a
// process that was killed.
func TestKill(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	var dir string
	var last, acknowledged, unknown int64
	segments := 0 // the max of one journal
	for i := range kills {
		if i%10 == 0 {
			dir, last = t.TempDir(), 0
		}
		told := kill(t, r, dir, last)
		l, err := journal.Open(dir)
		if err != nil {
			t.Fatalf("after kill %d: %v", i+1, err)
		}
		if n := l.Last(); n < told || n > told+1 {
			t.Fatalf("after kill %d: Last is %d, the last one acknowledged was %d", i+1, n, told)
		}
		wantEvents(t, l, l.Last())
		verified(t, l)
		n, _ := journal.Segments(l)
		fold := count("events")()
		if err := l.Restore([]journal.NamedFold{fold}); err != nil || int64(*fold.Fold.(*counter)) != l.Last() {
			t.Fatalf("after kill %d: %d events folded, %v", i+1, *fold.Fold.(*counter), err)
		}
		segments = max(segments, n)
		acknowledged, unknown = acknowledged+told-last, unknown+l.Last()-told
		last = l.Last()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d events acknowledged, %d more found, up to %d segments", kills, acknowledged, unknown, segments)
	if segments < 3 {
		t.Errorf("only %d segments", segments)
	}
	if acknowledged < int64(kills) {
		t.Errorf("only %d events in %d kills", acknowledged, kills)
	}
}

// kill starts a child that appends after event last, kills it, and returns the last number
// that the child printed.
func kill(t *testing.T, r *rand.Rand, dir string, last int64) int64 {
	t.Helper()
	cmd := child(t, "append", dir)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() { _ = cmd.Process.Kill() } // it may have been killed already
	if r.IntN(4) == 0 {                       // sometimes before it has started
		timer := time.AfterFunc(time.Duration(r.IntN(30))*time.Millisecond, stop)
		defer timer.Stop()
	}
	told, until := last, last+1+r.Int64N(20)
	numbers(t, bufio.NewScanner(pipe), func(seq int64) {
		if seq != told+1 {
			t.Errorf("event %d was acknowledged after %d", seq, told)
		}
		if told = seq; seq == until { // at a random moment during one of the next events
			timer := time.AfterFunc(time.Duration(r.IntN(3000))*time.Microsecond, stop)
			t.Cleanup(func() { timer.Stop() })
		}
	})
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return told
}
