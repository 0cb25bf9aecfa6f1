package pipeline

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Journal is the log of all changes.
type Journal interface {
	// Append adds an event if expected is the number of the last one, else it fails with Conflict. When it has returned, the event
	// survives a crash.
	Append(expected int64, e api.Event) (api.Event, error)
	// Read returns up to limit events after a number, of some types.
	Read(after int64, limit int, types []string) ([]api.Event, error)
	// Appended returns a channel that is closed when the next event has been appended.
	Appended() <-chan struct{}
	// Last returns the number of the last event.
	Last() int64
}

// Gateway is what a pipeline needs of the rest. Its methods may take long, and end with their context.
type Gateway interface {
	// Document returns the document for the trainer, and its parts that are too large to be in it, by name.
	Document(ctx context.Context, r api.Retraining, deadline time.Time) (doc api.TrainingRequest, parts map[string][]byte, err error)
	// Judge compares the candidate with its parent. An error means that it should be tried again.
	Judge(ctx context.Context, r api.Retraining) (api.Judgement, error)
	// Apply applies the rollout policy of the model. It may be called again after a crash, and then does nothing twice. An error
	// of the code Conflict or Unavailable means that it should be tried again.
	Apply(ctx context.Context, r api.Retraining) (Applied, error)
	// Close closes the signal of a retraining that has ended.
	Close(id, reason string) error
}

// Applied says what the rollout policy has done.
type Applied struct {
	Rollout string // the id of a rollout
	Why     string
}

// Settings are those of a model.
type Settings struct {
	Trainer  string
	Timeout  time.Duration // until a version must be pushed, from when the trainer has the request
	Attempts int           // max number of times that a program is started for one request
	Token    bool          // whether a trainer gets a token of its own for each request
	Exec     ExecSettings
}

// Queue is a queue that trainers read.
type Queue interface {
	// Publish returns when the queue has the document. The queue drops a document with the id of an earlier one.
	Publish(ctx context.Context, id, model string, document []byte) error
}

// Options configure a Pipeline. All but Queue, Tokens and TokenGrace are required.
type Options struct {
	Journal  Journal
	Gateway  Gateway
	Settings func(model string) Settings
	Queue    Queue         // nil if there is none
	Dir      string        // for documents and working folders; empty if there is no data directory
	Parallel int           // max number of programs at the same time
	Retry    time.Duration // after a step that failed
	Logger   *zap.Logger
	// Tokens is called with all tokens that are valid, after each change. It must not block. It may be nil; else TokenGrace returns for how
	// long the token of an ended retraining of a model is for calls that are repeated, up to MaxTokenGrace.
	Tokens     func(list []Token)
	TokenGrace func(model string) time.Duration
}

// Pipeline brings retrainings to their end. Its methods may be called from any goroutine.
type Pipeline struct {
	opts  Options
	log   *zap.Logger
	slots chan struct{} // a token for each program
	wake  chan struct{}

	preparing sync.Mutex // held while a document is made; locked before the others
	writing   sync.Mutex // held while an event is written; locked before mu

	// mu is never held while an event is written, so that nobody who reads waits for the disk.
	mu       sync.Mutex
	fold     *Fold
	seq      int64                  // up to which event the fold has all
	working  map[string]work        // the step in progress of a retraining
	logs     map[string]*transcript // of programs that run
	retry    map[string]time.Time
	document map[string][]byte // by id and name of the file; only without Dir
	tokens   map[string]string // of retrainings in progress, by id; nothing else has them
}

// work is a step in progress.
type work struct {
	cancel func()
	state  string // of the retraining when it began
}

// New returns a pipeline that goes on from a fold of the journal up to its event seq.
func New(o Options, f *Fold, seq int64) *Pipeline {
	p := &Pipeline{
		opts: o, log: o.Logger.Named("retrain"), slots: make(chan struct{}, o.Parallel), wake: make(chan struct{}, 1), fold: f, seq: seq,
		working: map[string]work{}, logs: map[string]*transcript{}, retry: map[string]time.Time{}, document: map[string][]byte{},
		tokens: map[string]string{},
	}
	p.admit()
	return p
}

// idle is how often Run looks at deadlines if nothing happens.
const idle = 30 * time.Second

