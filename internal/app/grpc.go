package app

import (
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/wire/grpcapi"
)

// newGRPC makes the gRPC listener; nil if there shall be none.
func (a *App) newGRPC(cfg *config.Config) (*grpcapi.Server, error) {
	g := &cfg.Server.GRPC
	if g.Address == config.ListenNone {
		return nil, nil //nolint:nilnil // none is not an error
	}
	return grpcapi.New(grpcapi.Options{
		Address: g.Address, Front: a.front, Describer: control{a}, Labels: control{a}, Logger: a.log.Named("grpc"), Version: a.opts.Build.Version,
		TLS:    tlsConfig(a.certs.grpc),
		Triton: cfg.Server.Compat == config.CompatTriton,
		Limits: grpcapi.Limits{
			MaxMessageBytes: int(g.MaxMessage), MaxResponseBytes: int(cfg.Server.Limits.MaxResponse), MaxHeaderBytes: int(g.MaxHeader),
			MaxConnections: g.MaxConnections, MaxStreams: g.MaxStreams, MaxStreamed: g.MaxStreamInFlight,
			ReadTimeout: g.ReadTimeout, WriteTimeout: g.WriteTimeout, IdleTimeout: g.IdleTimeout, MinPing: g.MinPingInterval, MaxAge: g.MaxConnectionAge, HandshakeTimeout: g.HandshakeTimeout,
			Tensors: tensorLimits(&cfg.Server.Limits),
		},
	})
}
