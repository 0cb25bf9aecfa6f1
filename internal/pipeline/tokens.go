package pipeline

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// Token is a token that is valid for one retraining.
type Token struct {
	ID, Model string
	Digest    [sha256.Size]byte
	Until     time.Time // zero: until the retraining ends
	// From Over on, the token may only repeat calls; zero: never. Ended says that the retraining has ended: then Over has passed, whatever it is.
	Over  time.Time
	Ended bool
}

// MaxTokenGrace is the max time for which the token of an ended retraining is kept.
const MaxTokenGrace = 24 * time.Hour

// maxTokens is the max number of tokens of a retraining. A start of the gateway makes a new one, since it does not know the earlier ones;
// a message in a queue may have one of those.
const maxTokens = 8

// digestPrefix begins a digest in the journal.
const digestPrefix = "sha256:"

// issue notes a token. A program's token takes the place of that of the program that it follows.
func (f *Fold) issue(e api.Event) error {
	var c api.RetrainChange
	if err := json.Unmarshal(e.After, &c); err != nil {
		return err
	}
	r := f.byID[strings.TrimPrefix(e.Subject, subject)]
	if r == nil || r.Final() {
		return nil
	}
	list := append(slices.Clone(f.tokens[r.ID]), c.Token)
	if c.Trainer == api.TrainerExec {
		list = list[len(list)-1:]
	}
	f.tokens[r.ID] = list[max(0, len(list)-maxTokens):]
	return nil
}

// endTokens keeps the tokens of a retraining that has ended for calls that are repeated, and forgets those for which that is too long ago.
func (f *Fold) endTokens(r *api.Retraining, now time.Time) {
	if list := f.tokens[r.ID]; len(list) > 0 {
		f.ended[r.ID] = list
	}
	delete(f.tokens, r.ID)
	for id := range f.ended {
		if r := f.byID[id]; r == nil || now.Sub(r.ChangedAt) > MaxTokenGrace {
			delete(f.ended, id)
		}
	}
}

// valid returns the tokens that are valid. grace is for how long that of an ended retraining is.
func (f *Fold) valid(grace func(model string) time.Duration) (list []Token) {
	for _, r := range f.list {
		digests := slices.Concat(f.tokens[r.ID], f.ended[r.ID])
		if len(digests) == 0 {
			continue
		}
		t := Token{ID: r.ID, Model: r.Model, Ended: r.Final()}
		left := min(grace(r.Model), MaxTokenGrace)
		switch {
		case t.Ended:
			t.Until = r.ChangedAt.Add(left)
		case r.Deadline != nil && !waits(r) && left > 0: // the version is pushed, and its comparison may take longer
			t.Over = *r.Deadline
		case r.Deadline != nil:
			t.Until = *r.Deadline
		}
		if t.Ended && !time.Now().Before(t.Until) {
			continue
		}
		for _, text := range digests {
			if n, err := hex.Decode(t.Digest[:], []byte(strings.TrimPrefix(text, digestPrefix))); err != nil || n != len(t.Digest) {
				continue
			}
			list = append(list, t)
		}
	}
	return list
}

// Token returns the token that the trainer of a retraining gets, "" if the model's trainers get none. The journal has its digest before a
// trainer can have it. It fails with NotFound, and with Conflict if the retraining has ended.
func (p *Pipeline) Token(id string) (string, error) {
	r, err := p.Get(id)
	if err != nil {
		return "", err
	}
	s := p.opts.Settings(r.Model)
	if !s.Token {
		return "", nil
	}
	var random [sha256.Size]byte
	_, _ = rand.Read(random[:]) // it never fails
	token := api.TrainerTokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	sum := sha256.Sum256([]byte(token))
	_, err = p.change(id, byGateway(), func(r *api.Retraining) (string, api.RetrainChange, error) {
		c := api.RetrainChange{Trainer: s.Trainer, Token: digestPrefix + hex.EncodeToString(sum[:])}
		if known := p.tokens[id]; known != "" {
			token = known
			return "", c, nil
		}
		return api.EventRetrainToken, c, unlessWaiting(r)
	})
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[id] = token
	return token, nil
}

// admit tells who may call after a change. p.mu must be held.
func (p *Pipeline) admit() {
	for id := range p.tokens {
		if r := p.fold.byID[id]; r == nil || r.Final() {
			delete(p.tokens, id)
		}
	}
	if p.opts.Tokens != nil {
		p.opts.Tokens(p.fold.valid(p.opts.TokenGrace))
	}
}
