package main

import (
	"slices"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
)

// Drift implements admin.DriftControl.
func (f *fold) Drift() []api.DriftStatus {
	f.hook("drift")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return slices.Clone(f.streams)
}

func (f *fold) DriftReport(model string) []api.DriftReport {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []api.DriftReport{}
	for _, s := range f.streams {
		if s.Model != model {
			continue
		}
		list = append(list, api.DriftReport{DriftStatus: s, Distributions: []api.DriftDistribution{
			{
				Feature: "petal length", Kind: "input", Edges: []float64{1, 2, 3}, Min: 0, Max: 4,
				Reference: api.DriftRows{Bins: []uint64{25, 25, 25, 25}}, Window: &api.DriftRows{Bins: []uint64{0, 10, 30, 60}, Missing: 4},
			},
			{Feature: "<b>label", Kind: "output", Edges: []float64{0.5}, Values: []float64{0, 1}, Max: 1, Reference: api.DriftRows{Bins: []uint64{90, 10}}},
		}})
	}
	return list
}

func (f *fold) Signals() []api.Signal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.signals)
}

func (f *fold) RetrySignal(id string) (api.Signal, error) {
	return f.signal(id, func(r *api.Signal) error {
		if r.State != api.SignalOpen {
			return infer.Errorf(infer.Conflict, "signal %s is %s; only an open signal can be delivered", id, r.State)
		}
		return nil
	})
}

func (f *fold) CloseSignal(id string, by api.Actor) (api.Signal, error) {
	return f.signal(id, func(r *api.Signal) error {
		if r.State == api.SignalClosed {
			return infer.Errorf(infer.Conflict, "%s was closed already", id)
		}
		at := foldAt.Add(time.Hour)
		r.State, r.NextAttempt, r.ClosedAt, r.ClosedBy, r.Reason = api.SignalClosed, nil, &at, by.Actor, by.Reason
		return nil
	})
}

func (f *fold) signal(id string, do func(*api.Signal) error) (api.Signal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.signals {
		if r := &f.signals[i]; r.ID == id {
			err := do(r)
			return *r, err
		}
	}
	return api.Signal{}, infer.Errorf(infer.NotFound, "there is no signal %q", id)
}

// noModels is the control of a gateway without models.
type noModels struct{ admin.Control }

func (noModels) Models() []api.ModelStatus { return nil }
