// Package drift compares the requests and answers of a model with a reference: profiles, windows of
// counts, detectors and their states.
//
//	rows ─► Counts, one per feature ─► Window ─► Detector ─► Verdict
//	                ▲                                │
//	           Profile (frozen bins)        OK → SUSPECTED → DETECTED → RECOVERING
//
// The package does no I/O except reading and writing a profile. Judging does not use a clock: a
// stored window that is judged again gives the same verdict.
//
// The package is large because profiles, counts and tests share the layout of the bins, and a tap
// fills the counts in the path of a request. A split would export that layout.
package drift
