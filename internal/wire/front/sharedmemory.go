package front

import "sluice.io/sluice/internal/infer"

// NoSharedMemory is the answer to a call that registers a region of shared memory.
func NoSharedMemory() error {
	return infer.Errorf(infer.Unsupported, "shared memory is not supported: send tensors in the request")
}

// NoRegion is the answer to a call that asks for one region of shared memory. kind is "system"
// or "CUDA".
func NoRegion(kind, name string) error {
	return infer.Errorf(infer.NotFound, "Unable to find %s shared memory region: '%s'", kind, Cut(name))
}
