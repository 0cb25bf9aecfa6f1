package app

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/pipeline"
	"sluice.io/sluice/internal/signals"
)

// Of a simulation that does not say otherwise.
const (
	simulatedSpan     = 30 * 24 * time.Hour
	simulatedTraining = time.Hour // if no retraining of the model has ended
)

// SimulateRetraining implements admin.RetrainControl.
func (c control) SimulateRetraining(ctx context.Context, model string, q admin.RetrainQuestion) (api.RetrainSimulation, error) {
	a := c.app
	if err := a.knows(model); err != nil {
		return api.RetrainSimulation{}, err
	}
	now := time.Now()
	if q.Until.IsZero() || q.Until.After(now) {
		q.Until = now
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-simulatedSpan)
	}
	if !q.Since.Before(q.Until) {
		return api.RetrainSimulation{}, infer.Errorf(infer.Invalid, "since: %s is not before until, %s", q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	happened, err := a.happened(ctx, model, q.Until)
	if err != nil {
		return api.RetrainSimulation{}, err
	}
	cfg := a.config.Load()
	m := cfg.Model(model)
	notes := []string{"Detections are those in the journal. The simulated retrainings could have ended them earlier or later."}
	s := pipeline.Simulation{Since: q.Since, Until: q.Until, Expire: cfg.Retrain.Expire, Every: m.Drift.Window, Holds: signals.NewStore()}
	s.Policy = policyOf(cfg, &m)
	if q.Training == nil {
		text := "of the model's retrainings that have ended"
		if took := happened.Training(); took > 0 {
			s.Policy.Training = api.Duration(took)
		} else {
			text = "since none of the model's has ended"
		}
		notes = append(notes, fmt.Sprintf("A retraining takes %v, %s.", time.Duration(s.Policy.Training), text))
	}
	q.Over(&s.Policy)
	if s.Policy.MinLabels > 0 {
		if s.Labels, err = a.labelsBetween(ctx, model); err != nil {
			return api.RetrainSimulation{}, err
		}
		notes = append(notes, "Labels are counted once an hour, in the files that are still there, by the time of their requests.")
	}
	out, err := s.Run(happened)
	out.Notes = append(notes, out.Notes...)
	return out, err
}

// policyOf returns the present policy of a model.
func policyOf(cfg *config.Config, m *config.Model) api.RetrainPolicy {
	r := &m.Retrain
	return api.RetrainPolicy{
		CoolDown: api.Duration(cfg.Retrain.CoolDown), Schedule: api.Duration(r.Schedule), Budget: r.Budget, MinLabels: r.MinLabels,
		Lookback: api.Duration(r.Lookback), Training: api.Duration(simulatedTraining), Unpromised: m.Drift.Calibration.Unpromised,
	}
}

// knows returns NotFound unless the repository has a version of a model.
func (a *App) knows(model string) error {
	_, err := a.publisher.Versions(model)
	return err
}

// happened reads what decides about the retrainings of a model from the journal.
func (a *App) happened(ctx context.Context, model string, until time.Time) (*pipeline.Happened, error) {
	const page = 1000
	h, after := pipeline.NewHappened(model), int64(0)
	for {
		events, err := a.journal.Read(after, page, journal.Filter{Types: pipeline.HappenedTypes(), Until: until})
		if err != nil || len(events) == 0 {
			return h, err
		}
		for i := range events {
			if err := h.Apply(events[i]); err != nil {
				return nil, err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		after = events[len(events)-1].Seq
	}
}

// labelsBetween returns what counts the captured labels of a model in a span.
func (a *App) labelsBetween(ctx context.Context, model string) (func(since, until time.Time) int64, error) {
	files, err := a.capture.Files(ctx, model, api.CaptureRange{})
	if err != nil {
		return nil, err
	}
	return func(since, until time.Time) (n int64) {
		for i := range files {
			if f := &files[i]; f.Version == 0 && f.Last.After(since) && !f.First.After(until) {
				n += f.Rows
			}
		}
		return n
	}, nil
}
