// Package journal keeps every change of state as one appended event: what
// changed, when, who asked for it and why, and how it looked before and after.
// Who needs the state folds over the events; the events are also the trail that
// people read.
//
// An Append names the number that it takes for the last one, and is refused with
// Conflict where that has moved on, so of several writers exactly one wins. It
// returns when the event is on disk.
//
// # The file
//
// journal.db is a bbolt file with two buckets:
//
//	journal   format → "1", head → number and hash of the last event,
//	          alive → when the process last said that it lives (8 bytes, nanoseconds), and a hash of that
//	events    number (8 bytes, big endian) → hash (32 bytes), the event as JSON
//
// An event's hash is the SHA-256 over the hash before it (zeros before the
// first) and its own JSON as stored, so none can be changed, left out, or moved
// unnoticed. There is no secret in it: who can write the file can write all
// of it anew.
//
// Open checks the whole file before it is used. bbolt trusts the pages that it
// maps into memory: a cut file ends the process with SIGBUS, a bad list of free
// pages makes it write over live ones, and an empty file is taken for a new one.
// So check.go first walks all pages with plain reads, and the chain of hashes is
// followed after that. Nothing is repaired, and a file that is in any way wrong is
// never written to. A directory without a journal.db is a first start.
//
// # A write that fails
//
// On a full disk the transaction is rolled back, Append says Unavailable, and the
// next one tries again. Only where the very last step failed, so that nobody can
// know whether the event will be there after a crash, are all later
// ones refused until the file is opened again.
package journal
