package loadgen

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cores returns how many cores this process may use now.
func cores() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return runtime.NumCPU()
	}
	return max(1, set.Count())
}

// processTime returns the processor time of this process so far.
func processTime() time.Duration { return used(unix.RUSAGE_SELF) }

// threadTime returns that of the calling thread.
func threadTime() time.Duration { return used(unix.RUSAGE_THREAD) }

// threadDelay returns for how long the calling thread could have run and had no
// core; 0 if the kernel does not count that.
func threadDelay() time.Duration {
	text, err := os.ReadFile("/proc/thread-self/schedstat")
	fields := strings.Fields(string(text)) // it ran, it waited, turns
	if err != nil || len(fields) < 2 {
		return 0
	}
	ns, _ := strconv.ParseInt(fields[1], 10, 64)
	return time.Duration(ns)
}

func used(who int) time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(who, &u) // it cannot fail for these two
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// senders returns one loop per thread.
func (r *run) senders(ctx context.Context) ([]sender, error) {
	if r.secure {
		return []sender{newPool(r)}, nil
	}
	address, err := resolve(ctx, r.address)
	if err != nil {
		return nil, err
	}
	list := make([]sender, r.Threads)
	for i := range list {
		l, err := newLoop(r, address, i)
		if err != nil {
			for _, s := range list[:i] {
				s.close()
			}
			return nil, err
		}
		list[i] = l
	}
	return list, nil
}

// resolve returns the address of a host. A name may have several, of two families:
// a connection finds out which one answers.
func resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	if known, err := netip.ParseAddrPort(address); err == nil {
		return known, nil
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	found, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return netip.AddrPortFrom(found.Addr().Unmap(), found.Port()), err
}
