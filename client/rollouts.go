package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Rollouts returns the last rollout of each route.
func (c *Client) Rollouts(ctx context.Context) (list []api.Rollout, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/rollouts", true, &list)
	return list, err
}

// Rollout returns the last rollout of a route. If it has had none, it returns an Error with status 404.
func (c *Client) Rollout(ctx context.Context, route string) (r api.Rollout, err error) {
	err = c.call(ctx, http.MethodGet, c.rolloutURL(route), true, &r)
	return r, err
}

// RolloutHistory returns the last rollouts of a route, the newest first.
func (c *Client) RolloutHistory(ctx context.Context, route string) (list []api.Rollout, err error) {
	err = c.call(ctx, http.MethodGet, c.rolloutURL(route)+"/history", true, &list)
	return list, err
}

// PlanRollout says what a rollout would do with the present traffic, and starts nothing.
func (c *Client) PlanRollout(ctx context.Context, spec api.RolloutSpec) (plan api.RolloutPlan, err error) {
	err = c.postSpec(ctx, c.admin+"/api/v1/rollouts/plan", spec, "", &plan)
	return plan, err
}

// StartRollout starts a rollout. reason is one line of text for the journal. If one runs on the route already, it returns an Error
// with status 409.
func (c *Client) StartRollout(ctx context.Context, spec api.RolloutSpec, reason string) (r api.Rollout, err error) {
	err = c.postSpec(ctx, c.admin+"/api/v1/rollouts", spec, reason, &r)
	return r, err
}

func (c *Client) postSpec(ctx context.Context, target string, spec api.RolloutSpec, reason string, result any) error {
	body, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	c.signWith(req, reason)
	return c.decode(req, result)
}

// The changes of a running rollout.
const (
	RolloutPause    = "pause"
	RolloutResume   = "resume"
	RolloutPromote  = "promote"
	RolloutAbort    = "abort"
	RolloutApprove  = "approve"
	RolloutUnfreeze = "unfreeze" // allows rollouts of a route again after two rollbacks in a row
)

// ChangeRollout changes the last rollout of a route, and returns it. If its state does not allow the change, it
// returns an Error with status 409. An abort stops traffic to the canary before it is answered.
func (c *Client) ChangeRollout(ctx context.Context, route, change, reason string) (r api.Rollout, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.rolloutURL(route)+"/"+change, nil)
	if err != nil {
		return r, err
	}
	c.signWith(req, reason)
	err = c.decode(req, &r)
	return r, err
}

func (c *Client) rolloutURL(route string) string {
	return c.admin + "/api/v1/rollouts/" + url.PathEscape(route)
}
