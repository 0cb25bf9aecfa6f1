//go:build !linux

package batch

// lowerPriority does nothing: no priority of a single thread is known here.
func lowerPriority() error { return nil }

// onMainThread is of no interest where nothing is lowered.
func onMainThread() bool { return false }
