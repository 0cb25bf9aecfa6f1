package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"unicode"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// RetrainControl gives the admin port access to retrainings. The id of one is that of its signal. All methods with an id fail with
// NotFound, and changes with Conflict if the state does not allow them.
type RetrainControl interface {
	// Retrainings returns those in progress and the last ones that have ended, the newest first.
	Retrainings() []api.Retraining
	Retraining(id string) (api.Retraining, error)
	// TrainingRequest returns the document for the trainer, as JSON, or a part that is too large to be in it.
	TrainingRequest(ctx context.Context, id, part string) ([]byte, error)
	// TrainingLog returns the output of a training program.
	TrainingLog(id string) ([]byte, error)
	ReportRetraining(id string, said api.RetrainProgress, by api.Actor) (api.Retraining, error)
	FailRetraining(id, reason string, by api.Actor) (api.Retraining, error)
	CancelRetraining(id string, by api.Actor) (api.Retraining, error)
	// RequestRetraining makes a request for a model.
	RequestRetraining(model string, by api.Actor) (api.Retraining, error)
	// SimulateRetraining says what a policy would have requested.
	SimulateRetraining(ctx context.Context, model string, q RetrainQuestion) (api.RetrainSimulation, error)
}

const (
	oneSignalPath = "/api/v1/signals/{id}"
	progressPath  = oneSignalPath + "/progress"
	failPath      = oneSignalPath + "/fail"
	askPath       = "/api/v1/models/{name}/retrain"
)

// retrainEndpoints returns the endpoints of retrainings.
func (s *Server) retrainEndpoints() []endpoint {
	const one = oneSignalPath
	return []endpoint{
		{http.MethodGet, "/api/v1/retrainings", callers.OnSome(callers.Statistics), quick, s.listRetrainings},
		{http.MethodPost, askPath, callers.On(callers.Signal), quick, s.requestRetraining},
		{http.MethodGet, askPath + "/simulation", callers.On(callers.Statistics), slow, s.whileServing(s.simulateRetraining)},
		{http.MethodGet, one + "/retraining", callers.OnSome(callers.Statistics).ForTrainers().AndRepeats(), quick, s.getRetraining},
		{http.MethodGet, one + "/training", callers.OnSome(callers.Signal).ForTrainers(), slow, s.trainingRequest},
		{http.MethodGet, one + "/log", callers.OnSome(callers.Signal), quick, s.trainingLog},
		{http.MethodPost, progressPath, callers.OnSome(callers.Signal).ForTrainers().AndRepeats(), quick, s.reportRetraining},
		{http.MethodPost, failPath, callers.OnSome(callers.Signal).ForTrainers().AndRepeats(), quick, s.failRetraining},
		{http.MethodPost, one + "/cancel", callers.OnSome(callers.Signal), quick, s.cancelRetraining},
	}
}

func (s *Server) listRetrainings(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	query, err := queryOf(r, "model")
	if err != nil {
		return err
	}
	model, list := query.Get("model"), []api.Retraining{} // [] instead of null
	for _, x := range s.opts.Retrain.Retrainings() {
		if (model == "" || x.Model == model) && callerOf(r).Can(callers.Statistics, x.Model) {
			list = append(list, x)
		}
	}
	return answer(w, list)
}

// retrainingOf returns the retraining of a path. One that the caller may not see does not exist for it.
func (s *Server) retrainingOf(r *http.Request, a callers.Action) (api.Retraining, error) {
	id := r.PathValue("id")
	if err := callerOf(r).MayTrain(id); err != nil {
		return api.Retraining{}, err
	}
	x, err := s.opts.Retrain.Retraining(id)
	if err == nil && !callerOf(r).Can(a, x.Model) {
		err = infer.Errorf(infer.NotFound, "there is no retraining '%.100s'", id)
	}
	return x, err
}

func (s *Server) getRetraining(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	x, err := s.retrainingOf(r, callers.Statistics)
	if err != nil {
		return err
	}
	return answer(w, x)
}

