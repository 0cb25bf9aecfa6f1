package admin

import (
	"io"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

func (s *Server) listRoutes(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return answer(w, visible(r, callers.Metadata, s.opts.Routes.Routes(), func(route *api.Route) string { return route.Name }))
}

// getRoute answers with a route as it is now, or with what served it at a time.
func (s *Server) getRoute(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "at")
	if err != nil {
		return err
	}
	if query.Has("at") {
		at, err := timeOf(query, "at")
		if err != nil {
			return err
		}
		served, err := s.opts.Routes.ServedAt(r.PathValue("name"), at)
		if err != nil {
			return err
		}
		return answer(w, served)
	}
	route, err := s.opts.Routes.Route(r.PathValue("name"))
	if err != nil {
		return err
	}
	setETag(w, route.Revision)
	return answer(w, route)
}

func (s *Server) routeStats(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	stats, err := s.opts.Routes.RouteStats(r.PathValue("name"))
	if err != nil {
		return err
	}
	return answer(w, stats)
}

func (s *Server) shadowReport(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	report, err := s.opts.Routes.ShadowReport(r.PathValue("name"))
	if err != nil {
		return err
	}
	return answer(w, report)
}

func (s *Server) setRoute(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	edit, err := editOf(r, who)
	if err != nil {
		return err
	}
	route, err := routeOf(r)
	if err != nil {
		return err
	}
	// A route makes its model callable under another name, so that name is not enough.
	if err := callerOf(r).May(callers.Route, route.Model); err != nil {
		return err
	}
	result, err := s.opts.Routes.SetRoute(r.Context(), route, edit)
	return s.edited(w, r, "set route", edit, result, err)
}

func (s *Server) deleteRoute(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	edit, err := editOf(r, who)
	if err != nil {
		return err
	}
	result, err := s.opts.Routes.DeleteRoute(r.Context(), r.PathValue("name"), edit)
	return s.edited(w, r, "delete route", edit, result, err)
}

// edited logs an edit and answers with its result.
func (s *Server) edited(w http.ResponseWriter, r *http.Request, what string, edit Edit, result api.RouteResult, err error) error {
	s.logChange(r, edit.By, what, err, zap.String("route", r.PathValue("name")),
		zap.Int64("from_revision", edit.Revision), zap.Int64("revision", result.Revision), zap.Bool("dry_run", edit.DryRun))
	if err != nil {
		return err
	}
	if !edit.DryRun {
		setETag(w, result.Revision)
	}
	return answer(w, result)
}

// editOf reads the conditions of a change of a route.
func editOf(r *http.Request, who api.Actor) (Edit, error) {
	if name := r.PathValue("name"); !infer.ValidName(name) {
		return Edit{}, infer.Errorf(infer.Invalid, "'%s' is not a valid name for a route", name)
	}
	query, err := queryOf(r, "dry_run")
	if err != nil {
		return Edit{}, err
	}
	edit := Edit{By: who}
	if edit.DryRun, err = boolOf(query, "dry_run"); err != nil {
		return Edit{}, err
	}
	edit.Revision, err = ifMatch(r.Header.Values("If-Match"))
	return edit, err
}

// routeOf reads, completes and checks the route of a request.
func routeOf(r *http.Request) (api.Route, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return api.Route{}, err
	}
	route, err := decodeRoute(body)
	if err != nil {
		return api.Route{}, err
	}
	name := r.PathValue("name")
	if route.Name != "" && route.Name != name {
		return api.Route{}, infer.Errorf(infer.Invalid, "name: expected '%s', the name in the path, or no name, got '%.255s'", name, route.Name)
	}
	route.Name, route.Revision = name, 0
	seed := route.Seed
	route.Complete()
	if !infer.ValidName(route.Model) {
		return api.Route{}, infer.Errorf(infer.Invalid, "model: '%.255s' is not a valid name for a model", route.Model)
	}
	if err := invalid(route.Check()); err != nil {
		return api.Route{}, err
	}
	route.Seed = seed // an empty seed keeps the current one, which only RouteControl knows
	return route, nil
}

// invalid returns the problems of a document as an error, nil if there are none.
func invalid(problems []api.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	list := make([]string, len(problems))
	for i, p := range problems {
		list[i] = p.String()
	}
	return infer.Errorf(infer.Invalid, "%s", strings.Join(list, "; "))
}
