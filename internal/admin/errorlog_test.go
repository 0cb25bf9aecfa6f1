package admin

import (
	"log"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Failed handshakes are counted and sampled, and other lines of net/http are all logged.
func TestErrorLog(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	const first = 10
	l := &errorLog{log: zap.New(core), sampled: zap.New(zapcore.NewSamplerWithOptions(core, time.Hour, first, 1000))}
	to := log.New(l, "", 0)
	for i := range 200 {
		to.Printf("http: TLS handshake error from 192.0.2.1:%d: EOF", i)
	}
	for i := range 20 {
		to.Printf("http: panic serving 192.0.2.1:%d", i)
	}
	if n := l.handshakes.Load(); n != 200 {
		t.Errorf("%d failed handshakes, want 200", n)
	}
	if n := logs.FilterMessage("TLS handshake failed").Len(); n != first {
		t.Errorf("%d of 200 failed handshakes are logged, want %d", n, first)
	}
	if n := logs.FilterMessage("connection").Len(); n != 20 {
		t.Errorf("%d of 20 other lines are logged", n)
	}
}
