package ort

import (
	"sync/atomic"
	"unsafe"

	"sluice.io/sluice/internal/infer"
)

// Memory counts bytes of C memory by purpose.
type Memory struct {
	inputs, outputs atomic.Int64
	parent          *Memory
}

// Inputs returns the bytes of the blocks that inputs are gathered in.
func (m *Memory) Inputs() int64 { return m.inputs.Load() }

// Outputs returns the bytes of the blocks that outputs are written to. Outputs that the runtime
// allocates itself (shapes that depend on the data) are not included.
func (m *Memory) Outputs() int64 { return m.outputs.Load() }

// InUse returns the sum of both.
func (m *Memory) InUse() int64 { return m.Inputs() + m.Outputs() }

// alignment is the alignment of every tensor in a block, in bytes: a cache line, and the widest
// vector.
const alignment = 64

func align(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// block is growing C memory of one owner.
type block struct {
	data  unsafe.Pointer
	size  int64
	keep  int64 // larger blocks are freed by trim
	count func(delta int64)
}

// newBlock returns an empty block that is counted in m and its parents.
func newBlock(keep int64, m *Memory, purpose func(*Memory) *atomic.Int64) block {
	return block{keep: keep, count: func(delta int64) {
		for level := m; level != nil; level = level.parent {
			purpose(level).Add(delta)
		}
	}}
}

// ensure makes room for n bytes and reports whether the block moved. A move loses its contents.
func (b *block) ensure(n int64) (moved bool, err error) {
	if b.size >= n && b.data != nil {
		return false, nil
	}
	// The block doubles, so that slowly growing requests seldom move it. It does not double
	// past keep, since it would be freed after every run.
	size := align(max(n, min(2*b.size, b.keep), 1))
	b.free()
	if b.data = allocate(size); b.data == nil {
		return true, infer.Errorf(infer.Internal, "out of memory: %d bytes are needed for tensors", size)
	}
	b.size = size
	b.count(size)
	return true, nil
}

// bytes returns a part of the block.
func (b *block) bytes(offset, n int64) []byte {
	if offset < 0 || n < 0 || offset+n > b.size {
		panic("BUG: a tensor outside its block")
	}
	return unsafe.Slice((*byte)(unsafe.Add(b.data, offset)), n)
}

// trim frees the block if it is larger than keep, and reports whether it did.
func (b *block) trim() bool {
	if b.size <= b.keep {
		return false
	}
	b.free()
	return true
}

func (b *block) free() {
	if b.data == nil {
		return
	}
	if invariants {
		for i, all := 0, b.bytes(0, b.size); i < len(all); i++ {
			all[i] = 0xCC
		}
	}
	deallocate(b.data)
	b.count(-b.size)
	b.data, b.size = nil, 0
}
