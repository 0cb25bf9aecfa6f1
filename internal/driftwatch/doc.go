// Package driftwatch connects streams (a version in a role) with drift detection:
// which reference a stream is compared with, where its detector goes on after a
// restart, and what becomes of a verdict, an event in the journal and a signal.
package driftwatch
