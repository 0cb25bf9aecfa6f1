package routes

// For property tests, which do not go through JSON.
var (
	Move       = move
	CheckSlots = checkSlots
)
