package admin

import (
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

func (s *Server) captured(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	list, err := s.opts.Capture.Captured(r.Context())
	if err != nil {
		return err
	}
	return answer(w, visible(r, callers.Capture, list, func(c *api.Captured) string { return c.Model }))
}

// captureFiles answers with the files of one model.
func (s *Server) captureFiles(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "since", "until", "version")
	if err != nil {
		return err
	}
	of, err := captureRange(query)
	if err != nil {
		return err
	}
	files, err := s.opts.Capture.CaptureFiles(r.Context(), r.PathValue("model"), of)
	if err != nil {
		return err
	}
	return answer(w, append([]api.CaptureFile{}, files...)) // [] instead of null
}

func captureRange(query url.Values) (of api.CaptureRange, err error) {
	if of.Since, err = timeOf(query, "since"); err != nil {
		return of, err
	}
	if of.Until, err = timeOf(query, "until"); err != nil {
		return of, err
	}
	if text := query["version"]; text != nil {
		version, ok := infer.ParseVersion(text[0])
		if of.Version = version; !ok {
			return of, infer.Errorf(infer.Invalid, "version: expected the number of a version, got '%.40s'", text[0])
		}
	}
	return of, nil
}
