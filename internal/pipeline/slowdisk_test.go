package pipeline_test

import (
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/slowdisk"
)

// While an event is being written, reads do not wait. It is not in virtual time, in which a caller that waits for a mutex would stop the clock.
func TestReadsDoNotWaitForTheJournal(t *testing.T) {
	b := newBench(t, api.TrainerNATS)
	b.journal.request(t, "a", "iris")
	for end := time.Now().Add(time.Minute); b.count(api.EventRetrainAccepted) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no trainer has it within a minute")
		}
	}
	if _, err := b.Document(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	b.journal.mu.Lock()
	b.journal.stuck, b.journal.waiting = make(chan struct{}), make(chan struct{}, 10)
	release := sync.OnceFunc(func() { close(b.journal.stuck) })
	b.journal.mu.Unlock()
	t.Cleanup(release) // before the pipeline is stopped
	said := make(chan error, 1)
	go func() {
		_, err := b.Progress("a", api.RetrainProgress{Message: "it goes on"}, api.Actor{})
		said <- err
	}()
	<-b.journal.waiting

	slowdisk.AtOnce(t, "Get", func() { b.want("a", api.RetrainAccepted) })
	slowdisk.AtOnce(t, "List", func() {
		if list := b.List(); len(list) != 1 || list[0].State != api.RetrainAccepted {
			t.Errorf("%+v", list)
		}
	})
	slowdisk.AtOnce(t, "Since", func() {
		if n := b.Since("iris", time.Time{}); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	slowdisk.AtOnce(t, "LastRequest", func() {
		if b.LastRequest("iris").IsZero() {
			t.Error("there was no request")
		}
	})
	slowdisk.AtOnce(t, "Document", func() {
		if text, err := b.Document(t.Context(), "a"); err != nil || len(text) == 0 {
			t.Errorf("%q %v", text, err)
		}
	})
	slowdisk.AtOnce(t, "Admits", func() {
		if _, parent, err := b.Admits("a", "iris", ""); err != nil || parent != 1 {
			t.Errorf("parent %d, %v", parent, err)
		}
	})
	release()
	if err := <-said; err != nil {
		t.Error(err)
	}
	b.want("a", api.RetrainRunning)
}
