package router_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

type loaded struct {
	retired bool
	leases  int
	calls   int
	resp    *infer.Response
	err     error
	onCall  func()
}

func (i *loaded) Predict(context.Context, *infer.Request) (*infer.Response, error) {
	i.calls++
	if i.onCall != nil {
		i.onCall()
	}
	if i.err != nil {
		return nil, i.err
	}
	return i.resp, nil
}

func (i *loaded) Acquire() bool {
	if i.retired {
		return false
	}
	i.leases++
	return true
}
func (i *loaded) Release() { i.leases-- }

func target(n int64, i *loaded) *router.Target {
	spec := []infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{1}}}
	return &router.Target{Model: infer.NewModel("iris", n, spec, nil), Leased: i}
}

// entry is the model iris without a route, served by the newest of the targets.
func entry(targets ...*router.Target) *router.Entry {
	newest := slices.MaxFunc(targets, func(a, b *router.Target) int { return cmp.Compare(a.Model.Version, b.Model.Version) })
	return &router.Entry{Name: "iris", Model: "iris", Targets: targets, Default: newest}
}

func request(name string, version int64) *infer.Request {
	return &infer.Request{Model: name, Version: version, Inputs: []infer.Tensor{{Name: "x", DType: infer.FP32, Shape: infer.Shape{1}, Data: make([]byte, 4)}}}
}

