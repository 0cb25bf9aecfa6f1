// Package publish takes versions into the repository, and out of it: it checks what is pushed,
// gives it a number and a record, and archives, restores and deletes versions.
//
// The folder of the repository decides which versions there are. The journal has an event for
// each change. If a crash comes between the two, the next start writes the event.
package publish
