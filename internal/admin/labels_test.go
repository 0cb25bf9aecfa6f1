package admin_test

import (
	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// noLabels has a report of iris, and cannot read that of "a b".
type noLabels struct{}

func (noLabels) LabelReports() ([]api.LabelReport, error) {
	return []api.LabelReport{{Model: "iris", Confidence: 0.95}}, nil
}

func (noLabels) LabelReport(model string) (api.LabelReport, error) {
	if model == "a b" {
		return api.LabelReport{}, infer.Errorf(infer.Unavailable, "labels.db cannot be read")
	}
	return api.LabelReport{Model: model, Confidence: 0.95}, nil
}
