// Package bolt calls a bbolt file in such a way that a damaged file does not end the process, and that
// nothing is written after a write whose outcome is not known.
package bolt

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// ErrPanic says that bbolt panicked or that its memory map faulted. bbolt may still hold its locks, so
// it must not be called again.
var ErrPanic = errors.New("panic in the store")

// Guard makes the calls into one file. Its zero value is ready, and its methods may be called from any
// goroutine.
type Guard struct{ panicked atomic.Bool }

// Panicked reports whether a call has panicked. Later calls return ErrPanic, and the file must not be
// closed.
func (g *Guard) Panicked() bool { return g.panicked.Load() }

// Call calls into bbolt and turns a panic into an error. So it does with a fault in mapped memory, which
// happens if another program truncated the open file.
func (g *Guard) Call(call func() error) (err error) {
	if g.panicked.Load() {
		return ErrPanic
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			g.panicked.Store(true)
			err = fmt.Errorf("%w: %v", ErrPanic, p)
		}
	}()
	return call()
}

// Update runs a transaction that writes. If it fails, made reports whether the change is visible anyway:
// then the page that makes it valid was written, but may not be on disk. As long as that is not known,
// bbolt must not reuse pages, and broken is true: the caller must not write again.
func (g *Guard) Update(db *bbolt.DB, change func(tx *bbolt.Tx) error, made func(tx *bbolt.Tx) bool) (broken bool, err error) {
	err = g.Call(func() error { return db.Update(change) })
	if err == nil {
		return false, nil
	}
	looked := g.Call(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			broken = made(tx)
			return nil
		})
	})
	return broken || looked != nil, err
}