// Run moves retrainings on until ctx ends. It then waits for the steps in progress, which end with ctx.
func (p *Pipeline) Run(ctx context.Context) error {
	var steps sync.WaitGroup
	defer steps.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.endLeftovers()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		appended := p.opts.Journal.Appended()
		wait := p.begin(ctx, &steps)
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-appended:
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// begin begins the steps that are due, and returns the time until the next one.
func (p *Pipeline) begin(ctx context.Context, steps *sync.WaitGroup) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.catchUp(); err != nil {
		p.log.Warn("the journal cannot be read", zap.Error(err))
		return p.opts.Retry
	}
	wait, now := idle, time.Now()
	for _, r := range p.fold.list {
		if w, ok := p.working[r.ID]; ok {
			if until := p.wanted(r, w); until <= 0 {
				w.cancel()
			} else {
				wait = min(wait, until)
			}
			continue
		}
		step := p.next(r, now)
		if step == nil {
			if r.Deadline != nil && waits(r) {
				wait = min(wait, max(r.Deadline.Sub(now), 0)+time.Millisecond)
			}
			continue
		}
		if at := p.retry[r.ID]; at.After(now) {
			wait = min(wait, at.Sub(now))
			continue
		}
		p.start(ctx, steps, *r, step)
	}
	return wait
}

// start starts a step. p.mu must be held.
func (p *Pipeline) start(ctx context.Context, steps *sync.WaitGroup, r api.Retraining, step func(context.Context, api.Retraining) error) {
	ctx, cancel := context.WithCancel(ctx)
	p.working[r.ID] = work{cancel, r.State}
	steps.Go(func() { // Run waits for it
		defer cancel()
		err := step(ctx, r)
		p.mu.Lock()
		delete(p.working, r.ID)
		delete(p.retry, r.ID)
		if err != nil && ctx.Err() == nil {
			p.retry[r.ID] = time.Now().Add(p.opts.Retry)
			p.log.Warn("a step of a retraining failed, and is tried again", zap.String("id", r.ID), zap.String("model", r.Model),
				zap.String("state", r.State), zap.Duration("next_in_seconds", p.opts.Retry), zap.Error(err))
		}
		p.mu.Unlock()
		p.Wake()
	})
}

// Wake makes Run look for due steps.
func (p *Pipeline) Wake() {
	select {
	case p.wake <- struct{}{}:
	default: // Run will look anyway
	}
}

// next returns the step that a retraining is due for, nil if it waits for others. p.mu must be held.
func (p *Pipeline) next(r *api.Retraining, now time.Time) func(context.Context, api.Retraining) error {
	if r.Final() {
		if p.fold.open[r.ID] && (r.State != api.RetrainExpired || r.Trainer != api.TrainerWebhook) { // the outbox forgets that one by itself
			return p.close
		}
		return nil
	}
	if busy := p.fold.busy(r.Model); busy != r {
		return nil
	}
	s := p.opts.Settings(r.Model)
	switch {
	case r.State == api.RetrainRegistered:
		return p.judge
	case r.State == api.RetrainJudged:
		return p.apply
	case r.Deadline != nil && now.After(*r.Deadline):
		return p.expire
	case r.Trainer == api.TrainerExec, r.State == api.RetrainRequested && s.Trainer == api.TrainerExec:
		return p.train
	case r.State == api.RetrainRequested && s.Trainer == api.TrainerNATS && p.opts.Queue != nil:
		return p.publish
	case r.State == api.RetrainAccepted && r.Deadline == nil: // the webhook has it
		return p.accept
	}
	return nil
}

// wanted returns how long a step in progress still has a purpose: not after a cancellation, and a program that has pushed its version
// has little time to end. p.mu must be held.
func (p *Pipeline) wanted(r *api.Retraining, w work) time.Duration {
	switch {
	case r.State == w.state || waits(r):
		return idle
	case w.state == api.RetrainRequested || w.state == api.RetrainAccepted || w.state == api.RetrainRunning:
		if r.State == api.RetrainRejected {
			return 0
		}
		return time.Until(r.ChangedAt.Add(pushGrace))
	}
	return idle
}

// catchUp applies the events that others have written. p.mu must be held.
func (p *Pipeline) catchUp() error {
	const batch = 100
	if p.opts.Journal.Last() == p.seq {
		return nil
	}
	defer p.admit()
	for {
		last := p.opts.Journal.Last()
		if last == p.seq {
			return nil
		}
		events, err := p.opts.Journal.Read(p.seq, batch, Types())
		if err != nil {
			return err
		}
		for i := range events {
			if err := p.fold.Apply(events[i]); err != nil { // a later start would fail too; it does not change the others
				p.log.Error("an event about a retraining cannot be applied", zap.Error(err))
			}
			p.seq = events[i].Seq
		}
		if len(events) == 0 { // fewer than asked for may only mean that they are large
			p.seq = last
		}
	}
}

