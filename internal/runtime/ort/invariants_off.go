//go:build !invariants

package ort

// invariants overwrites freed memory and turns misuse into panics; see the build tag.
const invariants = false
