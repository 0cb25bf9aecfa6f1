// Package journal keeps every change of state as one appended event: what
// changed, when, who asked for it and why, and the state before and after.
// A Fold makes a state from the events. People read the events as a record.
//
// Append takes the number of the last event that the writer knows. If there is a later
// event, it fails with Conflict, so exactly one of several writers wins. It returns
// when the event is on disk.
//
// check.go checks all pages of journal.db before bbolt maps them, since bbolt trusts
// the pages that it maps.
//
// # The files
//
// journal.db is a bbolt file with these buckets:
//
//	journal    format → "2", head → number and hash of the last event,
//	           alive → the time of the last heartbeat (8 bytes, nanoseconds), sealed
//	events     number (8 bytes, big endian) → hash (32 bytes), the event as JSON
//	segments   number of its first event → the description of a segment, as JSON, sealed
//	snapshots  name of a fold → number of an event (8), version (4), the fold's state after it, sealed
//
// A sealed value is followed by its SHA-256. The hash of an event is the SHA-256 over the
// hash before it (zeros before the first) and its own JSON as stored. So the journal
// detects an event that was changed, removed or moved. The hashes have no secret: a person
// who can write the files can write all of them again with other events.
//
// Format 1 does not have the last two buckets. A file of format 1 keeps it until the first
// cut. The record of an event is the same in both formats and in segments.
//
// # Cuts
//
// A Cutter moves older events to segments. A segment is a file that is written once, and
// read only for the events in it. With each cut the Cutter stores a snapshot of every
// fold. It takes the snapshots from new folds, so that no running part has to wait. A
// start restores the snapshots and applies the later events. The time of a start depends
// on the size of journal.db, not on the number of events. No event is ever deleted.
//
// The steps of a cut:
//
//  1. Write journal.seg.new, sync it and read it back. Rename it and sync the directory.
//  2. Add the segment and the snapshots to journal.db in one transaction.
//  3. Delete the segment's events from journal.db, some at a time.
//
// After a crash in any step, readers find each event exactly once.
//
// # Checks
//
// Open checks all of journal.db before it is used. bbolt trusts the pages that it
// maps into memory: a truncated file ends the process with SIGBUS, a bad list of free
// pages makes bbolt overwrite live ones, and bbolt takes an empty file for a new one.
// So check.go first reads all pages. Then Open follows the chain of hashes from the end of
// the last segment. It repairs nothing, and never writes to a file with a problem. A
// directory without a journal.db is a first start.
//
// Open checks that each segment is there and has the right size. The first read of a
// segment checks its hash. Verify reads all segments and follows the chain from the first
// event.
//
// # A write that fails
//
// On a full disk bbolt rolls the transaction back, Append returns Unavailable, and the
// next Append tries again. If the last step of a write fails, the event may or may not be
// there after a crash. Then all later writes fail until the file is opened again.
//
// The package is large because the log, its segments and their checks share one format, which no
// other package should know.
package journal
