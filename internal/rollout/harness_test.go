package rollout_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/rollout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is traffic that follows the route: the requests of a second are split by its weights, and fail at the rates
// of their versions.
type world struct {
	mu      sync.Mutex
	rng     *rand.Rand
	rate    int                 // requests of 100 ms
	errors  map[int64]float64   // by version
	slow    map[int64]float64   // by version
	classes map[int64]float64   // the share of the class "a" in the answers, by version
	wrong   map[int64]float64   // the share of labelled answers that are wrong, by version
	differs float64             // how often a shadow disagrees
	loading map[int64]chan bool // versions that load until the channel is closed
	route   api.Route
	halted  bool
	counts  map[api.Variant]*rollout.Count // weight 0
	labels  map[api.Variant]*rollout.Value
	shadow  rollout.Mean
	digest  string
	broken  bool // the routes cannot be changed
	sets    int
}

func newWorld() *world {
	return &world{
		rng: rand.New(rand.NewPCG(1, 2)), rate: 100, errors: map[int64]float64{}, slow: map[int64]float64{}, loading: map[int64]chan bool{},
		classes: map[int64]float64{}, wrong: map[int64]float64{}, labels: map[api.Variant]*rollout.Value{},
		route: api.Route{
			Name: "iris", Model: "iris", Revision: 1, Shadows: []api.Shadow{},
			Variants: []api.Variant{{Version: 1, Weight: api.TotalWeight, Role: api.RoleStable}},
		},
		counts: map[api.Variant]*rollout.Count{}, digest: "sha256:1",
	}
}

// run makes traffic until ctx ends.
func (w *world) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.mu.Lock()
			for range w.rate {
				w.request()
			}
			w.mu.Unlock()
		}
	}
}

func (w *world) request() {
	n := w.rng.IntN(api.TotalWeight)
	for _, v := range w.route.Variants {
		if n -= v.Weight; n >= 0 {
			continue
		}
		if w.halted && v.Role == api.RoleCanary {
			v = w.route.Variants[0]
		}
		c := w.count(v)
		c.Requests++
		c.Random++
		c.Recent.Requests++
		if w.rng.Float64() < w.errors[v.Version] {
			c.Errors++
			c.Recent.Bad++
			return
		}
		w.answer(v, c)
		c.Answered++
		if w.rng.Float64() < 0.05+w.slow[v.Version] {
			c.Slow++
		}
		return
	}
}

// answer makes an answer, its label and what a shadow says.
func (w *world) answer(v api.Variant, c *rollout.Count) {
	one := func(m *rollout.Mean, p float64) {
		m.N++
		if w.rng.Float64() < p {
			m.Sum, m.Squares = m.Sum+1, m.Squares+1
		}
	}
	if p, ok := w.classes[v.Version]; ok {
		if c.Values == nil {
			c.Values = []rollout.Value{{Name: "label: a", Kind: api.ValueShare}}
		}
		values := slices.Clone(c.Values)
		one(&values[0].Mean, p)
		c.Values = values
	}
	if p, ok := w.wrong[v.Version]; ok {
		v.Weight = 0
		if w.labels[v] == nil {
			w.labels[v] = &rollout.Value{Name: "label: wrong", Kind: api.ValueError}
		}
		one(&w.labels[v].Mean, p)
	}
	if len(w.route.Shadows) > 0 {
		one(&w.shadow, w.differs)
	}
}

// Losses implements rollout.Traffic.
func (w *world) Losses(string, int64) (l rollout.Losses, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for v, value := range w.labels {
		switch v.Role {
		case api.RoleCanary:
			l.Canary = append(l.Canary, *value)
		case api.RoleControl:
			l.Control = append(l.Control, *value)
		}
	}
	return l, nil
}

func (w *world) count(v api.Variant) *rollout.Count {
	v.Weight = 0
	if w.counts[v] == nil {
		w.counts[v] = &rollout.Count{}
	}
	return w.counts[v]
}

func (w *world) Route(name string) (api.Route, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name != w.route.Name {
		return api.Route{}, infer.Errorf(infer.NotFound, "there is no route '%s'", name)
	}
	return w.route, nil
}

func (w *world) Set(ctx context.Context, route api.Route, _ api.Actor) error {
	for _, v := range route.Variants {
		w.mu.Lock()
		loading := w.loading[v.Version]
		w.mu.Unlock()
		if loading == nil {
			continue
		}
		select {
		case ok := <-loading:
			if !ok {
				return infer.Errorf(infer.Unavailable, "it is not a model")
			}
		case <-ctx.Done():
			return infer.Errorf(infer.Canceled, "the versions were not ready in time")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return infer.Errorf(infer.Unavailable, "the journal cannot be written")
	}
	route.Revision++
	w.route = route
	w.sets++
	return nil
}

func (w *world) Halt(_ string, _ int64, halted bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.halted = halted
}

func (w *world) Counts(_ string, _ int64, _ time.Duration) (c rollout.Counts, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.Shadow, c.Digest = w.shadow, w.digest
	for _, v := range w.route.Variants {
		switch v.Role {
		case api.RoleStable:
			c.Stable = *w.count(v)
			c.Stable.Window = time.Minute
		case api.RoleCanary:
			c.Canary = *w.count(v)
		case api.RoleControl:
			c.Control = *w.count(v)
			c.Control.P95 = api.Duration(time.Millisecond)
		}
	}
	return c, nil
}

func (w *world) Digest(context.Context, string, int64) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.digest, nil
}

