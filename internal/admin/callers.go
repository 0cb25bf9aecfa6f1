package admin

import (
	"net/http"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// callers answers with the configured callers, those of the routes' override tokens and anonymous.
// Callers that only their tokens name are not listed.
func (s *Server) callers(w http.ResponseWriter, _ *http.Request, _ api.Actor) error {
	all := s.opts.Callers.Load().Callers()
	list := make([]api.Caller, 0, len(all)) // [] instead of null
	for _, c := range all {
		list = append(list, callerDocument(c))
	}
	return answer(w, list)
}

func (s *Server) caller(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	for _, c := range s.opts.Callers.Load().Callers() {
		if c.Name() == r.PathValue("name") {
			return answer(w, callerDocument(c))
		}
	}
	return infer.Errorf(infer.NotFound, "there is no caller '%.100s'", r.PathValue("name"))
}

func callerDocument(c *callers.Caller) api.Caller {
	doc := api.Caller{
		Name: c.Name(), Groups: append([]string{}, c.Groups()...), Credentials: api.CallerCredentials(c.Credited()),
		Allow: []api.CallerRule{}, Limits: []api.CallerLimit{},
	}
	for _, rule := range c.Rules() {
		doc.Allow = append(doc.Allow, api.CallerRule{Models: rule.Models, Actions: rule.Actions.Names()})
	}
	for _, l := range c.Limits() {
		doc.Limits = append(doc.Limits, api.CallerLimit(l))
	}
	if counts := c.Counts(); counts != nil {
		doc.Requests, doc.Limited = counts.ByCode(), counts.Limited.Load()
	}
	return doc
}
