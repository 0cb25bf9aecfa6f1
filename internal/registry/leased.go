package registry

import (
	"context"
	"sync"
	"sync/atomic"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Servable is a loaded version as the registry's owner composes it.
type Servable interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
	Model() *infer.Model
	Detail() *api.ModelDetail
	// Queued returns how many accepted requests wait for a run.
	Queued() int
	// Memory returns the bytes held outside Go's heap, as far as they are known.
	Memory() api.ModelMemory
	// Shutdown finishes accepted work and frees everything. Once ctx ends it
	// abandons that work, but returns only when nothing uses the memory any more.
	Shutdown(ctx context.Context) error
}

// retired marks a version that takes no new users; the bits below count them.
const retired = int64(1) << 62

// Leased is a loaded version, a Servable, with a count of its users. A user holds a
// lease from Acquire to Release; what is retired takes no new leases and is closed
// when the last one ends.
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

// Digest returns the digest of the version's files, as they were loaded.
func (l *Leased) Digest() string { return l.digest }

// Acquire takes a lease. It is false if the version was retired; the caller
// then looks for another.
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

// retire refuses new leases from now on. It is false if it was called before.
func (l *Leased) retire() bool {
	before := l.users.Or(retired)
	if before == 0 {
		l.once.Do(func() { close(l.drained) })
	}
	return before&retired == 0
}
