package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a journal in memory that can fail before or after it has written.
type tape struct {
	*journal.Log

	mu     sync.Mutex
	before int // the number of appends until one fails without having written; 0: none
	after  int // likewise, having written

	stuck   chan struct{} // appends wait for it; nil: they do not
	waiting chan struct{} // gets a value for each that waits
}

var errLost = errors.New("the process ends here")

// Append implements pipeline.Journal.
func (j *tape) Append(expected int64, e api.Event) (api.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stuck != nil {
		j.waiting <- struct{}{}
		<-j.stuck
	}
	if j.before > 0 {
		if j.before--; j.before == 0 {
			return api.Event{}, errLost
		}
	}
	e, err := j.Log.Append(expected, e)
	if j.after > 0 {
		if j.after--; j.after == 0 && err == nil {
			return api.Event{}, errLost
		}
	}
	return e, err
}

// Read implements pipeline.Journal.
func (j *tape) Read(after int64, limit int, types []string) ([]api.Event, error) {
	return j.Log.Read(after, limit, journal.Filter{Types: types})
}

// put appends an event of another part.
func (j *tape) put(t *testing.T, kind, subject string, after any) {
	t.Helper()
	text, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Log.Append(journal.Any, api.Event{Type: kind, Subject: subject, After: text}); err != nil {
		t.Fatal(err)
	}
}

func (j *tape) request(t *testing.T, id, model string) {
	t.Helper()
	j.put(t, api.EventRetrainRequested, "retrain/"+id, api.Signal{SignalData: api.SignalData{ID: id, Type: api.TypeRetrainRequested, Model: model, Version: 1, Cause: api.CauseDrift}})
}

func (j *tape) register(t *testing.T, id, model string, version int64, digest string) {
	t.Helper()
	rec := api.VersionRecord{Model: model, Version: version, Digest: digest}
	rec.Lineage.Retrain = id
	j.put(t, api.EventVersionRegistered, "models/"+model, rec)
}

// side is what a pipeline needs of the gateway.
type side struct {
	t       *testing.T
	journal *tape

	mu      sync.Mutex
	verdict string
	applied map[string]int // how often a rollout was begun
	problem error          // of Apply
}

func (s *side) Document(_ context.Context, r api.Retraining, deadline time.Time) (api.TrainingRequest, map[string][]byte, error) {
	return api.TrainingRequest{
		Format: 1, ID: r.ID, Model: r.Model, Deadline: deadline, Grid: map[string]any{"seed": []any{json.Number("9007199254740993"), 0.1, "<a>"}},
		Reference: &api.TrainingProfile{Profile: json.RawMessage(`{"b": [1.50, 2e3], "a": "<&>"}`)},
	}, map[string][]byte{api.PartWindow: []byte("{}")}, nil
}

func (s *side) Judge(context.Context, api.Retraining) (api.Judgement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return api.Judgement{Verdict: s.verdict, Why: "as the test says", Rows: 7}, nil
}

func (s *side) Apply(_ context.Context, r api.Retraining) (pipeline.Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem != nil {
		return pipeline.Applied{}, s.problem
	}
	if s.applied[r.ID] == 0 { // as the gateway, which looks whether the rollout exists
		s.applied[r.ID]++
	}
	return pipeline.Applied{Rollout: r.Model + "-1"}, nil
}

func (s *side) Close(id, reason string) error {
	text, err := json.Marshal(api.SignalProgress{State: api.SignalClosed})
	if err != nil {
		return err
	}
	_, err = s.journal.Log.Append(journal.Any, api.Event{Type: api.EventRetrainClosed, Subject: "retrain/" + id, Actor: api.Actor{Reason: reason}, After: text})
	return err
}

// queue is a queue that drops repeated ids, and can be down.
type queue struct {
	mu   sync.Mutex
	down bool
	got  map[string]int
	last []byte
}

// tokens are those that the gateway would accept.
type tokens struct {
	all   bool          // whether trainers get some
	grace time.Duration // for those of retrainings that have ended

	mu   sync.Mutex
	list []pipeline.Token
}

func (k *tokens) set(list []pipeline.Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = list
}

func (k *tokens) get() []pipeline.Token {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.list
}

func (q *queue) Publish(_ context.Context, id, _ string, document []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return infer.Errorf(infer.Unavailable, "the queue is down")
	}
	q.got[id]++
	q.last = document
	return nil
}

func (q *queue) set(down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = down
}

// bench is a pipeline that runs until its test ends, and can be killed and started again.
type bench struct {
	*pipeline.Pipeline

	t       *testing.T
	journal *tape
	side    *side
	queue   *queue
	tokens  *tokens
	trainer string
	timeout time.Duration
	stop    func()
}

func newBench(t *testing.T, trainer string) *bench {
	t.Helper()
	j := &tape{Log: journal.Memory()}
	b := &bench{
		t: t, journal: j, side: &side{t: t, journal: j, verdict: api.VerdictBetter, applied: map[string]int{}}, queue: &queue{got: map[string]int{}}, tokens: &tokens{},
		trainer: trainer, timeout: time.Hour,
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start starts a pipeline from the journal, half of it from a snapshot.
func (b *bench) start() {
	b.t.Helper()
	fold := pipeline.NewFold()
	events, err := b.journal.Read(0, 10_000, pipeline.Types())
	if err != nil {
		b.t.Fatal(err)
	}
	for i, e := range events {
		if i == len(events)/2 {
			state, err := fold.Snapshot()
			if fold = pipeline.NewFold(); err != nil || fold.Restore(state) != nil {
				b.t.Fatal(err)
			}
		}
		if err := fold.Apply(e); err != nil {
			b.t.Fatal(err)
		}
	}
	b.Pipeline = pipeline.New(pipeline.Options{
		Journal: b.journal, Gateway: b.side, Queue: b.queue, Parallel: 1, Retry: time.Second, Logger: zap.NewNop(), Tokens: b.tokens.set,
		TokenGrace: func(string) time.Duration { return b.tokens.grace },
		Settings: func(string) pipeline.Settings {
			return pipeline.Settings{Trainer: b.trainer, Timeout: b.timeout, Attempts: 2, Token: b.tokens.all}
		},
	}, fold, b.journal.Last())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
		ended <- nil
	}
}

// again kills the pipeline and starts it again.
func (b *bench) again() {
	b.t.Helper()
	b.stop()
	b.start()
}

func (b *bench) want(id, state string) api.Retraining {
	b.t.Helper()
	r, err := b.Get(id)
	if err != nil || r.State != state {
		b.t.Errorf("%s is %s (%s), want %s; %v", id, r.State, r.Why, state, err)
	}
	return r
}

// count counts the events of a type.
func (b *bench) count(kind string) int {
	b.t.Helper()
	events, err := b.journal.Read(0, 10_000, []string{kind})
	if err != nil {
		b.t.Fatal(err)
	}
	return len(events)
}
