// Package trail records what serves, and answers what served.
//
// A State is a fold over the events of the journal. It has the versions that serve with
// their digests, the default version of each model, the open breakers and the failed loads.
// After a change of what serves, the caller asks Advance for the events that lead from the
// State to the present, appends them to the journal, and applies them. If events could not
// be appended, the next Advance returns them again.
//
// With a start of the gateway nothing serves, so the State after a kill has no version
// that is not loaded. A start does not clear failures: a version that fails again with the
// same files and the same reason needs no other event.
//
// At applies the same events up to a time, together with those of one route. It answers
// what served then.
package trail
