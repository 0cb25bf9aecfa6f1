package shadow_test

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/shadow"
)

const ms = time.Millisecond

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func model() *infer.Model {
	spec := func(name string) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: infer.Uint8, Shape: infer.Shape{-1, -1}, Symbols: []string{"N", "T"}}
	}
	return infer.NewModel("iris", 3, []infer.TensorSpec{spec("a"), spec("b")}, []infer.TensorSpec{spec("y"), spec("z")})
}

// request asks for both outputs with two inputs of n bytes each.
func request(id string, n int) *infer.Request {
	in := func(name string, fill byte) infer.Tensor {
		t := infer.Tensor{Name: name, DType: infer.Uint8, Shape: infer.Shape{1, int64(n)}, Data: make([]byte, n)}
		for i := range t.Data {
			t.Data[i] = fill
		}
		return t
	}
	return &infer.Request{
		Model: "iris", RequestID: id, Inputs: []infer.Tensor{in("b", 2), in("a", 1)},
		Served: infer.Served{Version: infer.Version{Model: "iris", Number: 1}, Route: "iris@7", Reason: infer.ReasonSticky},
	}
}

// respond makes an answer of one output of n bytes.
func respond(n int, fill byte) *infer.Response {
	resp := infer.NewResponse()
	data := resp.Add("y", 0, infer.Uint8, infer.Shape{1, int64(n)}, n)
	for i := range data {
		data[i] = fill
	}
	return resp
}

// predictor is a shadow that calls f.
type predictor func(ctx context.Context, req *infer.Request) (*infer.Response, error)

func (f predictor) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	return f(ctx, req)
}

func answers(context.Context, *infer.Request) (*infer.Response, error) { return respond(3, 9), nil }

func hangs(ctx context.Context, _ *infer.Request) (*infer.Response, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// takes answers after d, whatever its context says.
func takes(d time.Duration) predictor {
	return func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
		time.Sleep(d)
		return answers(ctx, req)
	}
}

// recorder remembers the counts.
type recorder struct {
	mu      sync.Mutex
	dropped map[string]int
	codes   map[infer.Code]int
	elapsed []time.Duration
	pairs   []shadow.Pair // with copies of what they refer to
}

func newRecorder() *recorder {
	return &recorder{dropped: map[string]int{}, codes: map[infer.Code]int{}}
}

func (r *recorder) Dropped(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped[reason]++
}

func (r *recorder) Answered(p *shadow.Pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codes[infer.CodeOf(p.Err)]++
	r.elapsed = append(r.elapsed, p.ShadowElapsed)
	kept, req := *p, *p.Request
	kept.Request, kept.ShadowOutputs = &req, slices.Clone(p.ShadowOutputs)
	for i := range kept.ShadowOutputs {
		kept.ShadowOutputs[i].Data = bytes.Clone(kept.ShadowOutputs[i].Data)
	}
	r.pairs = append(r.pairs, kept)
}

type (
	drops map[string]int
	codes map[infer.Code]int
)

func (r *recorder) want(t *testing.T, d drops, c codes) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !maps.Equal(r.dropped, d) || !maps.Equal(r.codes, c) {
		t.Errorf("dropped %v, want %v; answered %v, want %v", r.dropped, d, r.codes, c)
	}
}

// counted is the total number of counted requests.
func (r *recorder) counted() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.dropped {
		n += k
	}
	for _, k := range r.codes {
		n += k
	}
	return n
}

// options are complete.
func options() shadow.Options {
	return shadow.Options{
		Version: infer.Version{Model: "iris", Number: 3}, Predictor: predictor(answers), Model: model(),
		MaxRequests: 100, MaxBytes: 64 << 20, MaxAge: 5 * time.Second, Timeout: 5 * time.Second, Concurrency: 8,
	}
}

// newMirror makes a mirror from valid options.
func newMirror(tb testing.TB, o shadow.Options) *shadow.Mirror {
	tb.Helper()
	m, err := shadow.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// mirror is one with a tap.
type mirror struct {
	*shadow.Mirror
	t   *testing.T
	tap *shadow.Tap
	got *recorder
	ran chan error // the result of Run
}

// build makes a mirror over p that is not running.
func build(t *testing.T, p predictor, change func(o *shadow.Options)) *mirror {
	t.Helper()
	o := options()
	o.Predictor = p
	if change != nil {
		change(&o)
	}
	m := &mirror{Mirror: newMirror(t, o), t: t, got: newRecorder(), ran: make(chan error, 1)}
	m.tap = m.Tap(m.got, shadow.Use{})
	return m
}

// start makes a mirror that runs until the test ends.
func start(t *testing.T, p predictor, change func(o *shadow.Options)) *mirror {
	t.Helper()
	m := build(t, p, change)
	m.run()
	t.Cleanup(func() {
		if err := m.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		m.wantEnded()
	})
	return m
}

func (m *mirror) run() {
	go func() { m.ran <- m.Run(context.Background()) }()
	synctest.Wait()
}

// wantEnded waits for Run and checks that nothing remains.
func (m *mirror) wantEnded() {
	m.t.Helper()
	if err := <-m.ran; err != nil {
		m.t.Errorf("Run: %v", err)
	}
	m.wantQueued(0, 0)
}

func (m *mirror) wantQueued(requests int, bytes int64) {
	m.t.Helper()
	synctest.Wait()
	if r, b := m.Queued(); r != requests || b != bytes {
		m.t.Errorf("%d copies of %d bytes are queued, want %d of %d", r, b, requests, bytes)
	}
}

// offer offers a request of 2n + 3 bytes, and checks that no time passes.
func (m *mirror) offer(id string, n int) {
	m.t.Helper()
	m.offerThis(request(id, n))
	synctest.Wait()
}

func (m *mirror) offerThis(req *infer.Request) {
	m.t.Helper()
	began := time.Now()
	resp := respond(3, 8)
	m.tap.Offer(req, resp)
	resp.Release()
	if took := time.Since(began); took != 0 {
		m.t.Errorf("Offer took %v", took)
	}
}

// wantRun checks which copies were run, in their order.
func (m *mirror) wantRun(ids ...string) {
	m.t.Helper()
	synctest.Wait()
	m.got.mu.Lock()
	defer m.got.mu.Unlock()
	var got []string
	for _, p := range m.got.pairs {
		got = append(got, p.Request.RequestID)
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		m.t.Errorf("copies that were run (-want +got):\n%s", diff)
	}
}
