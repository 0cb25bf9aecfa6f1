package admin

import (
	"net/http"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

func (s *Server) drift(w http.ResponseWriter, _ *http.Request, _ api.Actor) error {
	return answer(w, append([]api.DriftStatus{}, s.opts.Drift.Drift()...)) // [] rather than null
}

// driftOf answers for one model. One that is known and not compared with anything
// has an empty list.
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

// signals lists signals, the newest first.
func (s *Server) signals(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "model", "state")
	if err != nil {
		return err
	}
	model, state := query.Get("model"), query.Get("state")
	switch state {
	case "", api.RetrainOpen, api.RetrainDelivered, api.RetrainClosed:
	default:
		return infer.Errorf(infer.Invalid, "state: expected %s, %s or %s, got '%.40s'", api.RetrainOpen, api.RetrainDelivered, api.RetrainClosed, state)
	}
	list := []api.RetrainRequest{}
	for _, request := range slices.Backward(s.opts.Drift.Signals()) {
		if (model == "" || request.Model == model) && (state == "" || request.State == state) {
			list = append(list, request)
		}
	}
	return answer(w, list)
}

func (s *Server) signal(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	id := r.PathValue("id")
	for _, request := range s.opts.Drift.Signals() {
		if request.ID == id {
			return answer(w, request)
		}
	}
	return infer.Errorf(infer.NotFound, "there is no signal '%.100s'", id)
}

func (s *Server) retrySignal(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	request, err := s.opts.Drift.RetrySignal(r.PathValue("id"))
	return s.signaled(w, r, who, "retry signal", request, err)
}

func (s *Server) closeSignal(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	request, err := s.opts.Drift.CloseSignal(r.PathValue("id"), who)
	return s.signaled(w, r, who, "close signal", request, err)
}

// signaled records what was done to a signal and answers with it.
func (s *Server) signaled(w http.ResponseWriter, r *http.Request, who api.Actor, what string, request api.RetrainRequest, err error) error {
	s.logChange(r, who, what, err, zap.String("id", r.PathValue("id")), zap.String("model", request.Model))
	if err != nil {
		return err
	}
	return answer(w, request)
}
