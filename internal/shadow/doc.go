// Package shadow runs copies of answered requests on a version whose answers no caller waits
// for.
//
// A Mirror has a version of its own, loaded only for the shadow. Each route that copies to it
// offers requests through a Tap, so that copies are counted per route.
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
//	            run it, count the answer, with both results
//
//	sweeper:    lock { take out the copies that are too old }; count them
//
// # Invariants
//
//   - Every request offered is counted once: dropped for one reason, or answered with one
//     code. A run that a shutdown terminates counts as dropped.
//   - Offer waits only for a short lock, which is never held while copying, counting or
//     running. A drop allocates nothing.
//   - A copy shares no memory with the request: not its data, shapes or strings. Only
//     Request.Served is shared, since its strings belong to the router.
//   - A copy is never used again, so a Predictor may still read it after it has returned.
//   - Bytes count from before the copy is made until its run is over.
//
// # Rejected designs
//
// Copies are not pooled. One takes about ten allocations, which is little compared with its
// run. A pool would keep the memory of the largest requests.
//
// A channel would be a simpler queue, but its elements cannot be inspected. A copy that is too
// old would keep its place and its bytes until a worker is free, which takes long if the shadow
// hangs.
package shadow
