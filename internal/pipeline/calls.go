package pipeline

import (
	"math"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

const maxText = 4 << 10 // of a trainer

// Progress takes what a trainer says of its work. Errors: Invalid, NotFound, Conflict if the retraining does not wait for the
// trainer any more.
func (p *Pipeline) Progress(id string, said api.RetrainProgress, by api.Actor) (api.Retraining, error) {
	if said.Progress != nil && (math.IsNaN(*said.Progress) || *said.Progress < 0 || *said.Progress > 1) {
		return api.Retraining{}, infer.Errorf(infer.Invalid, "progress: expected a number from 0 to 1, got %v", *said.Progress)
	}
	said.Message, said.Log = withoutTokens(said.Message), withoutTokens(said.Log)
	if err := checkText("message", said.Message); err != nil {
		return api.Retraining{}, err
	}
	if u, err := url.Parse(said.Log); said.Log != "" && (err != nil || len(said.Log) > maxText || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return api.Retraining{}, infer.Errorf(infer.Invalid, "log: expected a URL that begins with http:// or https://, got '%.100s'", said.Log)
	}
	return p.change(id, by, func(r *api.Retraining) (string, api.RetrainChange, error) {
		c := api.RetrainChange{Progress: said.Progress, Message: said.Message, Log: said.Log}
		if err := unlessWaiting(r); err != nil {
			return "", c, err
		}
		next := *r
		if report(&next, &c); next.State == api.RetrainRunning && same(&next, r) { // it was said before
			return "", c, nil
		}
		return api.EventRetrainRunning, c, nil
	})
}

// same reports whether two reports of progress are equal.
func same(a, b *api.Retraining) bool {
	equal := a.Progress == b.Progress || a.Progress != nil && b.Progress != nil && *a.Progress == *b.Progress
	return equal && a.Message == b.Message && a.Log == b.Log
}

// Fail ends a retraining that its trainer gives up. Errors are as of Progress. A second call with the same reason is answered like
// the first.
func (p *Pipeline) Fail(id, reason string, by api.Actor) (api.Retraining, error) {
	if reason = strings.TrimSpace(reason); reason == "" {
		return api.Retraining{}, infer.Errorf(infer.Invalid, "reason: expected a text that says why the training failed")
	}
	reason = withoutTokens(reason)
	if err := checkText("reason", reason); err != nil {
		return api.Retraining{}, err
	}
	return p.change(id, by, func(r *api.Retraining) (string, api.RetrainChange, error) {
		c := api.RetrainChange{Why: "the trainer says: " + reason}
		if r.State == api.RetrainFailed && r.Why == c.Why {
			return "", c, nil
		}
		return api.EventRetrainFailed, c, unlessWaiting(r)
	})
}

// Cancel ends a retraining. A program that works on it is killed. Errors: NotFound, Conflict if it has ended.
func (p *Pipeline) Cancel(id string, by api.Actor) (api.Retraining, error) {
	return p.change(id, by, func(r *api.Retraining) (string, api.RetrainChange, error) {
		if r.Final() {
			return "", api.RetrainChange{}, infer.Errorf(infer.Conflict, "retraining %s is %s already", r.ID, r.State)
		}
		return api.EventRetrainRejected, api.RetrainChange{Why: "canceled by " + by.Actor + ": " + orNoReason(by.Reason)}, nil
	})
}

// Admits checks that a version of a model may be pushed for a retraining. digest is that of its files, "" if it is not known yet. If
// the same files were pushed before, it returns that version. parent is the version whose problem it is about. Errors: NotFound, Forbidden for another model's retraining, Conflict if
// the retraining does not wait for a version.
func (p *Pipeline) Admits(id, model, digest string) (existing, parent int64, err error) {
	r, err := p.Get(id)
	switch {
	case err != nil:
		return 0, 0, err
	case r.Model != model:
		return 0, 0, infer.Errorf(infer.Forbidden, "retrain: %s is a retraining of model '%s'; a version of model '%s' cannot be pushed for it", id, r.Model, model)
	case waits(&r):
		return 0, r.Parent, nil
	case r.Candidate != 0 && (digest == "" || digest == r.Digest):
		return r.Candidate, r.Parent, nil
	case r.Candidate != 0:
		return 0, 0, infer.Errorf(infer.Conflict, "retrain: version %d was pushed for retraining %s already, with other files", r.Candidate, id)
	}
	return 0, 0, infer.Errorf(infer.Conflict, "retrain: retraining %s is %s; it does not wait for a version any more", id, r.State)
}

func checkText(name, text string) error {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		return infer.Errorf(infer.Invalid, "%s: expected UTF-8 of at most %d bytes without control characters", name, maxText)
	}
	return nil
}
