package httpapi

import (
	"time"

	"sluice.io/sluice/internal/testing/limits"
)

// Connections returns how many connections are open.
func (s *Server) Connections() int { return s.listener.count() }

// UsualLimits are the limits of the tests. They are those of a configuration without limits.
func UsualLimits() Limits {
	return Limits{
		MaxBodyBytes: 64 << 20, MaxInflatedBytes: 64 << 20, MaxResponseBytes: 256 << 20, MaxControlBytes: 64 << 10, MaxHeaderBytes: 16 << 10,
		MaxRows: 1_000_000, MaxColumns: 16384, MaxConnections: 8192, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, HandshakeTimeout: 10 * time.Second,
		Tensors: limits.Tensors(),
	}
}
