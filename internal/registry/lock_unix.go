//go:build unix

package registry

import (
	"os"
	"syscall"
)

// lock locks a file, or fails if another process has it. Closing the file releases the lock.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor is small
}
