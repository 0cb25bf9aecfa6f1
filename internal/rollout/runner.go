package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// lookEvery is how often the traffic of a rollout is looked at.
const lookEvery = 250 * time.Millisecond

// elsewhereEvery is how often labels are looked at and queries asked.
const elsewhereEvery = 10 * time.Second

// recordEvery is how often the evidence of a step is written to the journal.
const recordEvery = 5 * time.Minute

// answerWithin is how long a command waits for a rollout that is busy with the journal, and an abort until it is in the journal.
const answerWithin = time.Second

// runner moves one rollout on, in a goroutine of its own.
type runner struct {
	c        *Controller
	id       string
	log      *zap.Logger
	commands chan func()
	ended    chan struct{}

	// c.mu guards the next fields.
	asked      *wish // an abort that the goroutine of run has not begun yet; nil: none
	completing bool  // the last event is being written, so an abort comes too late

	// Only the goroutine of run uses the fields below.
	now       api.Rollout
	judge     *judge
	counts    Counts        // at the last look
	recorded  time.Time     // when evidence was last written
	setting   *setting      // a change of the route in progress; nil: none
	elsewhere chan found    // a look at labels and queries in progress; nil: none
	found     time.Time     // when they were last looked at
	pending   []pendingNote // events that are not written yet
}

// setting is a change of the route in progress.
type setting struct {
	route  api.Route
	cancel context.CancelFunc
	done   chan error
}

// pendingNote is an event that must be written before any other.
type pendingNote struct {
	kind string
	by   api.Actor
}

func newRunner(c *Controller, r api.Rollout) *runner {
	return &runner{
		c: c, id: r.ID, log: c.log.With(zap.String("rollout", r.ID)), commands: make(chan func()), ended: make(chan struct{}),
		now: r, judge: newJudge(&r), recorded: time.Now(),
	}
}

// run moves the rollout on until it has ended, or ctx has.
func (r *runner) run(ctx context.Context) {
	defer close(r.ended)
	defer r.stopSetting()
	defer func() {
		if r.elsewhere != nil {
			<-r.elsewhere
		}
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		var done chan error
		if r.setting != nil {
			done = r.setting.done
		}
		select {
		case <-ctx.Done():
			r.takeAsked()
			if r.now.State == api.RolloutCanary && r.writePending() {
				_ = r.write(api.EventRolloutObserved, r.now, byGateway("stop")) // else the next start begins with less evidence
			}
			return
		case do := <-r.commands:
			do()
		case err := <-done:
			r.isSet(err)
		case f := <-r.elsewhere:
			r.elsewhere = nil
			r.judge.lookLosses(&f.losses, elsewhereEvery)
			for i, a := range f.answers {
				r.judge.queries[i].take(a)
			}
		case <-tick.C:
		}
		r.takeAsked()
		r.pass(ctx)
		if r.now.Final() && r.now.Durable {
			r.unmark()
			return
		}
	}
}

// do has the goroutine of run call f, and returns the rollout after that.
func (r *runner) do(ctx context.Context, f func(*runner) error) (api.Rollout, error) {
	type result struct {
		now api.Rollout
		err error
	}
	results := make(chan result, 1)
	begun, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	select {
	case r.commands <- func() { r.takeAsked(); err := f(r); results <- result{r.now, err} }:
	case <-r.ended:
		return api.Rollout{}, infer.Errorf(infer.Conflict, "rollout '%s' has ended", r.id)
	case <-begun.Done():
		return api.Rollout{}, infer.Errorf(infer.Unavailable, "rollout '%s' waits for the journal; an abort stops traffic to its canary meanwhile", r.id)
	}
	select {
	case done := <-results:
		return done.now, done.err
	case <-ctx.Done():
		return api.Rollout{}, infer.Errorf(infer.Unavailable, "rollout '%s' waits for the journal, and does what you have asked for if it can be written; an abort comes before that", r.id)
	}
}

