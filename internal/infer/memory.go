package infer

// Memory is the budget that the bytes of a request are reserved from. With a nil Memory a
// Request or a Response counts nothing. Its methods are safe for concurrent use: several
// workers answer the pieces of a split request.
type Memory interface {
	// Reserve takes n bytes before they are allocated. Errors are TooLarge if the request can
	// never have them, and Overloaded if it cannot have them now.
	Reserve(n int) error
	// Release gives back n bytes that were reserved.
	Release(n int)
}
