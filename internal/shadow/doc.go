// Package shadow runs copies of answered requests on a version whose answers
// nobody waits for.
//
// A Mirror stands before one version, which is its own: it is loaded for the
// shadow alone. Each route that copies to it offers requests through a Tap, so
// that what becomes of them is counted per route.
//
// # Outline
//
//	Tap.Offer:  stopped, primary too busy, no room for one more or for its bytes:
//	            count the reason, return
//	            (room is taken by two atomic additions, before anything is copied)
//	            copy inputs and the primary's outputs; lock { append }
//
//	worker:     lock { wait for a copy, take the oldest }
//	            too old: count it. Else check it against the version's signature,
//	            run it, keep both results, count the answer
//
//	sweeper:    lock { take out the copies that are too old }; count them
//	            drop kept results that are too old
//
// # Invariants
//
//   - Every request offered is counted once: dropped for one reason, or answered
//     with one code. What a shutdown cut off counts as dropped.
//   - Offer waits for nothing but a short lock, which is never held while copying,
//     counting or running. A drop allocates nothing.
//   - A copy shares no memory with the request: not its data, shapes or strings.
//     Only Request.Served is taken as it is, since its strings are the router's.
//   - A copy is never used again, so a Predictor that reads it after it has
//     returned does no harm.
//   - Bytes count from before the copy is made until its run is over; what is kept
//     of the results afterwards has limits of its own.
//
// # What was not done
//
// Copies are not pooled. One takes about ten allocations, which is little
// beside the run it is made for, and a pool would tie the memory of the largest
// requests to a path that exists only to be cheap for the primary.
//
// A channel would be a simpler queue, but what is in it cannot be looked at: a
// copy that is too old would hold its place, and its bytes, until a worker is
// free, which behind a shadow that hangs takes long.
package shadow
