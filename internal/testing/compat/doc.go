// Package compat compares Sluice's answers with those of a real Triton. It replays recorded
// requests, compares, and keeps every difference in one table with its reason; docs/protocol.md
// shows that table. Only tests use it.
package compat
