package callers_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// limited returns the caller "a" with limits.
func limited(tb testing.TB, limits ...callers.Limit) (*callers.Book, *callers.Caller) {
	tb.Helper()
	b := relimited(tb, nil, limits...)
	c, err := b.Identify(bearer("key"))
	if err != nil {
		tb.Fatal(err)
	}
	return b, c
}

func relimited(tb testing.TB, before *callers.Book, limits ...callers.Limit) *callers.Book {
	tb.Helper()
	m := member("a", "key", rule(callers.All, "*"))
	m.Limits = limits
	b, err := callers.New(callers.Options{Callers: []callers.Member{m}, Counters: callers.NewCounters(10)}, before)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func refused(t *testing.T, err error, code infer.Code, after time.Duration, text string) {
	t.Helper()
	e, _ := err.(*infer.Error) //nolint:errorlint // the package returns nothing else
	if e == nil || e.Code != code || e.RetryAfter != after || !strings.Contains(e.Msg, text) {
		t.Errorf("got %v, want %v after %v with %q", err, code, after, text)
	}
}

func TestRequestsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := limited(t, callers.Limit{Models: []string{"x-*"}, RequestsPerSecond: 0.5, Burst: 2})
		admit := func(model string) error {
			_, err := c.Admit(model, time.Now())
			return err
		}
		for range 2 {
			if err := admit("x-1"); err != nil {
				t.Error(err)
			}
		}
		refused(t, admit("x-2"), infer.Overloaded, 2*time.Second, "caller 'a' sends more than 0.5 requests a second (requests_per_second) on models x-*: retry in 2s")
		if err := admit("y"); err != nil {
			t.Errorf("another model: %v", err)
		}
		if err := admit(""); err != nil {
			t.Errorf("no model: %v", err)
		}
		time.Sleep(2 * time.Second)
		if err := admit("x-3"); err != nil {
			t.Error(err)
		}
		refused(t, admit("x-3"), infer.Overloaded, 2*time.Second, "")
	})
}

// A request that one limit refuses uses up nothing of another.
func TestTwoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := limited(t, callers.Limit{Models: []string{"*"}, RequestsPerSecond: 1, Burst: 3}, callers.Limit{Models: []string{"x"}, RequestsPerSecond: 1, Burst: 1})
		if _, err := c.Admit("x", time.Now()); err != nil {
			t.Error(err)
		}
		for range 10 {
			_, err := c.Admit("x", time.Now())
			refused(t, err, infer.Overloaded, time.Second, "on models x")
		}
		for range 2 {
			if _, err := c.Admit("y", time.Now()); err != nil {
				t.Error(err)
			}
		}
		_, err := c.Admit("y", time.Now())
		refused(t, err, infer.Overloaded, time.Second, "(requests_per_second): retry")
	})
}

func TestRowsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := limited(t, callers.Limit{Models: []string{"*"}, RowsPerSecond: 10, RowsBurst: 20})
		p, err := c.Admit("x", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		refused(t, p.Rows(21), infer.TooLarge, 0, "the request has 21 rows, and caller 'a' may send at most 20 at once (rows_burst): send fewer rows in a request")
		if err := p.Rows(20); err != nil {
			t.Error(err)
		}
		refused(t, p.Rows(5), infer.Overloaded, 500*time.Millisecond, "more than 10 rows a second (rows_per_second)")
		time.Sleep(500 * time.Millisecond)
		if err := p.Rows(5); err != nil {
			t.Error(err)
		}
	})
}

