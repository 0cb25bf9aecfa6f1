// Package batch joins requests for one version of a model into runs.
//
// It drains: a free instance immediately takes what waits, so the size of a run follows the
// load without tuning. Under light load a request runs alone and does not wait for others.
// While all instances are busy a queue builds up, and the next free instance takes all of it. A
// deliberate wait (Options.MaxDelay) is possible and off by default.
//
// # Outline
//
//	Predict:  check rows and deadline
//	          lock { queue.push; pop an idle worker }
//	          make sure of the deadline's timer
//	          lead the worker's run if it is short, else wake the worker
//	          wait for the item's one ending
//
//	worker:   lock { note the last run's time; queue.take, else idle }
//	          Gather; lock instance { members gathering → running }
//	          Run;    lock instance { no longer terminable }
//	          for each member still there: claim, Scatter, end
//	          or, if the run failed, run each half again (bisect.go)
//
// Waiting items are in a bucket per shape (the given inputs and their
// dimensions but the first), so that one odd shape never cuts another's run.
// A bucket is a heap by priority, then deadline, then order of arrival, and the
// buckets that are not empty are a heap by their first items: an instance takes the
// bucket of the most urgent item and fills its run from there.
//
// The cost of a bucket's runs is fitted as they end (cost.go). By that estimate, requests are
// not joined if it gains nothing (join.go), and requests that would be too late are refused on
// arrival (hopeless.go) and again when an instance takes them. A full queue says when it will
// have drained.
//
// Probe finds out beforehand whether requests can be joined (probe.go), with made-up data
// (sizes.go, sample.go) that it runs alone and together (compare.go). If that does not decide
// it, a trial with copies of real requests does (trial.go), while callers get runs of their
// own.
//
// A run that fails with code Internal says little about the version. So an input that the
// version has answered before is run again (known.go), at most once a second. If that succeeds,
// the failure can be a refusal of the request's values.
//
// # Invariants
//
//   - An item goes queued → gathering → running → done. The goroutine that brings it to
//     done by compare-and-swap ends it: it sets the result and sends on the channel, once.
//     (Members of a run that failed go back from running to gathering, to be run again
//     with fewer others.)
//   - The caller's request is read only while its item is queued or gathering, or by the
//     goroutine that claimed its end. A waiter may leave immediately while queued or
//     running. A waiter that leaves while gathering is marked, and leaves as soon as the
//     inputs are copied. So a caller never gets its buffers back while they are read.
//   - The worker claims a member before it writes its response, so every response has an
//     owner.
//   - An item is used again only if the worker ended it: then no worker refers to it.
//     Its timer and a context may. They name the use that they mean, and do nothing if it
//     is over. An item that a waiter left goes to the garbage collector.
//   - A caller may lead a run in place of an idle worker if the run is expected to be
//     short. The caller cannot return meanwhile, though its item can end.
//   - An instance is terminated only under its lock, while it runs, and only if every
//     member of that run is done. So a late leaver cannot hit the next run.
//   - Batcher.mu guards the queue and the idle workers, worker.mu the state of a
//     run. Neither is taken while the other is held.
//
// # Size
//
// A third of the package decides whether requests may be joined. It is not a package of its
// own: a trial copies items of the queue and changes how the batcher takes them, and no other
// package should be able to do that.
//
// # Rejected designs
//
// One goroutine that forms batches and hands them to workers over a channel is the obvious
// design. It costs a second hop for each run, must guess how much to hand over before a worker
// is free, and holds a batch that can no longer be joined while it waits for a worker. Here a
// worker forms its own batch at the moment it can run it.
//
// A caller that leads without yielding to others nearly always finds only its own request: with
// 64 callers a request took 1.8 instead of 1.2 µs. A single caller does not need the yield.
package batch
