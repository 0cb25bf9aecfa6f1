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

// A misspelled name in the configuration is logged once.
func TestModelsThatTheRepositoryLacks(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	r := &Reconciler{log: zap.New(core), desired: desired{cfg: &config.Config{
		Repository: config.Repository{Load: []string{"iris", "irsi", "*"}},
		Models:     map[string]config.Model{"iris": {}, "irsi": {}, "digtis": {}},
	}}}
	r.logAbsent([]*registry.Spec{{Version: infer.Version{Model: "iris", Number: 1}}})
	var got []any
	for _, e := range logs.All() {
		got = append(got, e.ContextMap()["model"])
	}
	if diff := cmp.Diff([]any{"digtis", "irsi"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