func TestBytesInFlight(t *testing.T) {
	_, c := limited(t, callers.Limit{Models: []string{"*"}, BytesInFlight: 100}, callers.Limit{Models: []string{"x", "y"}, BytesInFlight: 50})
	pass := func(model string) callers.Pass {
		p, err := c.Admit(model, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	x, z := pass("x"), pass("z")
	if err := x.Take(40, 40); err != nil {
		t.Fatal(err)
	}
	refused(t, x.Take(20, 60), infer.TooLarge, 0, "more than the 50 bytes of caller 'a' (bytes_in_flight) on models x, y")
	refused(t, x.Take(20, 20), infer.Overloaded, 0, "use all of its 50 bytes")
	if err := z.Take(60, 60); err != nil { // refused bytes were given back
		t.Fatal(err)
	}
	refused(t, z.Take(1, 61), infer.Overloaded, 0, "use all of its 100 bytes (bytes_in_flight): retry")
	x.Give(40)
	z.Give(60)
	if err := x.Take(50, 50); err != nil {
		t.Error(err)
	}
	x.Give(50)
	var none callers.Pass
	if err := none.Take(1<<60, 1<<60); err != nil {
		t.Error(err)
	}
	none.Give(1 << 60)
}

// A reload keeps what is used of limits that did not change, also for callers that only tokens name.
func TestLimitsSurviveAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		once := callers.Limit{Models: []string{"*"}, RequestsPerSecond: 1, Burst: 1}
		admit := func(b *callers.Book, key string) error {
			c, err := b.Identify(bearer(key))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Admit("x", time.Now())
			return err
		}
		b := relimited(t, nil, once)
		if err := admit(b, "key"); err != nil {
			t.Fatal(err)
		}
		b = relimited(t, b, callers.Limit{Models: []string{"x"}, BytesInFlight: 1 << 20}, once)
		refused(t, admit(b, "key"), infer.Overloaded, time.Second, "")
		changed := once
		changed.Burst = 2
		b = relimited(t, b, changed)
		if err := admit(b, "key"); err != nil {
			t.Errorf("a changed limit: %v", err)
		}

		o := callers.Options{Verifier: tokens{}, Groups: map[string]callers.Grant{"g": {Limits: []callers.Limit{once}}}}
		b = book(t, o)
		if err := admit(b, "i.s.g"); err != nil {
			t.Fatal(err)
		}
		b, err := callers.New(o, b)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, admit(b, "i.s.g"), infer.Overloaded, time.Second, "caller 'jwt:s'")
		if err := admit(b, "i.another.g"); err != nil {
			t.Errorf("another subject: %v", err)
		}
	})
}

func TestCounters(t *testing.T) {
	counters := callers.NewCounters(2)
	names := []string{"a", "b", "c", "d"}
	var o callers.Options
	for _, name := range names {
		o.Callers = append(o.Callers, member(name, name+"-key"))
	}
	o.Counters = counters
	b := book(t, o)
	for _, name := range names {
		c, err := b.Identify(bearer(name + "-key"))
		if err != nil {
			t.Fatal(err)
		}
		c.Count(infer.OK)
		c.Count(infer.NotFound)
	}
	all := counters.All()
	if len(all) != 3 || all["a"].Requests[infer.OK].Load() != 1 || all["other"].Requests[infer.NotFound].Load() != 2 {
		t.Errorf("%v", all)
	}
	var nobody *callers.Caller
	nobody.Count(infer.OK)
}

func TestDecisionsDoNotAllocate(t *testing.T) {
	_, c := limited(t, callers.Limit{Models: []string{"*"}, RequestsPerSecond: 1e9, Burst: 1e9, RowsPerSecond: 1e9, RowsBurst: 1e9, BytesInFlight: 1 << 30})
	b, _ := limited(t)
	shown := bearer("key")
	need := callers.Need{Action: callers.Infer, Scope: callers.Model}
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := b.Authorize(shown, need, "model"); err != nil {
			t.Fatal(err)
		}
		p, err := c.Admit("model", now)
		if err != nil || p.Rows(3) != nil || p.Take(100, 100) != nil {
			t.Fatal(err)
		}
		p.Give(100)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkDecision is what a request pays for access control: who, may it, and its limits.
func BenchmarkDecision(b *testing.B) {
	need := callers.Need{Action: callers.Infer, Scope: callers.Model}
	run := func(name string, shown callers.Credentials, limits ...callers.Limit) {
		b.Run(name, func(b *testing.B) {
			book, _ := limited(b, limits...)
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				c, err := book.Authorize(shown, need, "model")
				if err != nil {
					b.Fatal(err)
				}
				p, err := c.Admit("model", now)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Take(1<<14, 1<<14); err != nil {
					b.Fatal(err)
				}
				p.Give(1 << 14)
				c.Count(infer.OK)
			}
		})
	}
	key := bearer("key")
	run("anonymous", callers.Credentials{})
	run("key", key)
	run("key and requests", key, callers.Limit{Models: []string{"*"}, RequestsPerSecond: 1e9, Burst: 1e9})
	run("key, requests and bytes", key, callers.Limit{Models: []string{"*"}, RequestsPerSecond: 1e9, Burst: 1e9, BytesInFlight: 1 << 30})
}
