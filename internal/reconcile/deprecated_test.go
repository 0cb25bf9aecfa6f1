package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// The old tolerance is logged once for a model, with the gates that it stands for.
func TestDeprecatedTolerance(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	cfg := config.Default()
	old := cfg.Model("")
	old.Drift.Tolerance = 0.04
	cfg.Models = map[string]config.Model{"old": old, "new": cfg.Model("")}
	r := &Reconciler{log: zap.New(core), desired: desired{cfg: cfg}}
	var specs []*registry.Spec
	for _, v := range []infer.Version{{Model: "old", Number: 1}, {Model: "old", Number: 2}, {Model: "new", Number: 1}} {
		specs = append(specs, &registry.Spec{Version: v})
	}
	r.logDeprecated(specs)
	if logs.Len() != 1 {
		t.Fatalf("%d warnings, want one", logs.Len())
	}
	got := logs.All()[0].ContextMap()
	got["spread"] = int(1000*got["spread"].(float64) + 0.5) // √0.02
	want := map[string]any{"model": "old", "tolerance": 0.04, "mean": 0.2, "spread": 141, "share_gain": 0.04, "shape": 0.04}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