// pass does what is due: it writes what is not written, makes the route what it should be, and looks at the
// traffic.
func (r *runner) pass(ctx context.Context) {
	if r.now.Halted {
		r.c.opts.Traffic.Halt(r.now.Spec.Route, r.now.Spec.Version, true) // again and again, since the route may be new
	}
	if !r.writePending() || r.setting != nil {
		return
	}
	route, err := r.c.opts.Traffic.Route(r.now.Spec.Route)
	want := RouteOf(&r.now)
	switch {
	case err != nil: // the gateway starts
		return
	case same(&route, &want):
		r.settled(ctx)
		return
	}
	by := byGateway(fmt.Sprintf("rollout %s: %s", r.id, r.now.Why))
	setCtx, cancel := context.WithCancel(ctx)
	s := &setting{route: want, cancel: cancel, done: make(chan error, 1)}
	r.setting = s
	go func() { s.done <- r.c.opts.Traffic.Set(setCtx, s.route, by) }() // stopSetting or isSet waits for it
}

// stopSetting gives a change of the route up.
func (r *runner) stopSetting() {
	if r.setting != nil {
		r.setting.cancel()
		if err := <-r.setting.done; err != nil {
			r.log.Debug("a change of the route was given up", zap.Error(err))
		}
		r.setting = nil
	}
}

// isSet takes the result of a change of the route. One that failed is made again with the next look, unless the
// version cannot be loaded.
func (r *runner) isSet(err error) {
	r.setting.cancel()
	r.setting = nil
	if r.now.State == api.RolloutAborting { // the change may have brought the canary
		r.c.opts.Traffic.Halt(r.now.Spec.Route, r.now.Spec.Version, true)
	}
	if err == nil {
		return
	}
	r.log.Warn("the route could not be changed", zap.String("state", r.now.State), zap.Error(err))
	if r.now.State == api.RolloutValidating && infer.CodeOf(err) != infer.Canceled {
		r.abort(byGateway("validation"), "version cannot serve: "+infer.Message(err))
	}
}

// settled goes on from a state whose route is as it should be.
func (r *runner) settled(ctx context.Context) {
	now := time.Now()
	if r.now.State != api.RolloutAborting && !r.now.Final() {
		counts, err := r.c.opts.Traffic.Counts(r.now.Spec.Route, r.now.Spec.Version, time.Duration(r.now.Objective))
		switch {
		case err != nil:
			r.log.Warn("the counts of the route cannot be read", zap.Error(err))
			return
		case counts.Digest != "" && counts.Digest != r.now.Digest:
			r.abort(byGateway("changed files"), "the files of the version have changed since the rollout began; it was started and approved for "+r.now.Digest)
			return
		}
		r.counts = counts
	}
	switch r.now.State {
	case api.RolloutValidating:
		r.validated()
	case api.RolloutAwaiting:
		r.await(ctx, now)
	case api.RolloutAborting:
		r.rolledBack(now)
	case api.RolloutShadowing, api.RolloutCanary, api.RolloutBaking:
		r.look(ctx, now)
	}
}

func (r *runner) validated() {
	if r.now.Needed > 0 {
		r.advance(step{state: api.RolloutAwaiting, why: fmt.Sprintf("version %d is loaded; waits for %d approvals", r.now.Spec.Version, r.now.Needed)})
		return
	}
	r.advance(begun(&r.now))
}

// await waits for approvals.
func (r *runner) await(ctx context.Context, now time.Time) {
	p := r.c.opts.Policy(r.now.Model)
	digest, err := r.c.opts.Traffic.Digest(ctx, r.now.Model, r.now.Spec.Version)
	switch {
	case err == nil && digest != r.now.Digest:
		r.abort(byGateway("changed files"), "the files of the version have changed, so approvals are void")
	case p.Expires > 0 && now.Sub(r.now.SinceAt) >= p.Expires:
		r.abort(byGateway("expired"), fmt.Sprintf("not approved within %v", p.Expires))
	case len(r.now.Approvals) >= r.now.Needed:
		r.advance(begun(&r.now))
	}
}

// look looks at the traffic and does what follows.
func (r *runner) look(ctx context.Context, now time.Time) {
	counts := r.counts
	s := seen{counts: counts, now: now}
	switch r.now.State {
	case api.RolloutShadowing:
		r.judge.agreement.Look(counts.Shadow, lookEvery)
		r.now.Evidence = []api.RolloutEvidence{r.judge.agreement.Evidence()}
		r.show()
	case api.RolloutCanary:
		if r.now.Objective == 0 {
			r.setObjective(&counts)
		}
		r.now.Answered += r.judge.look(counts, r.now.Weight, lookEvery)
		r.lookElsewhere(ctx, now)
		r.now.Evidence = r.judge.evidence()
		r.show()
	}
	next := decide(&r.now, &s)
	switch next.state {
	case "":
		if r.now.State == api.RolloutCanary && now.Sub(r.recorded) >= recordEvery {
			_ = r.write(api.EventRolloutObserved, r.now, byGateway("evidence")) // the next time, if not now
		}
	case api.RolloutAborting:
		r.abort(byGateway("verdict"), next.why)
	case api.RolloutPaused:
		_ = r.hold(byGateway("verdict"), next.why) // again with the next look, if the journal cannot be written
	default:
		r.advance(next)
	}
}