func (w *world) setBroken(broken bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = broken
}

// share returns the weight of a version that callers can reach.
func (w *world) share(version int64) (weight int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.route.Variants {
		if v.Version == version && (!w.halted || v.Role != api.RoleCanary) {
			weight += v.Weight
		}
	}
	return weight
}

// journal keeps events in memory, unless it is full. While it is stuck, nothing is written.
type journal struct {
	mu      sync.Mutex
	events  []api.Event
	full    bool
	stuck   chan struct{} // nil: it is not
	waiting int           // calls of Append that wait
}

var errFull = infer.Errorf(infer.Unavailable, "the disk is full")

func (j *journal) Append(e api.Event) (api.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if stuck := j.stuck; stuck != nil {
		j.waiting++
		j.mu.Unlock()
		<-stuck
		j.mu.Lock()
		j.waiting--
	}
	if j.full {
		return api.Event{}, errFull
	}
	e.Seq = int64(len(j.events) + 1)
	j.events = append(j.events, e)
	return e, nil
}

// hang makes writes wait until the result is called.
func (j *journal) hang() (release func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	stuck := make(chan struct{})
	j.stuck = stuck
	return sync.OnceFunc(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.stuck = nil
		close(stuck)
	})
}

// waits reports whether a write waits.
func (j *journal) waits() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.waiting > 0
}

func (j *journal) setFull(full bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.full = full
}

// setSince changes when the last written state of a rollout began.
func (j *journal) setSince(t *testing.T, id string, at time.Time) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := len(j.events) - 1; i >= 0; i-- {
		var r api.Rollout
		if json.Unmarshal(j.events[i].After, &r) != nil || r.ID != id {
			continue
		}
		r.SinceAt = at
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		j.events[i].After = text
		return
	}
	t.Fatal("the journal does not have the rollout")
}

// types returns the types of the events but those about evidence.
func (j *journal) types() (list []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Type != api.EventRolloutObserved {
			list = append(list, e.Type)
		}
	}
	return list
}

// fold returns the rollouts in the journal.
func (j *journal) fold(t *testing.T) *rollout.Fold {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	f := rollout.NewFold()
	for _, e := range j.events {
		if err := f.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// gateway is a controller over a world and a journal.
type gateway struct {
	*rollout.Controller

	world   *world
	journal *journal
	marks   *rollout.Marks
	policy  rollout.Policy
	query   func(ctx context.Context, text string) (float64, error)
	stop    func()
}

// serve runs f with a gateway, in virtual time.
func serve(t *testing.T, f func(t *testing.T, g *gateway)) {
	t.Helper()
	marks, err := rollout.OpenMarks(filepath.Join(t.TempDir(), "marks"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{world: newWorld(), journal: &journal{}, marks: marks}
		ctx, cancel := context.WithCancel(t.Context())
		go g.world.run(ctx)
		defer cancel()
		g.start(t)
		defer func() { g.stop() }()
		f(t, g)
	})
}

// start starts a controller with what is in the journal.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	g.Controller = rollout.New(rollout.Options{
		Traffic: g.world, Journal: g.journal, Policy: func(string) rollout.Policy { return g.policy }, Logger: zap.NewNop(), Query: g.query,
		Marks: g.marks,
	})
	g.Resume(g.journal.fold(t))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = g.Run(ctx) }()
	g.stop = func() { cancel(); <-ended }
}

// restart starts another controller.
func (g *gateway) restart(t *testing.T) {
	t.Helper()
	g.stop()
	g.start(t)
}

func (g *gateway) begin(t *testing.T, change func(*api.RolloutSpec)) api.Rollout {
	t.Helper()
	spec := api.RolloutSpec{Route: "iris", Version: 2}
	if change != nil {
		change(&spec)
	}
	spec.Complete()
	if problems := spec.Check(); len(problems) > 0 {
		t.Fatal(problems)
	}
	r, err := g.Start(t.Context(), spec, ann)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// last returns the last rollout.
func (g *gateway) last(t *testing.T) api.Rollout {
	t.Helper()
	list, err := g.History("iris")
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// until waits for a state, and returns how long that took.
func (g *gateway) until(t *testing.T, state string, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if g.last(t).State == state {
			return time.Since(began)
		}
		time.Sleep(50 * time.Millisecond)
	}
	now := g.last(t)
	text, _ := json.MarshalIndent(now, "", " ")
	t.Fatalf("not %s within %v: %s", state, limit, text)
	return 0
}

var (
	ann = api.Actor{Actor: "ann", Verified: true, Reason: "a better model"}
	bob = api.Actor{Actor: "bob", Verified: true}
)

func wantCode(t *testing.T, err error, code infer.Code) {
	t.Helper()
	if infer.CodeOf(err) != code || err == nil {
		t.Errorf("error %v, want %v", err, code)
	}
}

func wantTypes(t *testing.T, j *journal, want ...string) {
	t.Helper()
	if got := j.types(); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