func (s *Server) trainingRequest(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	x, err := s.retrainingOf(r, callers.Signal)
	if err != nil {
		return err
	}
	query, err := queryOf(r, "part")
	if err != nil {
		return err
	}
	part := query.Get("part")
	if part != "" && part != api.PartReference && part != api.PartWindow {
		return infer.Errorf(infer.Invalid, "part: expected %s or %s, got '%.40s'", api.PartReference, api.PartWindow, part)
	}
	text, err := s.opts.Retrain.TrainingRequest(r.Context(), x.ID, part)
	if err != nil {
		return err
	}
	return raw(w, "application/json", text)
}

func (s *Server) trainingLog(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	x, err := s.retrainingOf(r, callers.Signal)
	if err != nil {
		return err
	}
	text, err := s.opts.Retrain.TrainingLog(x.ID)
	if err != nil {
		return err
	}
	return raw(w, "text/plain; charset=utf-8", text)
}

// raw answers with a text as it is.
func raw(w http.ResponseWriter, mediaType string, text []byte) error {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text) // fails only if the connection is closed
	return nil
}

func (s *Server) reportRetraining(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	var said api.RetrainProgress
	if err := bodyOf(r, &said, "progress, message or log"); err != nil {
		return err
	}
	return s.changeRetraining(w, r, who, "report progress of a retraining", func(id string) (api.Retraining, error) {
		return s.opts.Retrain.ReportRetraining(id, said, who)
	})
}

func (s *Server) failRetraining(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	var said api.RetrainFailure
	if err := bodyOf(r, &said, "reason"); err != nil {
		return err
	}
	return s.changeRetraining(w, r, who, "report failure of a retraining", func(id string) (api.Retraining, error) {
		return s.opts.Retrain.FailRetraining(id, said.Reason, who)
	})
}

func (s *Server) cancelRetraining(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	return s.changeRetraining(w, r, who, "cancel retraining", func(id string) (api.Retraining, error) {
		return s.opts.Retrain.CancelRetraining(id, who)
	})
}

// changeRetraining changes the retraining of a path, logs that, and answers with the retraining.
func (s *Server) changeRetraining(w http.ResponseWriter, r *http.Request, who api.Actor, what string, do func(id string) (api.Retraining, error)) error {
	x, err := s.retrainingOf(r, callers.Signal)
	if err == nil {
		x, err = do(x.ID)
	}
	s.logChange(r, who, what, err, zap.String("id", r.PathValue("id")), zap.String("model", x.Model))
	if err != nil {
		return err
	}
	return answer(w, x)
}

func (s *Server) requestRetraining(w http.ResponseWriter, r *http.Request, who api.Actor) error {
	var said api.RetrainAsk
	if err := bodyOf(r, &said, "reason"); err != nil {
		return err
	}
	if said.Reason = strings.TrimSpace(said.Reason); said.Reason != "" {
		who.Reason = said.Reason
	}
	if who.Reason == "" || len(who.Reason) > maxReasonBytes || strings.ContainsFunc(who.Reason, unicode.IsControl) {
		return infer.Errorf(infer.Invalid, "reason: expected one line of text, of 1 to %d bytes, that says why the model is retrained", maxReasonBytes)
	}
	model := r.PathValue("name")
	x, err := s.opts.Retrain.RequestRetraining(model, who)
	s.logChange(r, who, "request retraining", err, zap.String("id", x.ID), zap.String("model", model))
	if err != nil {
		return err
	}
	return write(w, http.StatusCreated, x)
}

// bodyOf decodes the JSON object of a request. An empty body is an empty object.
func bodyOf(r *http.Request, to any, expected string) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err = d.Decode(to)
	if _, rest := d.Token(); err != nil || !errors.Is(rest, io.EOF) {
		return infer.Errorf(infer.Invalid, "the body is not valid: expected a JSON object with %s", expected)
	}
	return nil
}
