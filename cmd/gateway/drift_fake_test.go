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

func (f *fold) Signals() []api.RetrainRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.signals)
}

func (f *fold) RetrySignal(id string) (api.RetrainRequest, error) {
	return f.signal(id, func(r *api.RetrainRequest) error {
		if r.State != api.RetrainOpen {
			return infer.Errorf(infer.Conflict, "%s is %s; only what is open is delivered", id, r.State)
		}
		return nil
	})
}

func (f *fold) CloseSignal(id string, by api.Actor) (api.RetrainRequest, error) {
	return f.signal(id, func(r *api.RetrainRequest) error {
		if r.State == api.RetrainClosed {
			return infer.Errorf(infer.Conflict, "%s was closed already", id)
		}
		at := foldAt.Add(time.Hour)
		r.State, r.NextAttempt, r.ClosedAt, r.ClosedBy, r.Reason = api.RetrainClosed, nil, &at, by.Actor, by.Reason
		return nil
	})
}

func (f *fold) signal(id string, do func(*api.RetrainRequest) error) (api.RetrainRequest, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.signals {
		if r := &f.signals[i]; r.ID == id {
			err := do(r)
			return *r, err
		}
	}
	return api.RetrainRequest{}, infer.Errorf(infer.NotFound, "there is no signal %q", id)
}

// noModels is a control of a gateway that has none.
type noModels struct{ admin.Control }

func (noModels) Models() []api.ModelStatus { return nil }
