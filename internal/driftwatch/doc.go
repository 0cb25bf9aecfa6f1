// Package driftwatch connects streams (a version in a role) with drift detection. It
// chooses the reference of each stream, restores the state of its detector after a
// restart, and turns a verdict into an event of the journal and a signal.
package driftwatch
