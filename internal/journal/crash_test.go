//go:build linux

package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// TestFullDisk limits a process to the current size of its file.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := child(t, "fill", dir).Output(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	l := open(t, dir)
	if l.Last() < 10 {
		t.Errorf("only %d events", l.Last())
	}
	wantEvents(t, l, l.Last())
	verified(t, l)
	if segments, _ := journal.Segments(l); segments == 0 {
		t.Error("nothing was archived")
	}
}

// TestFullFileSystem fills a small file system. There the write of a page fails instead of
// the change of the file's length.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("journal-test", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("may not mount: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	ballast := filepath.Join(dir, "ballast")
	write(t, ballast, make([]byte, 64<<10))
	l, err := journal.Open(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{32 << 10, 0} {
		if err := fill(l); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(fill(l), cutFull(l), fill(l)); err != nil { // and again
			t.Fatal(err)
		}
		write(t, ballast, make([]byte, size))
		add(t, l, 2)
	}
	last := l.Last()
	wantEvents(t, l, last)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = journal.Open(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, l, last)
	verified(t, l)
	segments, _ := journal.Segments(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events, %d segments", last, segments)
}

// TestCutWhileOpen truncates the file of an open log, which faults in mapped memory.
func TestCutWhileOpen(t *testing.T) {
	f := func(size int64) {
		t.Helper()
		dir := t.TempDir()
		l := open(t, dir)
		add(t, l, 50)
		if err := os.Truncate(filepath.Join(dir, fileName), size); err != nil {
			t.Fatal(err)
		}
		_, err := l.Read(0, 100, journal.Filter{})
		wantCode(t, err, infer.Internal)
		for range 2 {
			_, err = l.Append(50, event(51))
			wantCode(t, err, infer.Unavailable)
		}
	}
	f(0)
	f(4096)
	f(8192)
}

func TestNoPermission(t *testing.T) {
	f := func(dir string) {
		t.Helper()
		if out, err := child(t, "nobody", dir).Output(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	}
	top := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(top), 0o755), os.Chmod(top, 0o555)); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(top, 0o755) //nolint:errcheck // the clean-up needs it, and reports a failure
	f(top)
	f(filepath.Join(top, "new"))

	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, fileName), read(t, filepath.Join(made(t, 1), fileName)))
	for _, mode := range []os.FileMode{0, 0o444} {
		if err := os.Chmod(filepath.Join(dir, fileName), mode); err != nil {
			t.Fatal(err)
		}
		f(dir)
	}
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	f(dir)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(fmt.Errorf("the clean-up needs it: %w", err))
	}
}
