// Package reconcile makes what serves what should serve.
//
// One goroutine, that of Run, takes every cause of change: an edit of a route, a
// reload, a load or unload call, a poll, a load that has ended. From the configuration,
// the routes and the repository it makes a goal, has the registries plan it, and commits
// the plan as far as it is loaded: the change is written to the journal, the routing
// table is swapped, and loaded versions that are no longer part of it retire.
//
//	pass:    plan the goal; commit it if it differs
//	         try each change that waits: plan its goal; once its loads have ended, commit or refuse it
//
// The goroutine never waits for a model. Loads run beside it, and the end of one is an
// event like any other; files are read by those who ask for a change. So an edit that
// needs no load is made at once, whatever loads meanwhile.
//
// A change (an edit that names a version which is not loaded, a reload) is made as a
// whole or refused. While it waits, others are made; its goal is made anew at each try.
package reconcile
