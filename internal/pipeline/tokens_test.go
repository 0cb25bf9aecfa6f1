package pipeline_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/pipeline"
)

// A token is valid from before a trainer can have it until the retraining ends, also after restarts. The journal has its digest.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.tokens.all = true
		b.again()
		b.queue.set(true)
		b.journal.request(t, "a", "iris")
		sleep(time.Minute)
		if n := b.count(api.EventRetrainToken); n != 1 || len(b.tokens.get()) != 1 || !b.tokens.get()[0].Until.IsZero() {
			t.Fatalf("%d tokens in the journal, %+v", n, b.tokens.get())
		}
		first, err := b.Token("a")
		if err != nil || len(first) != api.TrainerTokenBytes || !strings.HasPrefix(first, api.TrainerTokenPrefix) {
			t.Fatalf("%q %v", first, err)
		}
		b.again()
		b.queue.set(false)
		sleep(time.Minute)
		r := b.want("a", api.RetrainAccepted)
		doc := string(b.queue.last)
		if !strings.HasSuffix(doc, "\"\n}\n") || strings.Contains(doc, first) || strings.Count(doc, api.TrainerTokenPrefix) != 1 {
			t.Errorf("the trainer got %s", doc)
		}
		kept, err := b.Document(t.Context(), "a")
		if err != nil || strings.Contains(string(kept), api.TrainerTokenPrefix) {
			t.Errorf("%v %s", err, kept)
		}
		if without := strings.Replace(doc, doc[strings.LastIndex(doc, ",\n"):], "\n}\n", 1); without != string(kept) {
			t.Errorf("without the token the trainer got %s, want %s", without, kept) // so that its digest is that of the journal
		}
		_, token, _ := strings.Cut(doc, api.TrainerTokenPrefix)
		token = api.TrainerTokenPrefix + strings.Trim(token, "\"\n}")
		valid := map[[sha256.Size]byte]bool{}
		for _, x := range b.tokens.get() {
			if valid[x.Digest] = true; x.ID != "a" || x.Model != "iris" || !x.Until.Equal(*r.Deadline) {
				t.Errorf("%+v", x)
			}
		}
		if len(valid) != 2 || !valid[sha256.Sum256([]byte(first))] || !valid[sha256.Sum256([]byte(token))] {
			t.Errorf("%d are valid", len(valid)) // a queue may have either
		}
		events, err := b.journal.Read(0, 1000, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			for _, secret := range []string{first, token} {
				if strings.Contains(string(e.After), secret) {
					t.Errorf("the journal has the token: %s", e.After)
				}
			}
			if sum := sha256.Sum256([]byte(first)); e.Type == api.EventRetrainToken && strings.Contains(string(e.After), hex.EncodeToString(sum[:])) {
				valid[sum] = false
			}
		}
		if valid[sha256.Sum256([]byte(first))] {
			t.Error("the journal does not have the digest")
		}
		// What a trainer says must not have it.
		if r, err := b.Progress("a", api.RetrainProgress{Message: "I have " + token}, api.Actor{}); err != nil || r.Message != "I have "+api.TrainerTokenPrefix+"…" {
			t.Errorf("%+v %v", r, err)
		}
		b.again()
		if len(b.tokens.get()) != 2 {
			t.Errorf("after a restart: %+v", b.tokens.get())
		}
		if _, err := b.Fail("a", "no", api.Actor{}); err != nil {
			t.Fatal(err)
		}
		if len(b.tokens.get()) != 0 {
			t.Errorf("after the end: %+v", b.tokens.get())
		}
		if _, err := b.Token("a"); infer.CodeOf(err) != infer.Conflict {
			t.Errorf("got %v", err)
		}
		b.again()
		if len(b.tokens.get()) != 0 {
			t.Errorf("after a restart: %+v", b.tokens.get())
		}
	})
}

