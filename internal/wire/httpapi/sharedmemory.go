package httpapi

import "sluice.io/sluice/internal/wire/front"

// sharedMemory answers the endpoints of shared memory.
func (x *exchange) sharedMemory() error {
	switch x.target.endpoint {
	case endpointMemoryStatus:
		return x.memoryStatus()
	case endpointMemoryRegister:
		return front.NoSharedMemory()
	default:
		return x.memoryUnregister()
	}
}

// memoryStatus answers GET /v2/systemsharedmemory[/region/R]/status, and that of CUDA: no region
// is ever registered.
func (x *exchange) memoryStatus() error {
	if x.target.region != "" {
		return front.NoRegion(x.target.memory, x.target.region)
	}
	return x.document(append(x.body(), "[]"...))
}

// memoryUnregister answers POST /v2/systemsharedmemory[/region/R]/unregister, and that of CUDA,
// with 200 and no body: clients unregister what an earlier run may have left.
func (x *exchange) memoryUnregister() error {
	return x.document(x.body())
}
