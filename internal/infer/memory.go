package infer

// Memory is the budget that the bytes of a request are taken from. A nil Memory of
// a Request or a Response counts nothing. Its methods are safe for concurrent use:
// the pieces of a split request are answered by several workers.
type Memory interface {
	// Reserve takes n bytes, before they are allocated. Errors are TooLarge if the
	// request could never have them, and Overloaded if it cannot have them now.
	Reserve(n int) error
	// Release gives back n bytes that were reserved.
	Release(n int)
}
