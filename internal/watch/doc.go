// Package watch sends to watchers what changes in a gateway: events of its journal, states, and
// counters.
//
//	sources, journal ─► Hub.Run ─► snapshot ─► Hub.Watch, one goroutine for each watcher ─► Viewer
//
// One goroutine looks at what any watcher wants, once for all of them, and only while there are watchers. It
// encodes a document only if that has changed. It publishes an immutable snapshot behind one pointer.
//
// Watchers take turns, so that many of them do not hold all cores at once when a snapshot comes.
//
// A watcher has no queue. It knows what it has sent last, and sends what the present snapshot has beyond that, so a slow
// one gets fewer messages of states, each with more. Events are numbered: the last ones are in the snapshot, and older
// ones are read from the journal a page at a time. So no event is lost, whatever the pace of the watcher, and a stream
// that has ended goes on at any event.
package watch
