// Package registry knows the versions of models: which are on disk, which are
// loaded, and how long each lives.
//
// A Repository reads the folders. A Registry loads versions through a function
// that its owner supplies, keeps what they return, counts its users
// and closes a version only after the last user has gone. It is changed by one
// goroutine (the reconciler in package app) and read by any.
package registry
