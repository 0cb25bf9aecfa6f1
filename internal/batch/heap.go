package batch

// ranked is an element of a heap: it is ordered, and stores its index.
type ranked[T any] interface {
	before(other T) bool
	place() *int
}

// heap is a binary heap whose elements store their indices, so any of them can be removed. The
// standard one would box every element.
type heap[T ranked[T]] []T

func (h heap[T]) top() T { return h[0] }

func (h *heap[T]) push(x T) {
	*x.place() = len(*h)
	*h = append(*h, x)
	h.up(len(*h) - 1)
}

func (h *heap[T]) remove(x T) {
	i, last := *x.place(), len(*h)-1
	h.swap(i, last)
	var none T
	(*h)[last] = none
	*h = (*h)[:last]
	if i < last {
		h.fix(i)
	}
}

// fix restores the order if only the element at i may be out of place.
func (h heap[T]) fix(i int) {
	if !h.up(i) {
		h.down(i)
	}
}

func (h heap[T]) up(i int) (moved bool) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].before(h[parent]) {
			break
		}
		h.swap(i, parent)
		i, moved = parent, true
	}
	return moved
}

func (h heap[T]) down(i int) {
	for {
		first := 2*i + 1
		if first >= len(h) {
			return
		}
		if right := first + 1; right < len(h) && h[right].before(h[first]) {
			first = right
		}
		if !h[first].before(h[i]) {
			return
		}
		h.swap(i, first)
		i = first
	}
}

func (h heap[T]) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	*h[i].place(), *h[j].place() = i, j
}
