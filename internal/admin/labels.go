package admin

import (
	"net/http"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

func (s *Server) labels(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	list, err := s.opts.Labels.LabelReports()
	if err != nil {
		return err
	}
	return answer(w, visible(r, callers.Statistics, list, func(report *api.LabelReport) string { return report.Model }))
}

// labelsOf answers with the report of one model, which has no streams if nothing was kept.
func (s *Server) labelsOf(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	model := r.PathValue("model")
	report, err := s.opts.Labels.LabelReport(model)
	if err != nil {
		return err
	}
	if len(report.Streams) == 0 && report.Labels.Rows == 0 && len(s.versions(model)) == 0 {
		return infer.Errorf(infer.NotFound, "there is no model '%.255s'", model)
	}
	return answer(w, report)
}
