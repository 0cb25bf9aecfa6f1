package batch

import "runtime"

// onOwnThread calls f on an OS thread of its own with the lowest priority, which lower sets for
// the calling thread. complain gets the error if lower fails. The goroutine never unlocks the
// thread, so the thread ends with the goroutine: without privileges a priority cannot be raised
// again, and no other goroutine may run there.
func onOwnThread(lower func() error, complain func(error), f func()) {
	runtime.LockOSThread()
	if onMainThread() {
		// The main thread outlives the goroutine, and its priority is shown as that of the
		// process. While it is locked here, the next goroutine gets another thread.
		defer runtime.UnlockOSThread()
		done := make(chan struct{})
		go func() { // the receive below waits for it
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
