// Package rollout moves the traffic of a route to another version in steps, and back if the
// version is worse.
//
// A rollout is a state in the journal: each event has all of it, so the last event of a route is enough
// to go on after a restart. The route at a step follows from the rollout alone (RouteOf). A change that
// adds exposure is written first and made then. An abort acts first and is written as soon as it
// can be.
//
// While the canary has a share of the requests, the control has an equal one if there are enough: the stable
// version, but with counts of its own, in the same time. A guardrail compares the two (Guardrail).
package rollout
