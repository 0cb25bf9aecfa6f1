package registry

import (
	"context"
	"sync"
	"sync/atomic"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Servable is a loaded version. The registry's owner makes it.
type Servable interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
	Model() *infer.Model
	Detail() *api.ModelDetail
	// Queued returns the number of accepted requests that wait for a run.
	Queued() int
	// Memory returns the known bytes outside Go's heap.
	Memory() api.ModelMemory
	// Shutdown finishes accepted work and frees everything. If ctx ends, it abandons that
	// work, but returns only when nothing uses the memory any more.
	Shutdown(ctx context.Context) error
}

// retired marks a version that accepts no new users. The bits below it count users.
const retired = int64(1) << 62

// Leased is a Servable with a count of its users. A user holds a lease from Acquire to
// Release. A retired version gives no new leases and is closed when the last one ends.
type Leased struct {
	Servable

	digest  string
	users   atomic.Int64
	once    sync.Once
	drained chan struct{} // closed when retired and without users
}

func newLeased(s Servable, digest string) *Leased {
	return &Leased{Servable: s, digest: digest, drained: make(chan struct{})}
}

// Digest returns the digest of the files that the version was loaded from.
func (l *Leased) Digest() string { return l.digest }

// Acquire takes a lease. It returns false if the version was retired. Then the caller looks
// for another version.
func (l *Leased) Acquire() bool {
	if l.users.Add(1)&retired == 0 {
		return true
	}
	l.Release()
	return false
}

// Release ends a lease.
func (l *Leased) Release() {
	if l.users.Add(-1) == retired {
		l.once.Do(func() { close(l.drained) })
	}
}

// retire refuses new leases from now on. It returns false if it was called before.
func (l *Leased) retire() bool {
	before := l.users.Or(retired)
	if before == 0 {
		l.once.Do(func() { close(l.drained) })
	}
	return before&retired == 0
}
