// Package routes keeps the declared routes: their current states, their last revisions,
// and their entries in the configuration file that was applied last.
//
// A Set is a fold over the events of the journal: the same events give the same Set, on
// any gateway and after any restart. A change has these steps:
//
//  1. Put plans it.
//  2. SetEvent or DeleteEvent makes an event.
//  3. The caller appends the event to the journal.
//  4. Apply changes the Set. So a Set never has a change that could still be lost.
//
// A route's slots determine which variant serves which keys. They depend on all revisions
// of the route, not only on the current weights, so that the fewest keys move when weights
// change. Therefore an event has the slots. They are valid even if this program would
// compute others.
//
// A Set belongs to one goroutine. It shares memory with the values that it returns, which
// must not be modified.
package routes