// found is evidence from elsewhere than the counts.
type found struct {
	losses  Losses
	answers []answer // of the queries
}

// lookElsewhere has labels read and queries asked, beside the goroutine of run, since that may take long.
func (r *runner) lookElsewhere(ctx context.Context, now time.Time) {
	if r.elsewhere != nil || now.Sub(r.found) < elsewhereEvery {
		return
	}
	r.found = now
	result := make(chan found, 1)
	r.elsewhere = result
	route, version, queries := r.now.Spec.Route, r.now.Spec.Version, r.judge.queries
	go func() { // run waits for it
		var f found
		var err error
		if f.losses, err = r.c.opts.Traffic.Losses(route, version); err != nil {
			r.log.Warn("the labels cannot be read", zap.Error(err))
		}
		f.answers = ask(ctx, queries, r.c.query)
		result <- f
	}()
}

// leastObjective is the least latency that is taken from the control. An equal version with few requests is slower than the control by
// up to about 0.2 ms, since it is not in the caches of the processor. Without a minimum, that alone rolls a tiny model back.
const leastObjective = api.Duration(time.Millisecond)

// setObjective takes the objective of the spec, or that of the control's answers so far.
func (r *runner) setObjective(c *Counts) {
	const enough = 100 // answers for a percentile
	objective := r.now.Spec.Latency.Objective
	if objective == 0 && c.Control.Answered >= enough {
		objective = max(c.Control.P95, leastObjective)
	}
	if objective > 0 {
		r.now.Objective = objective
		r.judge.fresh = true // slow answers are counted from now on
	}
}

// show lets others see the evidence, which is not in the journal yet.
func (r *runner) show() {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	now := r.now
	r.c.set(&now)
}

// write writes an event with the state next, and makes that the present one.
func (r *runner) write(kind string, next api.Rollout, by api.Actor) error {
	next.Durable = true
	if err := r.c.write(kind, &next, by); err != nil {
		return err
	}
	r.now, r.recorded = next, time.Now()
	return nil
}

// advance goes to another state or step. The event is on disk before the route changes.
func (r *runner) advance(s step) {
	next := r.now
	next.State, next.Step, next.Why, next.SinceAt, next.Paused = s.state, s.index, s.why, time.Now(), ""
	next.Weight, next.Answered = 0, 0
	switch s.state {
	case api.RolloutCanary:
		next.Weight = next.Spec.Steps[s.index].Weight
	case api.RolloutBaking:
		next.Step, next.Weight = r.now.Step, api.TotalWeight
	case api.RolloutCompleted:
		next.Step, next.Weight, next.EndedAt, next.Rollbacks = r.now.Step, api.TotalWeight, next.SinceAt, 0
	}
	kind := api.EventRolloutAdvanced
	if s.state == api.RolloutCompleted {
		// The route is made before the event, since an ended rollout does not correct it any more.
		if want := RouteOf(&next); !r.finish(want, s.why) || !r.complete() {
			return
		}
		defer r.notCompleting()
		kind = api.EventRolloutCompleted
	}
	if err := r.write(kind, next, byGateway(s.why)); err != nil {
		r.log.Warn("the rollout cannot go on, since the journal cannot be written", zap.Error(err))
		return
	}
	if s.state == api.RolloutCanary && s.index == 0 {
		r.allow() // after an earlier rollout of the same version
	}
	r.log.Info("rollout advanced", zap.String("state", next.State), zap.Int("step", next.Step), zap.String("why", next.Why))
}

// finish makes the last route of a rollout, which needs no load.
func (r *runner) finish(route api.Route, why string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin) //nolint:forbidigo // bounded, and nothing is loaded
	defer cancel()
	if err := r.c.opts.Traffic.Set(ctx, route, byGateway(fmt.Sprintf("rollout %s: %s", r.id, why))); err != nil {
		r.log.Warn("the route could not be changed", zap.Error(err))
		return false
	}
	return true
}

