// Package trail records what serves, and answers what served.
//
// A State is what the events of the journal come to: the versions that serve, with
// their digests, the version that answers for each model, the breakers that are open
// and the loads that failed. Whoever changes what serves asks Advance for the events
// that lead from there to the present, appends them to the journal and applies them.
// Events that could not be appended are part of what the next Advance returns.
//
// A start of the gateway ends all that served before it, so the State after a kill
// does not claim what nobody loaded. Failures outlive a start: a version that fails
// again with the same files and the same reason is not worth another event.
//
// At folds the same events up to a time, together with those of one route, into an
// answer for people.
package trail
