package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// rollouts has a rollout of iris, and notes what it is asked for.
type rollouts struct {
	spec   api.RolloutSpec
	change string
	by     api.Actor
	groups []string
	err    error
}

func (r *rollouts) last() api.Rollout {
	return api.Rollout{ID: "iris-1", Model: "iris", Spec: api.RolloutSpec{Route: "iris", Version: 2}, State: api.RolloutCanary}
}

func (r *rollouts) Rollouts() []api.Rollout { return []api.Rollout{r.last()} }

func (r *rollouts) RolloutHistory(route string) ([]api.Rollout, error) {
	if route != "iris" {
		return nil, infer.Errorf(infer.NotFound, "route '%s' has had no rollout", route)
	}
	return []api.Rollout{r.last()}, nil
}

func (r *rollouts) PlanRollout(_ context.Context, spec api.RolloutSpec) (api.RolloutPlan, error) {
	r.spec = spec
	return api.RolloutPlan{Spec: spec}, r.err
}

func (r *rollouts) StartRollout(_ context.Context, spec api.RolloutSpec, by api.Actor) (api.Rollout, error) {
	r.spec, r.by = spec, by
	return r.last(), r.err
}

func (r *rollouts) do(change string, by api.Actor) (api.Rollout, error) {
	r.change, r.by = change, by
	return r.last(), r.err
}

func (r *rollouts) PauseRollout(_ context.Context, _ string, by api.Actor) (api.Rollout, error) {
	return r.do("pause", by)
}

func (r *rollouts) ResumeRollout(_ context.Context, _ string, by api.Actor) (api.Rollout, error) {
	return r.do("resume", by)
}

func (r *rollouts) PromoteRollout(_ context.Context, _ string, by api.Actor) (api.Rollout, error) {
	return r.do("promote", by)
}

func (r *rollouts) AbortRollout(_ context.Context, _ string, by api.Actor) (api.Rollout, error) {
	return r.do("abort", by)
}

func (r *rollouts) ApproveRollout(_ context.Context, _ string, by api.Actor, groups []string) (api.Rollout, error) {
	r.groups = groups
	return r.do("approve", by)
}

func (r *rollouts) UnfreezeRollouts(_ context.Context, _ string, by api.Actor) (api.Rollout, error) {
	return r.do("unfreeze", by)
}

func TestRollouts(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	for _, path := range []string{"/api/v1/rollouts", "/api/v1/rollouts/iris", "/api/v1/rollouts/iris/history"} {
		if got := s.ask("GET", path, nil); got.status != http.StatusOK || !strings.Contains(got.body, `"iris-1"`) {
			t.Errorf("GET %s = %d %s", path, got.status, got.body)
		}
	}
	s.expectError(s.ask("GET", "/api/v1/rollouts/other", nil), http.StatusNotFound, "no rollout")
	for _, change := range []string{"pause", "resume", "promote", "abort", "approve", "unfreeze"} {
		got := s.ask("POST", "/api/v1/rollouts/iris/"+change, nil, "Sluice-Change-Reason", "because")
		if got.status != http.StatusOK || s.rollouts.change != change || s.rollouts.by.Reason != "because" {
			t.Errorf("%s = %d %s: %+v", change, got.status, got.body, s.rollouts)
		}
		s.expectError(s.ask("POST", "/api/v1/rollouts/other/"+change, nil), http.StatusNotFound, "no rollout")
	}
	s.rollouts.err = infer.Errorf(infer.Conflict, "its state is COMPLETED")
	s.expectError(s.ask("POST", "/api/v1/rollouts/iris/abort", nil), http.StatusConflict, "COMPLETED")
}

func TestStartRollout(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	for _, path := range []string{"/api/v1/rollouts", "/api/v1/rollouts/plan"} {
		f := func(body string, status int, part string) {
			t.Helper()
			s.expectError(s.ask("POST", path, strings.NewReader(body)), status, part)
		}
		f("", http.StatusBadRequest, "expected a rollout as JSON")
		f(`{"route": "iris", "version": 2} {}`, http.StatusBadRequest, "more than one JSON value")
		f(`{"route": "iris", "version": 2, "step": []}`, http.StatusBadRequest, "step")
		f(`{"route": "a/b", "version": 2}`, http.StatusBadRequest, "route: 'a/b' is not a valid name")
		f(`{"route": "iris", "version": -1, "alpha": 2}`, http.StatusBadRequest, "version: expected a version of 1 or more, got -1; alpha: expected")
		f(`{"route": "iris", "version": 2, "steps": [{"weight": 500, "for": "1m"}, {"weight": 400, "for": "1m"}]}`, http.StatusBadRequest, "steps[1].weight")
		f(`{"route": "none", "version": 2}`, http.StatusNotFound, "none")
		got := s.ask("POST", path, strings.NewReader(`{"route": "iris", "version": 2, "preset": "fast", "steps": [{"weight": 500, "for": "1m"}]}`))
		if got.status != http.StatusOK || s.rollouts.spec.Bake == 0 || len(s.rollouts.spec.Steps) != 1 {
			t.Errorf("POST %s = %d %s: %+v", path, got.status, got.body, s.rollouts.spec)
		}
	}
}

func FuzzRolloutSpec(f *testing.F) {
	f.Add(`{"route": "iris", "version": 2, "steps": [{"weight": 500, "for": "1m"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var spec api.RolloutSpec
		if json.Unmarshal([]byte(text), &spec) != nil {
			return
		}
		spec.Complete()
		if len(spec.Check()) > 0 {
			return
		}
		again, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		var same api.RolloutSpec
		if err := json.Unmarshal(again, &same); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
