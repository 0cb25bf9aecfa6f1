// Package reconcile loads and routes what should serve.
//
// One goroutine, that of Run, handles every cause of a change: an edit of a route, a
// reload, a load or unload call, a poll, the end of a load. It makes a goal from the
// configuration, the routes and the repository. The registries plan the goal. A commit
// applies the loaded part of the plan: it writes the change to the journal, swaps the
// routing table, and retires the versions that are no longer in it.
//
//	pass:    plan the goal; commit it if it differs
//	         try each waiting change: plan its goal; when its loads have ended, commit or refuse it
//
// The goroutine never waits for a model. Loads run in other goroutines, and the end of a
// load is an event like any other. The caller of a change reads the files. So an edit that
// needs no load is made at once, even while models load.
//
// A change (an edit that names a version that is not loaded, or a reload) is made
// completely or refused. Other changes can be made while it waits. Its goal is made again
// at each attempt.
//
// The package is large because edits, reloads, loads and polls all work on the one goal that this
// goroutine owns, and must see each other's changes.
package reconcile
