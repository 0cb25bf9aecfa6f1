package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/registry"
)

// Who lists versions does not wait until another one is on disk.
func TestReadsDoNotWaitForWrites(t *testing.T) {
	repo, w := writable(t, t.TempDir())
	s := stage(t, w)
	if err := errors.Join(s.Write(registry.ModelFile, strings.NewReader("model"), 5), s.Publish("iris", 1), s.Discard()); err != nil {
		t.Fatal(err)
	}
	repo.WhileWriting(func() {
		type result struct {
			list []registry.Stored
			err  error
		}
		read := make(chan result, 1)
		go func() { list, err := repo.Stored(""); read <- result{list, err} }()
		select {
		case r := <-read:
			if r.err != nil || len(r.list) != 1 || r.list[0].Number != 1 {
				t.Errorf("%+v %v", r.list, r.err)
			}
		case <-time.After(time.Minute):
			t.Fatal("it waits")
		}
	})
}
