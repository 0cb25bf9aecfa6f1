//go:build invariants

package ort

// invariants overwrites freed memory and turns misuse into panics.
const invariants = true