// change writes an event about a retraining, if its state allows it. allowed returns the event, or an error if the state does not
// allow it, or an event without a type if there is nothing to change.
func (p *Pipeline) change(id string, by api.Actor, allowed func(r *api.Retraining) (kind string, c api.RetrainChange, err error)) (api.Retraining, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	for {
		r, e, seq, err := p.propose(id, by, allowed)
		if err != nil || e.Type == "" {
			return r, err
		}
		e, err = p.opts.Journal.Append(seq, e)
		if infer.CodeOf(err) == infer.Conflict {
			continue // there was another change
		}
		if err != nil {
			return r, err
		}
		if r, err = p.wrote(id, e); err != nil {
			return r, err
		}
		p.log.Info("retraining", zap.String("id", id), zap.String("model", r.Model), zap.String("state", r.State), zap.String("event", e.Type),
			zap.String("why", r.Why), zap.String("actor", by.Actor))
		p.Wake()
		return r, nil
	}
}

// propose returns the event of a change, and the number of the event that it follows. The event has no type if there is nothing to change.
func (p *Pipeline) propose(id string, by api.Actor, allowed func(r *api.Retraining) (string, api.RetrainChange, error)) (api.Retraining, api.Event, int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, err := p.find(id)
	if err != nil {
		return api.Retraining{}, api.Event{}, 0, err
	}
	kind, c, err := allowed(r)
	if err != nil || kind == "" {
		return *r, api.Event{}, 0, err
	}
	c.Model = r.Model
	after, err := json.Marshal(c)
	if err != nil {
		return *r, api.Event{}, 0, err
	}
	origin := api.OriginAPI
	if by.Actor == gatewayActor {
		origin = api.OriginGateway
	}
	return *r, api.Event{Type: kind, Subject: subject + id, Origin: origin, Actor: by, After: after}, p.seq, nil
}

// wrote applies an event that is in the journal, unless a reader has done so, and returns its retraining.
func (p *Pipeline) wrote(id string, e api.Event) (api.Retraining, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seq < e.Seq { // it is the one before e
		p.seq = e.Seq
		if err := p.fold.Apply(e); err != nil {
			return api.Retraining{}, err
		}
		p.admit()
	}
	r, err := p.find(id)
	if err != nil {
		return api.Retraining{}, err
	}
	return *r, nil
}

// find returns a retraining after the last event of the journal. p.mu must be held.
func (p *Pipeline) find(id string) (*api.Retraining, error) {
	if err := p.catchUp(); err != nil {
		return nil, err
	}
	r := p.fold.byID[id]
	if r == nil {
		return nil, infer.Errorf(infer.NotFound, "there is no retraining '%.100s'", id)
	}
	return r, nil
}

const gatewayActor = "gateway"

// byGateway is the actor of what a pipeline does by itself.
func byGateway() api.Actor { return api.Actor{Actor: gatewayActor, Verified: true} }

// List returns the retrainings, the newest first.
func (p *Pipeline) List() []api.Retraining {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.catchUp(); err != nil {
		p.log.Warn("the journal cannot be read", zap.Error(err))
	}
	list := make([]api.Retraining, 0, len(p.fold.list)) // [] instead of null
	for _, r := range slices.Backward(p.fold.list) {
		list = append(list, *r)
	}
	return list
}

// Get returns a retraining. It fails with NotFound.
func (p *Pipeline) Get(id string) (api.Retraining, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, err := p.find(id)
	if err != nil {
		return api.Retraining{}, err
	}
	return *r, nil
}

// Since counts the retrainings of a model that were requested after a time and not by a person.
func (p *Pipeline) Since(model string, t time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.catchUp(); err != nil {
		p.log.Warn("the journal cannot be read", zap.Error(err))
	}
	return p.fold.since(model, t)
}

// LastRequest returns when the last retraining of a model was requested, zero if there was none.
func (p *Pipeline) LastRequest(model string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.catchUp(); err != nil {
		p.log.Warn("the journal cannot be read", zap.Error(err))
	}
	return p.fold.last(model)
}
