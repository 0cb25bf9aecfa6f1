// Package compat holds Sluice's answers against those of a real Triton. It
// replays recorded requests, compares, and keeps every difference in one table
// with its reason; docs/protocol.md shows that table. Only tests use it.
package compat
