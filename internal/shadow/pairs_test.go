package shadow_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/shadow"
)

func (m *mirror) wantHeld(pairs int, bytes int64) {
	m.t.Helper()
	synctest.Wait()
	if n, b := m.Kept(); n != pairs || b != bytes {
		m.t.Errorf("%d results of %d bytes are kept, want %d of %d", n, b, pairs, bytes)
	}
}

func TestPairsAreBoundedByCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, answers, func(o *shadow.Options) { o.KeepPairs = 3 })
		m.wantKept()
		for i := range 5 {
			m.offer(fmt.Sprint("r", i), 1)
		}
		m.wantKept("r2", "r3", "r4")
		m.wantHeld(3, 18)
	})
}

func TestNoPairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, answers, func(o *shadow.Options) { o.KeepPairs = 0 })
		m.offer("a", 1)
		m.wantHeld(0, 0)
		m.got.want(t, drops{}, codes{infer.OK: 1})
	})
}

func TestPairsAreBoundedByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, func(_ context.Context, req *infer.Request) (*infer.Response, error) {
			return respond(len(req.Inputs[0].Data), 9), nil
		}, func(o *shadow.Options) { o.KeepBytes = 50 })
		m.offer("a", 10) // 3 bytes of the primary's outputs and 10
		m.offer("b", 10)
		m.wantHeld(2, 26)
		m.offer("c", 30)
		m.wantKept("b", "c")
		m.wantHeld(2, 46)
		m.offer("too large", 48) // alone; it displaces nothing
		m.wantKept("b", "c")
		m.offer("d", 47)
		m.wantKept("d")
		m.wantHeld(1, 50)
	})
}

func TestPairsAreBoundedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, answers, func(o *shadow.Options) { o.KeepFor = 10 * time.Second })
		time.Sleep(3 * time.Second)
		m.offer("a", 1)
		time.Sleep(4 * time.Second)
		m.offer("b", 1)
		time.Sleep(6*time.Second - ms)
		m.wantKept("a", "b")
		time.Sleep(ms)
		m.wantHeld(1, 6) // even if Pairs is not called
		m.wantKept("b")
		time.Sleep(4 * time.Second)
		m.wantHeld(0, 0)
	})
}

// Listed pairs do not change.
func TestListedPairsDoNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, answers, func(o *shadow.Options) { o.KeepPairs = 1 })
		m.offer("a", 1)
		listed := m.Pairs()
		m.offer("b", 1)
		if p := listed[0]; p.RequestID != "a" || string(p.ShadowOutputs[0].Data) != "\x09\x09\x09" {
			t.Errorf("the listed pair has become %+v", p)
		}
		m.wantKept("b")
	})
}
