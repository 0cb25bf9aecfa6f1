package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/metrics"
)

// retrained are the retrainings of a model, the newest first.
func retrained() []api.Retraining {
	return []api.Retraining{
		{Model: "iris", State: api.RetrainRunning, Trainer: api.TrainerExec, ChangedAt: time.Unix(1000, 5e8)},
		{Model: "iris", State: api.RetrainFailed},
		{Model: "iris", State: api.RetrainFinished},
		{Model: "iris", State: api.RetrainFinished},
	}
}

func TestRetrainSeries(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	metrics.New(reg).Watch(metrics.Sources{Retrainings: retrained})
	const want = `
# HELP sluice_retraining_changed_timestamp_seconds When the state of the last retraining changed last.
# TYPE sluice_retraining_changed_timestamp_seconds gauge
sluice_retraining_changed_timestamp_seconds{model="iris"} 1000.5
# HELP sluice_retraining_ended Ended retrainings that the gateway still knows, by their last state.
# TYPE sluice_retraining_ended gauge
sluice_retraining_ended{model="iris",state="failed"} 1
sluice_retraining_ended{model="iris",state="finished"} 2
# HELP sluice_retraining_state 1 for the state of the last retraining of a model.
# TYPE sluice_retraining_state gauge
sluice_retraining_state{model="iris",state="running",trainer="exec"} 1
`
	names := []string{"sluice_retraining_changed_timestamp_seconds", "sluice_retraining_ended", "sluice_retraining_state"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}
