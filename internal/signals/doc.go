// Package signals turns verdicts into signals, and sees to it that they arrive:
// requests for retraining, and reports of data of bad quality.
//
//	Detected ─► known? held back? ─► journal ─► Store ─► Outbox.Run ─► Sink (webhook)
//	                                    ▲                     │ 2xx
//	                                    └──── delivered ◄─────┘
//
// # States
//
// A signal is open from the moment it is in the journal, delivered once a receiver
// has answered 2xx, and closed when somebody says that it is dealt with. Nothing
// else ends it: there is no number of attempts after which one is given up.
//
// A request for retraining is held back until an earlier one for its model, of any
// version, is closed, and for the cool-down after that: delivered or not, somebody
// may be at it. One that was delivered and never closed expires, so that a ticket
// that is forgotten does not silence a model for ever; one that was never delivered
// does not, for nobody has it. What was held back is not lost where Detected is
// called for each window of a trouble that lasts: the first call after the cool-down
// makes the request. Violations of data quality are never held back.
//
// # Invariants
//
//   - What is known is a fold over the journal: a Store that was fed the same
//     events is the same Store.
//   - An id is a hash of what happened, so one trouble is one signal, also across
//     restarts, and a receiver can tell what it has seen.
//   - A signal is in the journal before it is sent, and there are never two
//     deliveries of one id at once.
//   - At least once: what was delivered is written down as the first thing after
//     the 2xx, and the only case of a second delivery is that the gateway ends, or
//     the answer is lost, between the receiver's decision and that. It has the same
//     id. A journal that cannot be written does not lead to one while the gateway
//     runs: then it is the writing that is tried again.
//   - Clocks decide about cool-down and expiry alone, and one that jumps back makes
//     either at most twice as long. Retries go by the monotonic clock.
package signals
