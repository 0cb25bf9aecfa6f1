//go:build !linux

package batch

// lowerPriority does nothing: only Linux has a priority for a single thread.
func lowerPriority() error { return nil }

// onMainThread is not used if no priority is lowered.
func onMainThread() bool { return false }
