//go:build !invariants

package ort

// invariants overwrites freed memory and turns misuse into panics; it needs the build tag.
const invariants = false
