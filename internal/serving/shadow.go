package serving

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/shadow"
)

// Shadow is a loaded version that runs as a shadow: mirror → batcher → one instance → session.
// It is a registry.Servable, like the versions that answer callers.
type Shadow struct {
	*Version
	mirror *shadow.Mirror
	copies running // the mirror
}

// LoadShadow is Load for a version that runs as a shadow.
func (l *Loader) LoadShadow(ctx context.Context, v infer.Version, m config.Model) (_ *Shadow, digest string, err error) {
	log := l.log.Named("shadow")
	// A shadow may fail in each of its runs, and no caller waits for them, so the log is
	// sampled. The mirror limits its own log, for each cause.
	sampled := log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Minute, 1, 0)
	}))
	s, digest, err := l.load(ctx, v, ShadowSettings(m), purpose{log: sampled, background: true})
	if err != nil {
		return nil, digest, err
	}
	mirror, err := shadow.New(shadow.Options{
		Version: v, Predictor: s, Model: s.Model(),
		MaxRequests: m.Shadow.MaxRequests, MaxBytes: int64(m.Shadow.MaxBytes), MaxAge: m.Shadow.MaxAge,
		Timeout: m.Shadow.Timeout, PauseAbove: m.Shadow.PauseAbove, Concurrency: m.Shadow.Concurrency,
		Logger: log,
	})
	if err != nil {
		return nil, digest, errors.Join(err, s.Shutdown(ctx))
	}
	l.log.Info("loaded as a shadow", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.String("digest", digest))
	return &Shadow{Version: s, mirror: mirror, copies: run(mirror)}, digest, nil
}

// ShadowSettings are a model's settings for its shadows: one instance on its own thread, since
// the shared pool is for versions that answer callers, and no limit on the time of a copy
// except for the shadow's own.
func ShadowSettings(m config.Model) config.Model {
	m.Instances, m.IntraThreads = 1, 1
	m.Timeout = max(m.Timeout, m.Shadow.Timeout)
	return m
}

// Mirror returns the mirror, which copies are offered to.
func (x *Shadow) Mirror() *shadow.Mirror { return x.mirror }

// Queued implements registry.Servable.
func (x *Shadow) Queued() int {
	n, _ := x.mirror.Queued()
	return n
}

// Shutdown implements registry.Servable.
func (x *Shadow) Shutdown(ctx context.Context) error {
	err := x.copies.stop(ctx)
	return errors.Join(err, x.Version.Shutdown(ctx))
}
