//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"
)

// lock tries to lock a file as bbolt does. Closing the file releases the lock.
func lock(fd *os.File) (bool, error) {
	err := syscall.Flock(int(fd.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a descriptor is small
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return false, nil
	}
	return false, err
}
