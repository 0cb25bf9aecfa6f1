// Package sideport makes options of the admin port for tests.
package sideport

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/testing/access"
)

// Options returns complete options: a free port of this machine, no access control, and controls that
// no test may call. A test replaces those that it needs.
func Options() admin.Options {
	return admin.Options{
		Address: "127.0.0.1:0", Callers: access.Open(), Gatherer: prometheus.NewRegistry(), Logger: zap.NewNop(), MaxConnections: 64, MaxWatchers: 32,
		Sessions: admin.SessionLimits{Max: 40, MaxAge: 12 * time.Hour, Idle: time.Hour},
		Control:  none{}, Routes: none{}, Drift: none{}, Labels: none{}, Versions: none{}, Capture: none{}, Aliases: none{},
		Rollouts: none{}, Retrain: none{}, Infer: none{}, Watch: none{}, History: none{}, Console: none{},
	}
}

// none implements all controls. A call of one panics, which the admin port answers with 500.
type none struct {
	admin.Control
	admin.RouteControl
	admin.DriftControl
	admin.LabelControl
	admin.VersionControl
	admin.CaptureControl
	admin.AliasControl
	admin.RolloutControl
	admin.RetrainControl
	admin.InferControl
	admin.WatchControl
	admin.HistoryControl
	admin.Console
}
