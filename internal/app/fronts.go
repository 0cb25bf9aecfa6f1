package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/console"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/httpapi"
	"sluice.io/sluice/internal/wire/oip"
	"sluice.io/sluice/internal/wire/rows"
)

// buildFronts makes the listeners over the router and the control.
func (a *App) buildFronts(cfg *config.Config, reg *prometheus.Registry) (err error) {
	if err := a.applyCallers(cfg); err != nil {
		return err
	}
	c := control{a}
	http := &cfg.Server.HTTP
	a.front, err = front.New(front.Options{
		Predictor: a.router, Catalog: catalog{c}, Settings: a.settings, Log: a.log.Named("http"), Callers: &a.callers,
		Bounds:    front.Limits{MaxInFlight: http.MaxInFlight, MaxControlInFlight: http.MaxControlInFlight, MaxMemory: int64(http.MaxBodyMemory)},
		AccessLog: front.AccessLog(cfg.Server.AccessLog), Tracer: a.frontTracer(),
	})
	if err != nil {
		return err
	}
	if a.certs, err = openCertificates(cfg, a.log); err != nil {
		return err
	}
	a.http, err = httpapi.New(httpapi.Options{
		Address: http.Address, Front: a.front, Describer: c, Labels: c, Logger: a.log.Named("http"),
		Version: a.opts.Build.Version, Compat: compat(cfg), Limits: limits(&cfg.Server),
		Encode: oip.EncodeOptions{NonFinite: nonFinite(cfg.Server.JSON.NonFinite)}, RowsNonFinite: rowsNonFinite(cfg.Server.JSON.RowsNonFinite),
		TLS: tlsConfig(a.certs.http), Hosts: http.Hosts, CORS: httpapi.CORS(http.CORS),
	})
	if err != nil {
		return err
	}
	if a.grpc, err = a.newGRPC(cfg); err != nil {
		return err
	}
	page, err := console.New()
	if err != nil {
		return err
	}
	a.admin, err = admin.New(admin.Options{
		Address: cfg.Admin.Address, Callers: &a.callers, Gatherer: reg, Control: c, Routes: c, Drift: c, Labels: c, Capture: c, Versions: c, Aliases: c, Rollouts: c, Retrain: c, Infer: c, Watch: c, History: c, Console: page, Logger: a.log.Named("admin"),
		MaxConnections: cfg.Admin.MaxConnections, MaxWatchers: cfg.Admin.MaxWatchers, Sessions: admin.SessionLimits(cfg.Admin.Sessions), TLS: tlsConfig(a.certs.admin),
	})
	return err
}

func compat(cfg *config.Config) string {
	if cfg.Server.Compat == config.CompatTriton {
		return httpapi.CompatTriton
	}
	return ""
}

func nonFinite(choice string) oip.NonFinite {
	switch choice {
	case config.NonFiniteNull:
		return oip.NonFiniteNull
	case config.NonFiniteError:
		return oip.NonFiniteError
	default:
		return oip.NonFiniteTokens
	}
}

func rowsNonFinite(choice string) rows.NonFinite {
	switch choice {
	case config.NonFiniteTokens:
		return rows.NonFiniteTokens
	case config.NonFiniteError:
		return rows.NonFiniteError
	default:
		return rows.NonFiniteNull
	}
}

func limits(s *config.Server) httpapi.Limits {
	return httpapi.Limits{
		MaxBodyBytes: int(s.HTTP.MaxBody), MaxInflatedBytes: int(s.HTTP.MaxInflated), MaxHeaderBytes: int(s.HTTP.MaxHeader),
		MaxControlBytes:  int(s.HTTP.MaxControlBody),
		MaxResponseBytes: int(s.Limits.MaxResponse), MaxRequestsPerConn: s.HTTP.MaxRequestsPerConnection,
		MaxConnections: s.HTTP.MaxConnections, MaxRows: s.Limits.MaxRows, MaxColumns: s.Limits.MaxColumns,
		ReadTimeout: s.HTTP.ReadTimeout, WriteTimeout: s.HTTP.WriteTimeout, IdleTimeout: s.HTTP.IdleTimeout,
		HandshakeTimeout: s.HTTP.HandshakeTimeout,
		Tensors:          tensorLimits(&s.Limits),
	}
}

