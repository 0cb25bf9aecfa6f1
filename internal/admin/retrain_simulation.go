package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// RetrainQuestion asks what a policy would have requested. What is nil or zero is as configured.
type RetrainQuestion struct {
	Since, Until time.Time

	CoolDown, Schedule, Lookback, Training *time.Duration
	Budget, MinLabels                      *int
	Unpromised                             string // "" as configured
}

// Over puts what is asked for over a policy.
func (q *RetrainQuestion) Over(p *api.RetrainPolicy) {
	for _, d := range []struct {
		asked *time.Duration
		to    *api.Duration
	}{{q.CoolDown, &p.CoolDown}, {q.Schedule, &p.Schedule}, {q.Lookback, &p.Lookback}, {q.Training, &p.Training}} {
		if d.asked != nil {
			*d.to = api.Duration(*d.asked)
		}
	}
	if q.Budget != nil {
		p.Budget = *q.Budget
	}
	if q.MinLabels != nil {
		p.MinLabels = *q.MinLabels
	}
	p.Unpromised = cmp.Or(q.Unpromised, p.Unpromised)
}

func (s *Server) simulateRetraining(w http.ResponseWriter, r *http.Request, _ api.Actor) error {
	q, err := retrainQuestion(r)
	if err != nil {
		return err
	}
	out, err := s.opts.Retrain.SimulateRetraining(r.Context(), r.PathValue("name"), q)
	if err != nil {
		return err
	}
	return answer(w, out)
}

// retrainQuestion reads the parameters of a request.
func retrainQuestion(r *http.Request) (q RetrainQuestion, err error) {
	query, err := queryOf(r, "since", "until", "cool_down", "schedule", "lookback", "training", "budget", "min_labels", "unpromised")
	if err != nil {
		return q, err
	}
	if q.Since, err = timeOf(query, "since"); err != nil {
		return q, err
	}
	if q.Until, err = timeOf(query, "until"); err != nil {
		return q, err
	}
	for name, to := range map[string]**time.Duration{"cool_down": &q.CoolDown, "schedule": &q.Schedule, "lookback": &q.Lookback, "training": &q.Training} {
		if *to, err = durationOf(query, name); err != nil {
			return q, err
		}
	}
	for name, to := range map[string]**int{"budget": &q.Budget, "min_labels": &q.MinLabels} {
		if *to, err = countOf(query, name); err != nil {
			return q, err
		}
	}
	switch q.Unpromised = query.Get("unpromised"); q.Unpromised {
	case "", api.UnpromisedHold, api.UnpromisedAsk:
		return q, nil
	}
	return q, infer.Errorf(infer.Invalid, "unpromised: expected %s or %s, got '%.40s'", api.UnpromisedHold, api.UnpromisedAsk, q.Unpromised)
}

// durationOf returns the time in a parameter, nil if it is missing.
func durationOf(query url.Values, name string) (*time.Duration, error) {
	const most = 10 * 365 * 24 * time.Hour
	if !query.Has(name) {
		return nil, nil //nolint:nilnil // a missing parameter is not an error
	}
	d, err := time.ParseDuration(query.Get(name))
	if err != nil || d < 0 || d > most || name == "schedule" && d > 0 && d < time.Second || name == "training" && d < time.Second {
		return nil, infer.Errorf(infer.Invalid, "%s: expected a time such as 36h, at most %v, got '%.40s'", name, most, query.Get(name))
	}
	return &d, nil
}

// countOf returns the number in a parameter, nil if it is missing.
func countOf(query url.Values, name string) (*int, error) {
	const most = 1_000_000_000
	if !query.Has(name) {
		return nil, nil //nolint:nilnil // a missing parameter is not an error
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < 0 || n > most {
		return nil, infer.Errorf(infer.Invalid, "%s: expected a number from 0 to %d, got '%.40s'", name, most, query.Get(name))
	}
	return &n, nil
}
