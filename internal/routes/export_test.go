package routes

// What property tests step through without the detour over JSON.
var (
	Move       = move
	CheckSlots = checkSlots
)