func TestNewestServesAndPinPins(t *testing.T) {
	one, ten, two := &loaded{}, &loaded{}, &loaded{}
	r := router.New()
	r.Swap(router.NewTable([]*router.Entry{entry(target(1, one), target(10, ten), target(2, two))}))
	f := func(version int64, hit *loaded, want infer.Served) {
		t.Helper()
		before := hit.calls
		req := request("iris", version)
		if _, err := r.Predict(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if hit.calls != before+1 || hit.leases != 0 {
			t.Errorf("version %d: %d calls, %d leases left", version, hit.calls, hit.leases)
		}
		if req.Served != want {
			t.Errorf("served %+v, want %+v", req.Served, want)
		}
	}
	served := func(n int64, reason infer.Reason) infer.Served {
		return infer.Served{Version: infer.Version{Model: "iris", Number: n}, Route: "iris@0", Reason: reason}
	}
	f(0, ten, served(10, infer.ReasonDefault))
	f(2, two, served(2, infer.ReasonPinned))
	f(1, one, served(1, infer.ReasonPinned))
}

func TestRefusals(t *testing.T) {
	r := router.New()
	r.Swap(router.NewTable([]*router.Entry{
		entry(target(1, &loaded{})),
		{Name: "broken"},
		{Name: "soon", Loading: true},
		{Name: "failed", Failed: []int64{3}},
		{Name: "failures", Failed: []int64{2, 1}},
	}))
	f := func(name string, version int64, code infer.Code, want string) {
		t.Helper()
		_, err := r.Predict(t.Context(), request(name, version))
		if infer.CodeOf(err) != code || !strings.HasPrefix(infer.Message(err), want) {
			t.Errorf("got %v %v, want %v %q", infer.CodeOf(err), err, code, want)
		}
		if _, merr := r.Model(name, version); merr == nil || merr.Error() != err.Error() {
			t.Errorf("Model says %v, Predict %v", merr, err)
		}
	}
	f("nope", 0, infer.NotFound, "Request for unknown model: 'nope' is not found")
	f("nope", 3, infer.NotFound, "Request for unknown model: 'nope' version 3 is not found")
	f("iris", 9, infer.NotFound, "Request for unknown model: 'iris' version 9 is not found")
	f("broken", 0, infer.NotFound, "Request for unknown model: 'broken' has no available versions")
	const why = " failed to load: the repository index, gateway models list, and the log say why"
	f("failed", 0, infer.NotFound, "Request for unknown model: 'failed' has no available versions; version 3"+why)
	f("failed", 3, infer.NotFound, "Request for unknown model: 'failed' has no available versions; it"+why)
	f("failures", 0, infer.NotFound, "Request for unknown model: 'failures' has no available versions; version 2 and others"+why)
	f("soon", 0, infer.Unavailable, "model 'soon' is loading")
}

func TestOnly(t *testing.T) {
	r := router.New()
	f := func(want string, entries ...*router.Entry) {
		t.Helper()
		r.Swap(router.NewTable(entries))
		if got := r.Only(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	named := func(name string) *router.Entry {
		e := entry(target(1, &loaded{}))
		e.Name = name
		return e
	}
	f("")
	f("a", named("a"))
	f("a", named("a"), &router.Entry{Name: "broken"}, &router.Entry{Name: "absent"})
	f("", named("a"), named("b"))
	f("", named("a"), &router.Entry{Name: "soon", Loading: true}) // otherwise the result would change for a while
	f("soon", &router.Entry{Name: "soon", Loading: true})
	f("", &router.Entry{Name: "broken"})
}

func TestCalledTellsTheColumns(t *testing.T) {
	one, two := target(1, &loaded{}), target(2, &loaded{})
	for _, tg := range []*router.Target{one, two} {
		var err error
		if tg.Columns, err = infer.NewColumns(tg.Model, nil); err != nil {
			t.Fatal(err)
		}
	}
	r := router.New()
	r.Swap(router.NewTable([]*router.Entry{entry(one, two)}))
	for version, want := range map[int64]*infer.Columns{0: two.Columns, 1: one.Columns, 2: two.Columns} {
		if called, err := r.Called("iris", version); err != nil || called.Columns != want {
			t.Errorf("version %d: %v, %v", version, called, err)
		}
	}
}

func TestServedStandsOnErrors(t *testing.T) {
	i := &loaded{err: infer.Errorf(infer.Overloaded, "full")}
	r := router.New()
	tg := target(1, i)
	var codes []infer.Code
	tg.Observe = func(_ *infer.Request, err error, _ time.Duration) { codes = append(codes, infer.CodeOf(err)) }
	r.Swap(router.NewTable([]*router.Entry{entry(tg)}))
	req := request("iris", 0)
	if _, err := r.Predict(t.Context(), req); infer.CodeOf(err) != infer.Overloaded || req.Served.Version.Number != 1 {
		t.Errorf("%v, served %+v", err, req.Served)
	}
	req = request("iris", 0)
	req.Inputs[0].DType = infer.FP64
	if _, err := r.Predict(t.Context(), req); infer.CodeOf(err) != infer.Invalid || req.Served.Version.Number != 1 {
		t.Errorf("%v, served %+v", err, req.Served)
	}
	if i.calls != 1 || len(codes) != 2 || codes[0] != infer.Overloaded || codes[1] != infer.Invalid {
		t.Errorf("%d calls, codes %v", i.calls, codes)
	}
}

// swapping is retired between pick and lease, as by a reload.
type swapping struct {
	loaded
	then func()
}

func (s *swapping) Acquire() bool { s.then(); return false }

func TestRetiredBetweenPickAndLease(t *testing.T) {
	r := router.New()
	fresh := &loaded{}
	old := &swapping{then: func() {
		r.Swap(router.NewTable([]*router.Entry{entry(target(2, fresh))}))
	}}
	r.Swap(router.NewTable([]*router.Entry{entry(&router.Target{Model: target(1, nil).Model, Leased: old})}))
	req := request("iris", 0)
	if _, err := r.Predict(t.Context(), req); err != nil || req.Served.Version.Number != 2 {
		t.Errorf("%v, served %+v", err, req.Served)
	}
	fresh.retired = true
	if _, err := r.Predict(t.Context(), request("iris", 0)); infer.CodeOf(err) != infer.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestPanicReleasesTheLease(t *testing.T) {
	i := &loaded{onCall: func() { panic("model") }}
	r := router.New()
	r.Swap(router.NewTable([]*router.Entry{entry(target(1, i))}))
	func() {
		defer func() { _ = recover() }()
		_, _ = r.Predict(t.Context(), request("iris", 0))
	}()
	if i.leases != 0 {
		t.Errorf("%d leases left after a panic", i.leases)
	}
}

// A handle from before the body arrived saves a look-up, and is not used after the table
// changes.
func TestHandles(t *testing.T) {
	old, fresh := &loaded{}, &loaded{}
	r := router.New()
	r.Swap(router.NewTable([]*router.Entry{entry(target(1, old))}))
	called, err := r.Called("iris", 0)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name string) {
		t.Helper()
		req := request(name, 0)
		req.Handle = called.Handle
		if _, err := r.Predict(t.Context(), req); err != nil {
			t.Error(err)
		}
	}
	ask("not looked up")
	r.Swap(router.NewTable([]*router.Entry{entry(target(2, fresh))}))
	ask("iris")
	if old.calls != 1 || fresh.calls != 1 {
		t.Errorf("the old version served %d times, the new one %d times", old.calls, fresh.calls)
	}
}
