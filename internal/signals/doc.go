// Package signals makes signals from verdicts, and delivers them: requests for retraining,
// and reports of bad data.
//
//	Detected ─► known? held back? ─► journal ─► Store ─► Outbox.Run ─► Sink (webhook)
//	                                    ▲                     │ 2xx
//	                                    └──── delivered ◄─────┘
//
// # States
//
// A signal is open as soon as it is in the journal. It is delivered when a receiver has
// answered 2xx, and closed when a person or program closes it. Nothing else ends it: there
// is no limit on the number of attempts.
//
// A request for retraining is held back until an earlier one for its model, of any version,
// is closed, and for the cool-down after that, since a retraining may be in progress. A
// request that was delivered and not closed expires, so that a forgotten ticket does not
// silence a model. A request that was not delivered does not expire, since no one has seen
// it. A request that was held back is not lost if Detected is called for each window of the
// problem: the first call after the cool-down makes the request. Reports of bad data are
// never held back.
//
// # Invariants
//
//   - A Store is a fold over the journal: the same events give the same Store.
//   - An id is a hash of the problem. So one problem is one signal, also across restarts, and
//     a receiver can detect duplicates.
//   - A signal is in the journal before it is sent. There are never two deliveries of one id
//     at the same time.
//   - Delivery is at least once. The outbox writes a delivery to the journal immediately after
//     the 2xx. A second delivery, with the same id, happens only if the gateway ends or the
//     answer is lost before that. If the journal cannot be written, a running gateway retries
//     only the write.
//   - Only cool-down and expiry depend on the wall clock. If it is set back, they take at most
//     twice as long. Retries use the monotonic clock.
package signals
