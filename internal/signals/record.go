package signals

import (
	"encoding/json"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Outcome is the result of a detection. If HeldBack is empty, the signal with the ID is
// recorded.
type Outcome struct {
	ID       string
	New      bool   // whether the signal was not recorded before
	HeldBack string // why a request for retraining was held back; empty if it was not
	By       string // the id of the request that held it back; empty if none did
}

// Detected records a detector's finding, unless it is known or held back. It sets ID,
// CreatedAt and FeaturesTotal, and the cause of a request for retraining. If Began is zero,
// it becomes the start of the window. A report of bad data without a cause must have one
// finding, which becomes the cause.
//
// Call it for each window as long as a problem lasts. That repeats a write to the journal
// that failed, and makes a request that was held back. Began must not change in the
// meantime, since the id depends on it.
//
// It returns when the signal survives a crash, so it may wait for the disk. Errors: Invalid
// for an incomplete signal, and those of the journal.
func (o *Outbox) Detected(s api.SignalData) (Outcome, error) { return o.take(s, "", api.Actor{}) }

// Requested is Detected for a request that somebody makes.
func (o *Outbox) Requested(s api.SignalData, by api.Actor) (Outcome, error) { return o.take(s, "", by) }

// HoldBack records that a request for retraining, which is as of Detected, is held back for a reason that the detector knows.
func (o *Outbox) HoldBack(s api.SignalData, why string) (Outcome, error) {
	return o.take(s, why, api.Actor{})
}

// take is Detected. why is a reason to hold a request back, "" for none. by is zero for a detector.
func (o *Outbox) take(s api.SignalData, why string, by api.Actor) (Outcome, error) {
	if err := complete(&s, time.Now()); err != nil {
		return Outcome{}, err
	}
	o.write.Lock()
	out, err := o.detected(s, why, by)
	o.write.Unlock()
	switch {
	case err != nil:
	case out.HeldBack != "":
		o.opts.Observer.HeldBack(s.Model, out.HeldBack)
	case out.New:
		o.opts.Observer.Recorded(s.Type, s.Model)
		o.announce(s)
		o.wakeUp()
	}
	return out, err
}

// detected records a signal or holds it back. write must be locked.
func (o *Outbox) detected(s api.SignalData, why string, by api.Actor) (Outcome, error) {
	out := Outcome{ID: s.ID}
	o.mu.Lock()
	known := o.store.Known(s.ID)
	o.mu.Unlock()
	if known {
		return out, o.join(s)
	}
	e := api.Event{Type: api.EventQualityViolated, Actor: by}
	if by.Actor != "" {
		e.Origin = api.OriginAPI
	}
	if s.Type == api.TypeRetrainRequested {
		e.Type = api.EventRetrainRequested
		noted := o.holdBack(&s, why, &out)
		if noted {
			return out, nil
		}
		if out.HeldBack != "" {
			return out, o.suppress(s, out)
		}
	}
	if err := o.append(e, s.ID, api.Signal{SignalData: s, SignalProgress: api.SignalProgress{State: api.SignalOpen}}); err != nil {
		return Outcome{}, err
	}
	out.New = true
	o.mu.Lock()
	o.plan(s)
	o.mu.Unlock()
	return out, nil
}

// holdBack finds out what holds back a request for retraining, and whether the journal has that already. A person need not wait for the
// cool-down. write must be locked.
func (o *Outbox) holdBack(s *api.SignalData, why string, out *Outcome) (noted bool) {
	coolDown := o.opts.CoolDown
	if s.Cause == api.CauseManual {
		coolDown = 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if out.By, out.HeldBack = o.store.HeldBack(s.Model, s.CreatedAt, coolDown, o.opts.Expire); out.By != "" {
		return o.store.noted(*s)
	}
	if out.HeldBack = why; why == "" && o.opts.Block != nil {
		o.mu.Unlock() // it may read files; write is held
		out.HeldBack = o.opts.Block(s)
		o.mu.Lock()
	}
	return out.HeldBack != "" && o.store.blocked[s.ID] == out.HeldBack
}

// suppress writes to the journal that a request was held back.
func (o *Outbox) suppress(s api.SignalData, out Outcome) error {
	of := out.By
	if of == "" {
		of = s.ID // no request is the reason
	}
	err := o.append(api.Event{Type: api.EventRetrainSuppressed}, of, api.SignalSuppression{SignalData: s, HeldBackBy: out.By, Why: out.HeldBack})
	if err == nil {
		o.log.Info("a request for retraining is held back",
			append(describe(s), zap.String("why", out.HeldBack), zap.String("by", out.By))...)
	}
	return err
}

// Close closes a signal and returns it. The signal is not sent any more, but a delivery in
// progress may still arrive. Errors: NotFound, and Conflict if it is closed.
func (o *Outbox) Close(id string, actor api.Actor) (api.Signal, error) {
	o.write.Lock()
	defer o.write.Unlock()
	r, err := o.Get(id)
	if err != nil {
		return api.Signal{}, err
	}
	if r.State == api.SignalClosed {
		return api.Signal{}, infer.Errorf(infer.Conflict, "signal %s was already closed at %s", id, r.ClosedAt.Format(time.RFC3339))
	}
	e := api.Event{Type: api.EventRetrainClosed, Origin: api.OriginAPI, Actor: actor}
	if err := o.append(e, id, api.SignalProgress{State: api.SignalClosed, Attempts: r.Attempts}); err != nil {
		return api.Signal{}, err
	}
	o.mu.Lock()
	if j := o.jobs[id]; j != nil {
		delete(o.jobs, id)
		if j.cancel != nil {
			j.cancel()
		}
	}
	o.mu.Unlock()
	o.log.Info("signal closed", zap.String("id", id), zap.String("actor", actor.Actor), zap.String("reason", actor.Reason))
	return o.Get(id)
}

// Retry delivers an open signal now instead of at its next attempt. It returns the signal as
// it is before that. Errors: NotFound, and Conflict if it is not open or there is no sink.
func (o *Outbox) Retry(id string) (api.Signal, error) {
	r, err := o.Get(id)
	if err != nil {
		return api.Signal{}, err
	}
	o.mu.Lock()
	j := o.jobs[id]
	if j != nil {
		j.due, j.failures = time.Now(), 0
	}
	o.mu.Unlock()
	switch {
	case j != nil:
		o.wakeUp()
		return r, nil
	case r.State == api.SignalOpen && o.opts.Sink == nil:
		return api.Signal{}, infer.Errorf(infer.Conflict, "signal %s cannot be delivered, since no webhook is configured; configure one, or close the signal", id)
	default:
		return api.Signal{}, infer.Errorf(infer.Conflict, "signal %s is %s; only an open signal can be delivered", id, r.State)
	}
}

// List returns the open signals and the last ones that are not open, the oldest first.
func (o *Outbox) List() []api.Signal {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.store.All()
	for i := range all {
		o.progress(&all[i])
	}
	return all
}

// Get returns one of the signals of List. It fails with NotFound.
func (o *Outbox) Get(id string) (api.Signal, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, ok := o.store.Get(id)
	if !ok {
		return api.Signal{}, infer.Errorf(infer.NotFound, "there is no signal %.100q", id)
	}
	o.progress(&r)
	return r, nil
}

// Open returns the number of open signals, and when the oldest was recorded.
func (o *Outbox) Open() (n int, oldest time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.store.signals {
		if r.State != api.SignalOpen {
			continue
		}
		if n++; n == 1 {
			oldest = r.CreatedAt
		}
	}
	return n, oldest
}

// progress adds the state of a signal's delivery. mu must be locked.
func (o *Outbox) progress(r *api.Signal) {
	j := o.jobs[r.ID]
	if j == nil {
		return
	}
	r.Attempts, r.LastError = j.attempts, j.lastError
	if j.cancel == nil {
		due := j.due.UTC().Round(0)
		r.NextAttempt = &due
	}
}

// append writes an event about a signal to the journal and applies it. write must be locked.
func (o *Outbox) append(e api.Event, id string, after any) error {
	var err error
	if e.After, err = json.Marshal(after); err != nil {
		return &infer.Error{Code: infer.Invalid, Op: "signal", Msg: "cannot write signal " + id + " as JSON", Err: err}
	}
	e.Subject = subject + id
	if e.Origin == "" {
		e.Origin = api.OriginGateway
	}
	if e, err = o.opts.Journal.Append(e); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.store.Apply(e)
}

// announce logs a new signal.
func (o *Outbox) announce(s api.SignalData) {
	what := "drift detected; retraining is requested"
	if s.Cause == api.CauseManual || s.Cause == api.CauseSchedule {
		what = "retraining is requested"
	}
	if s.Type == api.TypeDataQualityViolated {
		what = "bad data detected"
	}
	fields := describe(s)
	if o.opts.Sink == nil {
		fields = append(fields, zap.String("delivery", "no webhook is configured; the signal stays open until it or its retraining is closed"))
	}
	o.log.Warn(what, fields...)
}

func describe(s api.SignalData) []zap.Field {
	const most = 10
	names := make([]string, min(len(s.Features), most))
	for i := range names {
		names[i] = s.Features[i].Feature
	}
	return []zap.Field{
		zap.String("id", s.ID), zap.String("model", s.Model), zap.Int64("version", s.Version), zap.String("role", s.Role), zap.String("segment", s.Segment),
		zap.String("cause", s.Cause), zap.Strings("features", names), zap.Int("features_total", s.FeaturesTotal),
		zap.Time("began", s.Began), zap.Uint64("rows", s.Rows),
	}
}
