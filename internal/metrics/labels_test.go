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

// measured is a report whose version was read in two ways, and has a segment.
func measured() api.LabelReport {
	low, high, holds := 0.8, 0.95, false
	stream := func(output, segment string, predictions uint64, accuracy float64) api.LabelStream {
		return api.LabelStream{
			Version: 3, Role: "stable", Output: output, Segment: segment, Predictions: predictions, Coverage: 0.5,
			Delay:   &api.LabelDelay{Median: api.Duration(time.Minute), P90: api.Duration(time.Hour)},
			Metrics: []api.LabelMetric{{Name: "accuracy", Value: accuracy, Low: &low, High: &high}, {Name: "ece", Value: 0.1}},
			Estimates: []api.LabelEstimate{
				{Name: "accuracy", Value: accuracy + 0.01, Low: &low, High: &high, Check: &api.EstimateCheck{Bound: &low, Holds: &holds}},
				{Name: "auc", Value: 0.7, Check: &api.EstimateCheck{}},
			},
		}
	}
	return api.LabelReport{
		Model: "churn", Labels: api.LabelCounts{Joined: 40, Late: 2}, Kept: api.KeptCounts{Kept: 100, Dropped: 3},
		Streams: []api.LabelStream{stream("old", "", 10, 0.1), stream("p", "", 90, 0.9), stream("p", "EU", 95, 0.5)},
		Losses: []api.LossStatus{
			{Version: 3, Role: "stable", State: "DETECTED", Findings: []api.LossFinding{{Loss: "error", Value: 0.3, Reference: 0.1, Limit: 0.05}}},
			{Version: 4, Role: "canary", State: api.LossLearning},
		},
	}
}

// TestLabelSeries: a version that was read in two ways has series once, and segments have none.
func TestLabelSeries(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	metrics.New(reg).Watch(metrics.Sources{Labels: func() []api.LabelReport { return []api.LabelReport{measured()} }})
	const want = `
# HELP sluice_label_coverage_ratio Share of the kept predictions that have a label, 0 to 1.
# TYPE sluice_label_coverage_ratio gauge
sluice_label_coverage_ratio{model="churn",role="stable",version="3"} 0.5
# HELP sluice_label_delay_seconds Time between a prediction and its label, quantiles of all labels.
# TYPE sluice_label_delay_seconds gauge
sluice_label_delay_seconds{model="churn",quantile="0.5",role="stable",version="3"} 60
sluice_label_delay_seconds{model="churn",quantile="0.9",role="stable",version="3"} 3600
# HELP sluice_label_rows_total Labels that were sent, by what became of them.
# TYPE sluice_label_rows_total counter
sluice_label_rows_total{model="churn",result="contradictory"} 0
sluice_label_rows_total{model="churn",result="duplicate"} 0
sluice_label_rows_total{model="churn",result="invalid"} 0
sluice_label_rows_total{model="churn",result="joined"} 40
sluice_label_rows_total{model="churn",result="late"} 2
sluice_label_rows_total{model="churn",result="unknown"} 0
# HELP sluice_loss_limit The mean loss up to which nothing is detected.
# TYPE sluice_loss_limit gauge
sluice_loss_limit{loss="error",model="churn",role="stable",version="3"} 0.15000000000000002
# HELP sluice_loss_mean Mean loss of labelled predictions in the last window, or since it became too large: error, brier or absolute_error.
# TYPE sluice_loss_mean gauge
sluice_loss_mean{loss="error",model="churn",role="stable",version="3"} 0.3
# HELP sluice_loss_reference Mean loss of the reference.
# TYPE sluice_loss_reference gauge
sluice_loss_reference{loss="error",model="churn",role="stable",version="3"} 0.1
# HELP sluice_loss_state State of the losses of labelled predictions: 0 OK, 1 SUSPECTED, 2 RECOVERING, 3 DETECTED, -2 LEARNING the reference.
# TYPE sluice_loss_state gauge
sluice_loss_state{model="churn",role="canary",version="4"} -2
sluice_loss_state{model="churn",role="stable",version="3"} 3
# HELP sluice_model_performance Measured performance, by metric: accuracy, log_loss, brier, auc, ece, mae, rmse or bias.
# TYPE sluice_model_performance gauge
sluice_model_performance{metric="accuracy",model="churn",role="stable",version="3"} 0.9
sluice_model_performance{metric="ece",model="churn",role="stable",version="3"} 0.1
# HELP sluice_model_performance_estimate Performance of all kept predictions that is expected before labels come, by metric.
# TYPE sluice_model_performance_estimate gauge
sluice_model_performance_estimate{metric="accuracy",model="churn",role="stable",version="3"} 0.91
sluice_model_performance_estimate{metric="auc",model="churn",role="stable",version="3"} 0.7
# HELP sluice_model_performance_estimate_high The upper end of that interval.
# TYPE sluice_model_performance_estimate_high gauge
sluice_model_performance_estimate_high{metric="accuracy",model="churn",role="stable",version="3"} 0.95
# HELP sluice_model_performance_estimate_holds 1 if the labels so far agree with the expected performance of their rows, 0 if the estimator was wrong.
# TYPE sluice_model_performance_estimate_holds gauge
sluice_model_performance_estimate_holds{metric="accuracy",model="churn",role="stable",version="3"} 0
# HELP sluice_model_performance_estimate_low The lower end of the 95 % interval of the expected performance.
# TYPE sluice_model_performance_estimate_low gauge
sluice_model_performance_estimate_low{metric="accuracy",model="churn",role="stable",version="3"} 0.8
# HELP sluice_model_performance_high The upper end of that interval.
# TYPE sluice_model_performance_high gauge
sluice_model_performance_high{metric="accuracy",model="churn",role="stable",version="3"} 0.95
# HELP sluice_model_performance_low The lower end of the 95 % interval of the measured performance.
# TYPE sluice_model_performance_low gauge
sluice_model_performance_low{metric="accuracy",model="churn",role="stable",version="3"} 0.8
`
	names := []string{
		"sluice_label_coverage_ratio", "sluice_label_delay_seconds", "sluice_label_rows_total",
		"sluice_loss_limit", "sluice_loss_mean", "sluice_loss_reference", "sluice_loss_state",
		"sluice_model_performance", "sluice_model_performance_high", "sluice_model_performance_low",
		"sluice_model_performance_estimate", "sluice_model_performance_estimate_low", "sluice_model_performance_estimate_high", "sluice_model_performance_estimate_holds",
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}
