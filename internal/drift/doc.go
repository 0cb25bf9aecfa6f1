// Package drift compares what a model is asked and what it answers with a
// reference: profiles, windows of counts, detectors and their states.
//
//	rows ─► Counts, one per feature ─► Window ─► Detector ─► Verdict
//	                ▲                                │
//	           Profile (frozen bins)        OK → SUSPECTED → DETECTED → RECOVERING
//
// Nothing here does I/O but reading and writing a profile, and nothing looks at a
// clock: a window that was stored and is judged again gives the same verdict.
//
// The package is a large one because profiles, counts and tests share the layout of the
// bins, and a tap fills the counts on the path of a request: split, that layout would be
// exported.
package drift
