// Package journal keeps every change of state as one appended event: what
// changed, when, who asked for it and why, and how it looked before and after.
// A state is made by a Fold over the events; the events are also the record that
// people read.
//
// An Append names the number that it takes for the last one, and is refused with
// Conflict if that has moved on, so of several writers exactly one wins. It
// returns when the event is on disk.
//
// check.go looks at all pages of journal.db before bbolt maps them, since bbolt relies on
// what it maps; without it the package is of the usual size.
//
// # The files
//
// journal.db is a bbolt file with these buckets:
//
//	journal    format → "2", head → number and hash of the last event,
//	           alive → when the process last said that it lives (8 bytes, nanoseconds), sealed
//	events     number (8 bytes, big endian) → hash (32 bytes), the event as JSON
//	segments   number of its first event → what there is to know of a segment, as JSON, sealed
//	snapshots  name of a fold → number of an event (8), version (4), the fold's state after it, sealed
//
// A sealed value has its SHA-256 behind it. An event's hash is the SHA-256 over the hash
// before it (zeros before the first) and its own JSON as stored, so none can be changed,
// left out, or moved unnoticed. There is no secret in it: a person who can write the
// files can write all of them anew.
//
// Format 1 lacks the last two buckets, and a file of it stays one until it is cut. The
// record of an event is the same in both, and in segments.
//
// # Cuts
//
// A Cutter moves older events to segments: files that are written once, and read only
// if an event of theirs is asked for. With each cut it keeps a snapshot of every fold,
// which it makes of new folds, so that no running part has to stand still for it. A
// start restores the snapshots and applies what came later; it takes as long as
// journal.db is large, however many events there are. Nothing is ever deleted.
//
// The steps of a cut are: write journal.seg.new, sync it, read it back, give it its name,
// sync the directory; name it in journal.db together with the snapshots, in one
// transaction; delete its events from journal.db, some at a time. A crash after any of
// them leaves every event in one place that counts.
//
// # Checks
//
// Open checks all of journal.db before it is used. bbolt trusts the pages that it
// maps into memory: a cut file ends the process with SIGBUS, a bad list of free
// pages makes it write over live ones, and an empty file is taken for a new one.
// So check.go first walks all pages with plain reads, and the chain of hashes is
// followed after that, from the last segment's end. Nothing is repaired, and a file that
// is in any way wrong is never written to. A directory without a journal.db is a first
// start.
//
// Of a segment Open looks at whether it is there and has its size. It is held against its
// hash when it is first read. Verify reads all of them, and follows the chain from the
// first event.
//
// # A write that fails
//
// On a full disk the transaction is rolled back, Append says Unavailable, and the
// next one tries again. Only if the very last step failed, so that nobody can
// know whether the event will be there after a crash, are all later
// ones refused until the file is opened again.
package journal