func tensorLimits(l *config.Limits) oip.Limits {
	return oip.Limits{
		MaxInputs: l.MaxInputs, MaxOutputs: l.MaxOutputs, MaxRank: l.MaxRank, MaxNesting: l.MaxNesting,
		MaxParameters: l.MaxParameters, MaxIDBytes: int(l.MaxID), MaxNameBytes: int(l.MaxName),
		MaxTensorBytes: int64(l.MaxTensor), MaxClassified: l.MaxClassified, MaxStickyKeyBytes: int(l.MaxStickyKey),
	}
}

// exposeMetrics connects the metrics with the parts that a scrape asks.
func (a *App) exposeMetrics() {
	a.metrics.Watch(metrics.Sources{
		Version: a.opts.Build.Version, Revision: a.opts.Build.Revision, Runtime: a.runtime.Describe(),
		Models: func() map[string]int {
			states := map[string]int{api.StateReady: 0, api.StateLoading: 0, api.StateUnloading: 0, api.StateUnavailable: 0}
			for _, m := range a.reconcile.Models() {
				states[m.State]++
			}
			return states
		},
		TableRevision: a.reconcile.Revision,
		InFlight:      a.front.InFlight,
		Unrouted:      a.front.Unrouted,
		Queued:        a.queued,
		RunTimes:      a.runTimes,
		RuntimeMemory: a.runtime.Memory,
		Breakers:      a.reconcile.Breakers,
		Routes:        a.reconcile.Declared,
		ShadowQueues:  a.reconcile.ShadowQueues,
		Journal:       a.journal.Size,
		History:       a.history.Size,
		Drift:         a.watch.Status,
		Labels:        a.labelReports,
		Rollouts:      a.rollouts.List,
		Retrainings:   a.pipeline.List,
		Captured:      a.capture.Counts,
		Signals:       a.undelivered,
		Certificates:  a.certificates,
		Traces:        a.traces,
		Callers:       a.callerCounts,
		Issuers:       a.issuers,
		Watchers: func() metrics.Watchers {
			w := a.admin.Watchers()
			return metrics.Watchers{Open: w.Open, Slow: w.Slow, Refused: w.Refused}
		},
	})
	if a.opts.Config.Metrics.Compat == config.CompatTriton {
		a.metrics.WatchTriton(a.tritonVersions)
	}
}

// tritonVersions has the counters of the versions that have served.
func (a *App) tritonVersions() map[infer.Version]metrics.TritonVersion {
	versions := map[infer.Version]metrics.TritonVersion{}
	for v, s := range a.reconcile.Served() {
		versions[v] = metrics.TritonVersion{Statistics: s.Series.Snapshot(), Pending: int64(s.Leased.Queued())}
	}
	return versions
}

// queued is how many requests wait, for each version that has served.
func (a *App) queued() map[infer.Version]int64 {
	queued := map[infer.Version]int64{}
	for v, s := range a.reconcile.Served() {
		queued[v] = int64(s.Leased.Queued())
	}
	return queued
}

// runTimes has the fitted run times of the versions that have served.
func (a *App) runTimes() map[infer.Version]metrics.RunTime {
	times := map[infer.Version]metrics.RunTime{}
	for v, s := range a.reconcile.Served() {
		if known := s.Leased.Detail().Batching.RunTimes; len(known) > 0 {
			times[v] = metrics.RunTime{Fixed: time.Duration(known[0].Fixed), PerRow: time.Duration(known[0].PerRow)}
		}
	}
	return times
}
