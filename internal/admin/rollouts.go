package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

const (
	rolloutsPath = "/api/v1/rollouts"
	planPath     = rolloutsPath + "/plan"
)

// rolloutEndpoints returns the endpoints of rollouts. The name in a path is that of the route.
func (s *Server) rolloutEndpoints() []endpoint {
	one := rolloutsPath + "/{name}"
	change := func(verb string, do rolloutChange) endpoint {
		return endpoint{http.MethodPost, one + "/" + verb, callers.On(callers.Rollout), quick, s.changeRollout(verb, callers.Rollout, do)}
	}
	return []endpoint{
		{http.MethodGet, rolloutsPath, callers.OnSome(callers.Metadata), quick, s.listRollouts},
		{http.MethodPost, rolloutsPath, callers.OnSome(callers.Rollout), quick, s.startRollout},
		{http.MethodPost, planPath, callers.OnSome(callers.Rollout), quick, s.planRollout},
		{http.MethodGet, one, callers.On(callers.Metadata), quick, s.getRollout},
		{http.MethodGet, one + "/history", callers.On(callers.Metadata), quick, s.rolloutHistory},
		{http.MethodPost, one + "/approve", callers.On(callers.Approve), quick, s.approveRollout},
		change("pause", RolloutControl.PauseRollout),
		change("resume", RolloutControl.ResumeRollout),
		change("promote", RolloutControl.PromoteRollout),
		change("abort", RolloutControl.AbortRollout),
		change("unfreeze", RolloutControl.UnfreezeRollouts),
	}
}

// rolloutChange changes the last rollout of a route.
type rolloutChange func(c RolloutControl, ctx context.Context, route string, by api.Actor) (api.Rollout, error)

func (s *Server) listRollouts(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return answer(w, visible(r, callers.Metadata, s.opts.Rollouts.Rollouts(), func(x *api.Rollout) string { return x.Spec.Route }))
}

func (s *Server) getRollout(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	list, err := s.opts.Rollouts.RolloutHistory(r.PathValue("name"))
	if err != nil {
		return err
	}
	return answer(w, list[0])
}

func (s *Server) rolloutHistory(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	list, err := s.opts.Rollouts.RolloutHistory(r.PathValue("name"))
	if err != nil {
		return err
	}
	return answer(w, list)
}

// specOf reads, completes and checks the spec of a request, and checks that its caller may roll out on its route
// and its model.
func (s *Server) specOf(r *http.Request) (spec api.RolloutSpec, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return spec, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return spec, infer.Errorf(infer.Invalid, "expected a rollout as JSON: %v", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return spec, infer.Errorf(infer.Invalid, "the body has more than one JSON value; expected one rollout")
	}
	if !infer.ValidName(spec.Route) {
		return spec, infer.Errorf(infer.Invalid, "route: '%.255s' is not a valid name for a route", spec.Route)
	}
	if err := callerOf(r).May(callers.Rollout, spec.Route); err != nil {
		return spec, err
	}
	spec.Complete()
	if err := invalid(spec.Check()); err != nil {
		return spec, err
	}
	route, err := s.opts.Routes.Route(spec.Route)
	if err != nil {
		return spec, err
	}
	return spec, callerOf(r).May(callers.Rollout, route.Model)
}

func (s *Server) planRollout(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	spec, err := s.specOf(r)
	if err != nil {
		return err
	}
	plan, err := s.opts.Rollouts.PlanRollout(r.Context(), spec)
	if err != nil {
		return err
	}
	return answer(w, plan)
}

func (s *Server) startRollout(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	spec, err := s.specOf(r)
	if err != nil {
		return err
	}
	started, err := s.opts.Rollouts.StartRollout(r.Context(), spec, who)
	s.logChange(r, who, "start rollout", err, zap.String("route", spec.Route), zap.Int64("version", spec.Version))
	if err != nil {
		return err
	}
	return answer(w, started)
}

// changeRollout returns the handler of a change of a running rollout.
func (s *Server) changeRollout(verb string, action callers.Action, do rolloutChange) func(http.ResponseWriter, *http.Request, api.Actor) error {
	return func(w http.ResponseWriter, r *http.Request, who api.Actor) error {
		route := r.PathValue("name")
		if err := s.mayOnModel(r, action, route); err != nil {
			return err
		}
		changed, err := do(s.opts.Rollouts, r.Context(), route, who)
		s.logChange(r, who, verb+" rollout", err, zap.String("route", route))
		if err != nil {
			return err
		}
		return answer(w, changed)
	}
}

func (s *Server) approveRollout(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	return s.changeRollout("approve", callers.Approve, func(c RolloutControl, ctx context.Context, route string, who api.Actor) (api.Rollout, error) {
		return c.ApproveRollout(ctx, route, who, callerOf(r).Groups())
	})(w, r, who)
}

// mayOnModel checks that the caller may do something on the model of a route's last rollout, beside the route.
func (s *Server) mayOnModel(r *http.Request, action callers.Action, route string) error {
	list, err := s.opts.Rollouts.RolloutHistory(route)
	if err != nil {
		return err
	}
	return callerOf(r).May(action, list[0].Model)
}
