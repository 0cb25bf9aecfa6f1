package registry_test

import (
	"errors"
	"strings"
	"testing"

	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/testing/slowdisk"
)

// Who lists versions does not wait until another one is on disk.
func TestReadsDoNotWaitForWrites(t *testing.T) {
	repo, w := writable(t, t.TempDir())
	s := stage(t, w)
	if err := errors.Join(s.Write(registry.ModelFile, strings.NewReader("model"), 5), s.Publish("iris", 1), s.Discard()); err != nil {
		t.Fatal(err)
	}
	repo.WhileWriting(func() {
		slowdisk.AtOnce(t, "Stored", func() {
			if list, err := repo.Stored(""); err != nil || len(list) != 1 || list[0].Number != 1 {
				t.Errorf("%+v %v", list, err)
			}
		})
	})
}