// writePending writes the events that come before all others. It is false if it cannot.
func (r *runner) writePending() bool {
	for len(r.pending) > 0 {
		p := r.pending[0]
		if err := r.write(p.kind, r.now, p.by); err != nil {
			return false
		}
		r.pending = r.pending[1:]
	}
	r.unmark()
	return true
}

// rolledBack ends an aborted rollout, whose route is restored.
func (r *runner) rolledBack(now time.Time) {
	next := r.now
	next.State, next.EndedAt, next.SinceAt = api.RolloutRolledBack, now, now
	next.Rollbacks++
	next.Frozen = next.Rollbacks >= freezeAfter
	if err := r.write(api.EventRolloutRolledBack, next, byGateway(next.Why)); err != nil {
		return
	}
	r.log.Warn("rolled back", zap.String("why", next.Why), zap.Bool("frozen", next.Frozen))
}

// freezeAfter is the number of rollbacks in a row after which no rollout of the route can start.
const freezeAfter = 2

// hold pauses the rollout.
func (r *runner) hold(by api.Actor, why string) error {
	next := r.now
	next.Paused, next.State, next.Why, next.SinceAt = r.now.State, api.RolloutPaused, why, time.Now()
	if err := r.write(api.EventRolloutPaused, next, by); err != nil {
		return err
	}
	r.log.Info("rollout paused", zap.String("why", why), zap.String("actor", by.Actor))
	return nil
}

func (r *runner) pause(by api.Actor) error {
	switch r.now.State {
	case api.RolloutShadowing, api.RolloutCanary, api.RolloutBaking:
		return r.hold(by, "paused: "+orNoReason(by.Reason))
	}
	return r.cannot("paused")
}

func (r *runner) cannot(what string) error {
	return infer.Errorf(infer.Conflict, "rollout '%s' cannot be %s: its state is %s", r.id, what, r.now.State)
}

func (r *runner) resume(by api.Actor) error {
	if r.now.State != api.RolloutPaused {
		return r.cannot("resumed")
	}
	next := r.now
	next.State, next.Paused, next.SinceAt, next.Answered, next.Why = next.Paused, "", time.Now(), 0, "resumed: "+orNoReason(by.Reason)
	return r.release(api.EventRolloutResumed, next, by)
}

// release writes an event, after which the version of a halted rollout gets requests again.
func (r *runner) release(kind string, next api.Rollout, by api.Actor) error {
	halted := next.Halted
	next.Halted = false
	if err := r.write(kind, next, by); err != nil {
		return err
	}
	if halted {
		r.allow()
	}
	return nil
}

func (r *runner) promote(by api.Actor) error {
	state := r.now.State
	if state == api.RolloutPaused {
		state = r.now.Paused
	}
	switch state {
	case api.RolloutShadowing, api.RolloutCanary:
		next := r.now
		next.State, next.Paused, next.SinceAt, next.Weight = api.RolloutBaking, "", time.Now(), api.TotalWeight
		next.Why = fmt.Sprintf("version %d gets all requests; promoted by %s: %s", next.Spec.Version, by.Actor, orNoReason(by.Reason))
		return r.release(api.EventRolloutAdvanced, next, by)
	}
	return r.cannot("promoted")
}

func (r *runner) approve(by api.Actor, groups []string) error {
	p := r.c.opts.Policy(r.now.Model)
	switch {
	case r.now.State != api.RolloutAwaiting:
		return r.cannot("approved")
	case !by.Verified:
		return infer.Errorf(infer.Forbidden, "an approval needs a caller with a key, a token or a certificate")
	case by.Actor == r.now.StartedBy.Actor:
		return infer.Errorf(infer.Forbidden, "'%s' has started rollout '%s', and somebody else must approve it", by.Actor, r.id)
	case !may(groups, p.Groups):
		return infer.Errorf(infer.Forbidden, "'%s' is not in a group that approves rollouts of model '%s'", by.Actor, r.now.Model)
	case slices.ContainsFunc(r.now.Approvals, func(a api.Approval) bool { return a.Actor.Actor == by.Actor }):
		return infer.Errorf(infer.Conflict, "'%s' has approved rollout '%s' already", by.Actor, r.id)
	}
	next := r.now
	next.Approvals = append(slices.Clone(next.Approvals), api.Approval{Actor: by, At: time.Now()})
	return r.write(api.EventRolloutApproved, next, by)
}
