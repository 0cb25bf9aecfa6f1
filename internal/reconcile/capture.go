package reconcile

import (
	"go.uber.org/zap"

	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
)

// capturer returns what captures the traffic of a version, nil if nothing is captured.
func (b *tableBuilder) capturer(leased *registry.Leased) router.Capturer {
	m := leased.Model()
	c := b.goal.cfg.Model(m.Name).Capture
	if c.Sample == 0 {
		return nil
	}
	tap, err := b.capture.Tap(m, leased.Digest(), capture.Settings{
		Sample: int(c.Sample), Redact: c.Redact, Hash: c.Hash, MaxRequest: int(c.MaxRequest), Parameters: c.Parameters,
	})
	if err != nil { // a nil *Tap would be a non-nil router.Capturer
		b.log.Warn("the traffic of a version is not captured", zap.String("model", m.Name), zap.Int64("version", m.Version), zap.Error(err))
		return nil
	}
	return tap
}
