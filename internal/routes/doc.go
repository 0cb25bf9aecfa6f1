// Package routes knows the declared routes: what they are now, which revisions
// they have had, and what the configuration file last said of them.
//
// All of it is a fold over the events of the journal, and nothing else: a Set that
// was fed the same events is the same Set, on any gateway and after any restart. A
// change is planned with Put, made an event, appended to the journal by the caller,
// and only then applied, so a Set never knows of what could still be lost.
//
// A route's slots say which variant serves which keys. They follow from all of its
// revisions, not from the weights alone, and that is what they are for: when the
// weights change, the fewest keys move. So an event bears them, and what it bears
// wins over what would be computed today.
//
// A Set belongs to one goroutine. What it hands out is shared with it and must not
// be changed.
package routes
