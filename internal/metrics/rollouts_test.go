package metrics_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/metrics"
)

// rolling is a rollout in its first step.
func rolling() api.Rollout {
	return api.Rollout{
		Model: "iris", Spec: api.RolloutSpec{Route: "flowers", Version: 2}, State: api.RolloutCanary, Weight: 500, Rollbacks: 1,
		Evidence: []api.RolloutEvidence{{Guardrail: api.GuardrailErrors, EValue: 15, Threshold: 60}},
	}
}

func TestRolloutSeries(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	metrics.New(reg).Watch(metrics.Sources{Rollouts: func() []api.Rollout { return []api.Rollout{rolling()} }})
	const want = `
# HELP sluice_rollout_evidence_ratio Evidence of a guardrail that the version is worse, divided by the threshold: at 1 it regresses.
# TYPE sluice_rollout_evidence_ratio gauge
sluice_rollout_evidence_ratio{guardrail="errors",model="iris",route="flowers",version="2"} 0.25
# HELP sluice_rollout_rollbacks Rollbacks of the route in a row; with 2 it is frozen.
# TYPE sluice_rollout_rollbacks gauge
sluice_rollout_rollbacks{model="iris",route="flowers"} 1
# HELP sluice_rollout_state 1 for the state of the last rollout of a route.
# TYPE sluice_rollout_state gauge
sluice_rollout_state{model="iris",route="flowers",state="CANARY",version="2"} 1
# HELP sluice_rollout_weight_ratio Share of the route's requests that the version of the last rollout gets, 0 to 1.
# TYPE sluice_rollout_weight_ratio gauge
sluice_rollout_weight_ratio{model="iris",route="flowers",version="2"} 0.05
`
	names := []string{"sluice_rollout_evidence_ratio", "sluice_rollout_rollbacks", "sluice_rollout_state", "sluice_rollout_weight_ratio"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}
