package admin

import (
	"encoding/json"
	"net/http"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// trainerPush keeps a push with the token of a retraining to that retraining, and names it in the lineage.
func trainerPush(r *http.Request, push *Push) error {
	id := callerOf(r).Retraining()
	if id == "" {
		return nil
	}
	l := &push.Metadata.Lineage
	if l.Retrain == "" {
		l.Retrain = id
	}
	if err := callerOf(r).MayTrain(l.Retrain); err != nil {
		return err
	}
	if push.From != "" { // it may name any file of the gateway's machine
		return infer.Errorf(infer.Forbidden, "from: the token of a retraining is for a version in the body of the request")
	}
	return nil
}

// trainerRange keeps an export with the token of a retraining to the range of its document. A bound that is not given is that of the
// document.
func (s *Server) trainerRange(r *http.Request, of *api.CaptureRange) error {
	id := callerOf(r).Retraining()
	if id == "" {
		return nil
	}
	text, err := s.opts.Retrain.TrainingRequest(r.Context(), id, "")
	if err != nil {
		return err
	}
	var doc api.TrainingRequest
	if err := json.Unmarshal(text, &doc); err != nil {
		return err
	}
	if of.Since.IsZero() {
		of.Since = doc.Data.Since
	}
	if of.Until.IsZero() {
		of.Until = doc.Data.Until
	}
	if of.Since.Before(doc.Data.Since) || of.Until.After(doc.Data.Until) {
		return infer.Errorf(infer.Forbidden, "the token is for the captured requests from data.since to data.until of the document of retraining %s", id)
	}
	return nil
}
