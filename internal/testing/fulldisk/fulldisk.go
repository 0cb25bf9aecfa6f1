//go:build unix

// Package fulldisk lets a test run while files cannot grow.
package fulldisk

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// inChild marks the process in which files cannot grow.
const inChild = "SLUICE_TEST_FULL_DISK"

// Alone reports whether the test runs in a process of its own. If not, it runs the test in one:
// the limit on the size of files belongs to the process.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inChild) != "" {
		signal.Ignore(syscall.SIGXFSZ) // a write then fails with the error that the file is too large
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inChild+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v %s", err, out)
	}
	return false
}

// Limited runs f while no file can grow beyond a size in bytes.
func Limited(t *testing.T, size int64, f func()) {
	t.Helper()
	var before syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before)
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(size), Max: before.Max}) //nolint:gosec // not negative
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
	}()
	f()
}
