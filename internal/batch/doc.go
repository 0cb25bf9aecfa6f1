// Package batch joins requests for one version of a model into runs.
//
// It drains: a free instance takes at once what waits, so the size of a run follows
// the load without tuning. Under little load a request runs alone and waits for
// nobody; while all instances are busy a queue builds up, and the next free instance
// takes it whole. Waiting on purpose (Options.MaxDelay) is possible and off by
// default.
//
// # Outline
//
//	Predict:  check rows and deadline
//	          lock { queue.push; pop an idle worker }
//	          make sure of the deadline's timer
//	          lead the worker's run where it is short, else wake the worker
//	          wait for the item's one ending
//
//	worker:   lock { note the last run's time; queue.take, else idle }
//	          Gather; lock instance { members gathering → running }
//	          Run;    lock instance { no longer terminable }
//	          for each member still there: claim, Scatter, end
//	          or, if the run failed, run each half again (bisect.go)
//
// Waiting items stand in a bucket per shape (the given inputs and their
// dimensions but the first), so that one odd shape never cuts another's run.
// A bucket is a heap by priority, then deadline, then order of arrival, and the
// buckets that are not empty are a heap by their first items: an instance takes the
// bucket of the most urgent item and fills its run from there.
//
// What a bucket's runs cost is fitted as they come (cost.go). By that, requests that
// gain nothing from it are not joined (join.go), those who would be too late are
// refused when they come (hopeless.go) and again when an instance takes them, and a full
// queue says when it will have drained.
//
// Whether requests can be joined is found out beforehand (probe.go), with made-up data
// (sizes.go, sample.go) that is run alone and together (compare.go). If that does not
// settle it, copies of real requests do (trial.go), while callers get runs of their own.
//
// A run that fails with code Internal says little about the version, so an input that
// it has answered before is run again (known.go), at most once a second. If that is
// answered, the failure can be a refusal of the request's values.
//
// # Invariants
//
//   - An item goes queued → gathering → running → done, and whoever brings it to
//     done by compare-and-swap ends it: sets its result and sends on its channel,
//     once. (Members of a run that failed go back from running to gathering, to be
//     tried again with fewer others.)
//   - The caller's request is read only while its item is queued or gathering, or
//     by the one who claimed its end. A waiter may leave while queued or running,
//     at once; one who wants to leave while gathering is marked, and leaves as
//     soon as the inputs were copied. So a caller never gets its buffers back
//     while they are read.
//   - The worker claims a member before it writes its response, so there is no
//     response that nobody owns.
//   - An item is used again only where the worker ended it: then no worker knows it.
//     Its timer and a context may, but say which use they mean, and find it over.
//     An item that was left goes to the garbage collector.
//   - A caller may lead a run, in the place of a worker that is idle, where it is
//     expected to be short. It cannot leave meanwhile, though its item can.
//   - An instance is terminated only under its lock while it runs, and only when every
//     member of that very run is done; so a late leaver cannot hit the next run.
//   - Batcher.mu guards the queue and the idle workers, worker.mu the state of a
//     run. Neither is taken while the other is held.
//
// # Size
//
// A third of the package is about whether requests may be joined. It is not a package
// of its own since a trial copies items of the queue and swaps how the batcher takes
// them, which nothing outside should be able to do.
//
// # What was not done
//
// One goroutine that forms batches and hands them to workers over a channel is
// the obvious design. It costs a second hop for each run, must guess how much to
// hand over before a worker is free, and holds a batch that no longer can be
// joined while it waits for one. Here a worker forms its own batch at the moment
// it can run it.
//
// A caller who leads without letting others come first finds its own request
// alone nearly always: with 64 callers that took half as much again per request
// (1.8 against 1.2 µs), though a run of one is all that a single caller needs.
package batch
