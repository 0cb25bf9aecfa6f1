// Package registry keeps the versions of models: those on disk and those that are loaded.
//
// A Repository reads the folders. A Registry loads versions with a function of its owner,
// counts the users of each version, and closes a version only after its last user. One
// goroutine changes it (the reconciler in package app). Any goroutine may read it.
package registry
