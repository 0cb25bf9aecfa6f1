package main

import (
	"sluice.io/sluice/api"
)

// LabelReports implements admin.LabelControl.
func (f *fold) LabelReports() ([]api.LabelReport, error) { return []api.LabelReport{}, nil }

// LabelReport implements admin.LabelControl.
func (f *fold) LabelReport(model string) (api.LabelReport, error) {
	return api.LabelReport{Model: model}, nil
}
