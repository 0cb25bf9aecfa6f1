// Package pipeline brings each request for retraining to an end: it gives the request to a trainer, takes the trainer's calls, has
// the version that the trainer pushes compared with its parent, and applies the model's rollout policy to it. It trains nothing.
//
//	requested ─► accepted ─► running ─► registered ─► judged ─► finished
//	    │            │          │            │
//	    └────────────┴──────────┴────────────┴─► failed, expired or rejected
//
// # Invariants
//
//   - The state is a fold over the journal. A change is in the journal before a caller hears of it.
//   - Other parts write to the same journal: the outbox requests and closes, the publisher registers. A change is appended only if
//     nothing was appended since the state was read, so that of two changes that exclude each other the first one wins.
//   - A version that names a retraining is part of it as soon as its registration is in the journal. No second event can be lost.
//   - A step that a crash has interrupted is done again. A trainer may run twice, with the same document and the same seed; the
//     second push of the same files is answered like the first.
//   - At most one retraining of a model is in progress.
package pipeline
