package httpapi

import "golang.org/x/sys/unix"

// hungUp reports whether the other side of a socket sends no more, whatever it has sent before.
func hungUp(fd uintptr) bool {
	events := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} //nolint:gosec // a descriptor
	n, err := unix.Poll(events[:], 0)
	return err == nil && n > 0 && events[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}
