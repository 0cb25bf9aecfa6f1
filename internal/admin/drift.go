package admin

import (
	"net/http"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

func (s *Server) drift(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	return answer(w, visible(r, callers.Statistics, s.opts.Drift.Drift(), func(d *api.DriftStatus) string { return d.Model }))
}

// driftOf answers with the streams of one model. The list is empty for a known model without
// a reference.
func (s *Server) driftOf(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	model := r.PathValue("model")
	list := []api.DriftStatus{}
	for _, d := range s.opts.Drift.Drift() {
		if d.Model == model {
			list = append(list, d)
		}
	}
	if len(list) == 0 && len(s.versions(model)) == 0 {
		return infer.Errorf(infer.NotFound, "there is no model '%.255s'", model)
	}
	return answer(w, list)
}

// driftReport answers with the streams of one model and the distributions of their features. The list is
// empty for a known model without a reference.
func (s *Server) driftReport(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	model := r.PathValue("model")
	list := s.opts.Drift.DriftReport(model)
	if len(list) == 0 && len(s.versions(model)) == 0 {
		return infer.Errorf(infer.NotFound, "there is no model '%.255s'", model)
	}
	return answer(w, list)
}

// signals answers with the signals, the newest first.
func (s *Server) signals(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "model", "state")
	if err != nil {
		return err
	}
	model, state := query.Get("model"), query.Get("state")
	switch state {
	case "", api.SignalOpen, api.SignalDelivered, api.SignalClosed:
	default:
		return infer.Errorf(infer.Invalid, "state: expected %s, %s or %s, got '%.40s'", api.SignalOpen, api.SignalDelivered, api.SignalClosed, state)
	}
	list := []api.Signal{}
	for _, sig := range slices.Backward(s.opts.Drift.Signals()) {
		if !callerOf(r).Can(callers.Statistics, sig.Model) {
			continue
		}
		if (model == "" || sig.Model == model) && (state == "" || sig.State == state) {
			list = append(list, sig)
		}
	}
	return answer(w, list)
}

func (s *Server) signal(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	sig, err := s.signalOf(r, callers.Statistics)
	if err != nil {
		return err
	}
	return answer(w, sig)
}

// signalOf returns the signal of a path. One that the caller may not see does not exist for it.
func (s *Server) signalOf(r *http.Request, a callers.Action) (api.Signal, error) {
	id := r.PathValue("id")
	for _, sig := range s.opts.Drift.Signals() {
		if sig.ID == id && callerOf(r).Can(a, sig.Model) {
			return sig, nil
		}
	}
	return api.Signal{}, infer.Errorf(infer.NotFound, "there is no signal '%.100s'", id)
}

func (s *Server) retrySignal(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	sig, err := s.signalOf(r, callers.Signal)
	if err == nil {
		sig, err = s.opts.Drift.RetrySignal(sig.ID)
	}
	return s.signaled(w, r, who, "retry signal", sig, err)
}

func (s *Server) closeSignal(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	sig, err := s.signalOf(r, callers.Signal)
	if err == nil {
		sig, err = s.opts.Drift.CloseSignal(sig.ID, who)
	}
	return s.signaled(w, r, who, "close signal", sig, err)
}

// signaled logs a change of a signal and answers with the signal.
func (s *Server) signaled(w http.ResponseWriter, r *http.Request, who api.Actor, what string, sig api.Signal, err error) error {
	s.logChange(r, who, what, err, zap.String("id", r.PathValue("id")), zap.String("model", sig.Model))
	if err != nil {
		return err
	}
	return answer(w, sig)
}
