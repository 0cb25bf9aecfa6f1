// Package record is the one form of raw results: JSON lines that say what was done, with
// which parameters, on which machine, and which figures came of it; and what such lines say
// together.
package record

// The set-ups of a comparison.
const (
	Shared = "shared" // client and server share all cores
	Pinned = "pinned" // the server on core 0, the client on core 1
)

// The contenders that the report knows by name; peers have names of their own.
const (
	Gateway = "gateway"
	Noop    = "noop"
	Triton  = "triton"
)

// The kinds of sweeps.
const (
	Open  = "open"  // a rate is kept, whatever the server does
	Conns = "conns" // a number of requests is kept in flight
)
