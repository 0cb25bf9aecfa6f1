// Package callers decides who sends a request, and what it may do.
//
// A Book has the callers, their credentials, what each may do with which models, and their limits.
// It is immutable: a reload makes a new one. A listener does three things with a request:
//
//	book.Authorize: credentials → caller, and whether it may do what the endpoint needs
//	caller.Admit:   the caller's limits on requests → Pass
//	pass:           the caller's limits on rows and bytes
//
// An answer never depends on whether a model exists, since nothing is looked up before Authorize.
package callers
