package pipeline

import (
	"context"
	"errors"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// unlessWaiting returns an error that ends a change if a retraining does not wait for a version.
func unlessWaiting(r *api.Retraining) error {
	if waits(r) {
		return nil
	}
	return infer.Errorf(infer.Conflict, "retraining %s is %s; it does not wait for a trainer any more", r.ID, r.State)
}

// close closes the signal of a retraining that has ended, so that the cool-down begins.
func (p *Pipeline) close(_ context.Context, r api.Retraining) error {
	why := "the retraining is " + r.State
	if r.Why != "" {
		why += ": " + r.Why
	}
	err := p.opts.Gateway.Close(r.ID, why)
	if code := infer.CodeOf(err); err != nil && (code == infer.Conflict || code == infer.NotFound) {
		p.mu.Lock() // it was closed, and the event about it is not read yet, or the list of signals does not have it any more
		delete(p.fold.open, r.ID)
		p.mu.Unlock()
		return nil
	}
	return err
}

// accept gives a retraining whose request the webhook has taken its deadline and its document.
func (p *Pipeline) accept(ctx context.Context, r api.Retraining) error {
	return p.hand(ctx, r, api.TrainerWebhook, 0)
}

// hand writes that a trainer has a request.
func (p *Pipeline) hand(ctx context.Context, r api.Retraining, trainer string, attempt int) error {
	deadline := p.deadline(&r)
	_, digest, err := p.prepare(ctx, r, deadline)
	if err != nil {
		return err
	}
	_, err = p.change(r.ID, byGateway(), func(r *api.Retraining) (string, api.RetrainChange, error) {
		return api.EventRetrainAccepted, api.RetrainChange{Trainer: trainer, Deadline: &deadline, Document: digest, Attempt: attempt}, unlessWaiting(r)
	})
	return ignoreConflict(err)
}

// publish gives a request to the queue. The queue drops repeated ones.
func (p *Pipeline) publish(ctx context.Context, r api.Retraining) error {
	text, _, err := p.prepare(ctx, r, p.deadline(&r))
	if err != nil {
		return err
	}
	token, err := p.Token(r.ID)
	if err != nil {
		return ignoreConflict(err)
	}
	if text, err = withToken(text, token); err != nil {
		return err
	}
	if err := p.opts.Queue.Publish(ctx, r.ID, r.Model, text); err != nil {
		return err
	}
	return p.hand(ctx, r, api.TrainerNATS, 0)
}

func (p *Pipeline) expire(_ context.Context, r api.Retraining) error {
	_, err := p.change(r.ID, byGateway(), func(r *api.Retraining) (string, api.RetrainChange, error) {
		return api.EventRetrainExpired, api.RetrainChange{Why: "no version was pushed until " + r.Deadline.Format(time.RFC3339)}, unlessWaiting(r)
	})
	return ignoreConflict(err)
}

// fail ends a retraining that waits for a version.
func (p *Pipeline) fail(id, why string) error {
	_, err := p.change(id, byGateway(), func(r *api.Retraining) (string, api.RetrainChange, error) {
		return api.EventRetrainFailed, api.RetrainChange{Why: why}, unlessWaiting(r)
	})
	return ignoreConflict(err)
}

// ignoreConflict makes nil of the error that another change was first.
func ignoreConflict(err error) error {
	if infer.CodeOf(err) == infer.Conflict {
		return nil
	}
	return err
}

func (p *Pipeline) judge(ctx context.Context, r api.Retraining) error {
	j, err := p.opts.Gateway.Judge(ctx, r)
	if err != nil {
		return err
	}
	_, err = p.change(r.ID, byGateway(), func(r *api.Retraining) (string, api.RetrainChange, error) {
		if r.State != api.RetrainRegistered {
			return "", api.RetrainChange{}, nil
		}
		return api.EventRetrainJudged, api.RetrainChange{Judgement: &j, Why: j.Why}, nil
	})
	return err
}

// apply applies the rollout policy, unless the candidate is worse.
func (p *Pipeline) apply(ctx context.Context, r api.Retraining) error {
	if r.Judgement == nil {
		return errors.New("the retraining is judged, and has no judgement")
	}
	done := Applied{Why: "the version is worse than its parent, so nothing was done with it"}
	if r.Judgement.Verdict != api.VerdictWorse {
		var err error
		done, err = p.opts.Gateway.Apply(ctx, r)
		if code := infer.CodeOf(err); err != nil && code != infer.Conflict && code != infer.Unavailable && ctx.Err() == nil {
			done = Applied{Why: "the rollout policy cannot be applied: " + infer.Message(err)}
		} else if err != nil {
			return err
		}
	}
	_, err := p.change(r.ID, byGateway(), func(r *api.Retraining) (string, api.RetrainChange, error) {
		if r.State != api.RetrainJudged {
			return "", api.RetrainChange{}, nil
		}
		return api.EventRetrainFinished, api.RetrainChange{Rollout: done.Rollout, Why: done.Why}, nil
	})
	return err
}
