package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func TestDriftAndSignals(t *testing.T) {
	f := func(answer string, sent recorded, want any, call func(context.Context, *client.Client) (any, error)) {
		t.Helper()
		last, c := record(t, http.StatusOK, answer)
		got, err := call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		sent.Token = "Bearer secret"
		if diff := cmp.Diff(sent, *last); diff != "" {
			t.Errorf("(-want +sent):\n%s", diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sent.Target, diff)
		}
	}
	streams := []api.DriftStatus{{
		Model: "a b", Version: 2, Role: "canary", State: "DETECTED", Windows: 7,
		Last: &api.DriftVerdict{State: "DETECTED", Features: []api.DriftFinding{{Feature: "x", P: 1e-300}}},
	}}
	const status = `[{"model":"a b","version":2,"role":"canary","state":"DETECTED","windows":7,"last":{"state":"DETECTED","features":[{"feature":"x","p":1e-300}]}}]`
	f(status, recorded{Target: "GET /api/v1/drift"}, streams,
		func(ctx context.Context, c *client.Client) (any, error) { return c.Drift(ctx) })
	f(status, recorded{Target: "GET /api/v1/drift/a%20b%2F"}, streams,
		func(ctx context.Context, c *client.Client) (any, error) { return c.DriftOf(ctx, "a b/") })
	f(`[{"model":"a b","distributions":[{"feature":"x","edges":[1],"reference":{"bins":[2,3]}}]}]`, recorded{Target: "GET /api/v1/drift/a%20b%2F/report"},
		[]api.DriftReport{{
			DriftStatus:   api.DriftStatus{Model: "a b"},
			Distributions: []api.DriftDistribution{{Feature: "x", Edges: []float64{1}, Reference: api.DriftRows{Bins: []uint64{2, 3}}}},
		}},
		func(ctx context.Context, c *client.Client) (any, error) { return c.DriftReport(ctx, "a b/") })

	signal := api.Signal{
		SignalData:     api.SignalData{ID: "s?", Model: "a b", Version: 2},
		SignalProgress: api.SignalProgress{State: api.SignalOpen, Attempts: 3},
	}
	const text = `{"id":"s?","model":"a b","version":2,"state":"open","attempts":3}`
	f("["+text+"]", recorded{Target: "GET /api/v1/signals"}, []api.Signal{signal},
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.Signals(ctx, client.SignalFilter{})
		})
	f("["+text+"]", recorded{Target: "GET /api/v1/signals?model=a+b&state=open"}, []api.Signal{signal},
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.Signals(ctx, client.SignalFilter{Model: "a b", State: api.SignalOpen})
		})
	f(text, recorded{Target: "GET /api/v1/signals/s%3F"}, signal,
		func(ctx context.Context, c *client.Client) (any, error) { return c.Signal(ctx, "s?") })
	f(text, recorded{Target: "POST /api/v1/signals/s%3F/retry", Actor: "dave"}, signal,
		func(ctx context.Context, c *client.Client) (any, error) { return c.RetrySignal(ctx, "s?") })
	f(text, recorded{Target: "POST /api/v1/signals/s%3F/close", Actor: "dave", Reason: "trained — v4"}, signal,
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.CloseSignal(ctx, "s?", "trained — v4")
		})
	f(text, recorded{Target: "POST /api/v1/signals/s%3F/close", Actor: "dave"}, signal,
		func(ctx context.Context, c *client.Client) (any, error) { return c.CloseSignal(ctx, "s?", "") })

	_, c := record(t, http.StatusConflict, `{"error":"s was closed already"}`)
	_, err := c.CloseSignal(t.Context(), "s", "")
	if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != http.StatusConflict || e.Message != "s was closed already" {
		t.Errorf("%v", err)
	}
}