// After the end of its retraining a token is kept for repeated calls, for a time, also after restarts. None of them changes anything.
func TestTokensAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.tokens.all, b.tokens.grace = true, time.Hour
		b.again()
		b.journal.request(t, "a", "iris")
		sleep(time.Minute)
		token, err := b.Token("a")
		if err != nil || token == "" {
			t.Fatalf("%q %v", token, err)
		}
		b.side.mu.Lock()
		b.side.problem = infer.Errorf(infer.Unavailable, "not yet")
		b.side.mu.Unlock()
		b.journal.register(t, "a", "iris", 2, "sha256:2")
		sleep(time.Minute)
		r := b.want("a", api.RetrainJudged)
		if got := b.tokens.get(); len(got) != 1 || got[0].Ended || !got[0].Until.IsZero() || !got[0].Over.Equal(*r.Deadline) {
			t.Errorf("while its version is judged: %+v", got)
		}
		b.side.mu.Lock()
		b.side.problem = nil
		b.side.mu.Unlock()
		sleep(time.Minute)
		r = b.want("a", api.RetrainFinished)
		last := b.journal.Last()
		for range 2 {
			got := b.tokens.get()
			if len(got) != 1 || !got[0].Ended || got[0].Digest != sha256.Sum256([]byte(token)) || !got[0].Until.Equal(r.ChangedAt.Add(time.Hour)) {
				t.Errorf("after the end: %+v", got)
			}
			if existing, _, err := b.Admits("a", "iris", "sha256:2"); existing != 2 || err != nil {
				t.Errorf("version %d, %v", existing, err)
			}
			_, _, err := b.Admits("a", "iris", "sha256:3")
			if infer.CodeOf(err) != infer.Conflict {
				t.Errorf("other files: %v", err)
			}
			if _, err := b.Progress("a", api.RetrainProgress{Message: "still here"}, api.Actor{}); infer.CodeOf(err) != infer.Conflict || !strings.Contains(err.Error(), api.RetrainFinished) {
				t.Errorf("progress: %v", err)
			}
			if _, err := b.Fail("a", "too late", api.Actor{}); infer.CodeOf(err) != infer.Conflict {
				t.Errorf("failure: %v", err)
			}
			b.again()
		}
		if now := b.want("a", api.RetrainFinished); b.journal.Last() != last || now.ChangedAt != r.ChangedAt {
			t.Errorf("%d events more: %+v", b.journal.Last()-last, now)
		}
		sleep(time.Hour)
		b.journal.request(t, "b", "iris")
		sleep(time.Second)
		if got := b.tokens.get(); len(got) != 1 || got[0].ID != "b" {
			t.Errorf("an hour later: %+v", got)
		}
		b.again()
		if _, err := b.Fail("b", "no", api.Actor{}); err != nil {
			t.Fatal(err)
		}
		sleep(pipeline.MaxTokenGrace)
		b.journal.request(t, "c", "iris")
		sleep(time.Second)
		if _, err := b.Fail("c", "no", api.Actor{}); err != nil {
			t.Fatal(err)
		}
		b.tokens.grace = 2 * pipeline.MaxTokenGrace
		b.again()
		if got := b.tokens.get(); len(got) != 1 || got[0].ID != "c" || !got[0].Until.Equal(b.want("c", api.RetrainFailed).ChangedAt.Add(pipeline.MaxTokenGrace)) {
			t.Errorf("a day later: %+v", got)
		}
		if first, err := b.Fail("c", "no", api.Actor{}); err != nil || first.State != api.RetrainFailed {
			t.Errorf("the same failure again: %+v %v", first, err)
		}
	})
}

func TestNoTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.journal.request(t, "a", "iris")
		sleep(0)
		if token, err := b.Token("a"); token != "" || err != nil || b.count(api.EventRetrainToken) != 0 || strings.Contains(string(b.queue.last), "token") {
			t.Errorf("%q %v", token, err)
		}
	})
}
