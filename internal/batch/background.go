package batch

import (
	"runtime"

	"go.uber.org/zap"
)

// onOwnThread calls f, a worker's loop, on an OS thread of its own with the
// lowest priority. The goroutine never lets go of the thread, so that it ends
// with the goroutine: without privileges a priority can be lowered but not raised
// again, and no other goroutine may find itself there.
func (b *Batcher) onOwnThread(f func()) {
	runtime.LockOSThread()
	if onMainThread() {
		// This one outlives the goroutine, and what it has is taken for what the
		// process has. While it is held here, the next goroutine gets another.
		defer runtime.UnlockOSThread()
		done := make(chan struct{})
		go func() { // waited for below
			defer close(done)
			b.onOwnThread(f)
		}()
		<-done
		return
	}
	if err := b.lower(); err != nil {
		b.complain.Do(func() {
			b.log.Warn("background work runs with the priority of the rest", zap.String("model", b.model.Name),
				zap.Int64("version", b.model.Version), zap.Error(err))
		})
	}
	f()
}
