package batch

import "runtime"

// onOwnThread calls f on an OS thread of its own with the lowest priority, which lower
// gives to the calling thread; complain is told if it cannot. The goroutine never lets
// go of the thread, so that it ends with the goroutine: without privileges a priority can
// be lowered but not raised again, and no other goroutine may find itself there.
func onOwnThread(lower func() error, complain func(error), f func()) {
	runtime.LockOSThread()
	if onMainThread() {
		// This one outlives the goroutine, and what it has is taken for what the
		// process has. While it is held here, the next goroutine gets another.
		defer runtime.UnlockOSThread()
		done := make(chan struct{})
		go func() { // waited for below
			defer close(done)
			onOwnThread(lower, complain, f)
		}()
		<-done
		return
	}
	if err := lower(); err != nil {
		complain(err)
	}
	f()
}
