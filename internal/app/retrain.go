package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/champion"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/pipeline"
	"sluice.io/sluice/internal/reconcile"
	"sluice.io/sluice/internal/serving"
)

// retrainDir is the folder of documents and training programs in the data directory.
const retrainDir = "retrain"

// buildPipeline makes the pipeline, which goes on with the journal's retrainings.
func (a *App) buildPipeline(cfg *config.Config, fold *pipeline.Fold) {
	o := pipeline.Options{
		Journal: pipelineLog{a.journal}, Gateway: retrainer{a}, Settings: a.trainerOf, Parallel: cfg.Retrain.Parallel, Retry: cfg.Retrain.Retry,
		Logger: a.log, Tokens: a.setTrainers, TokenGrace: func(model string) time.Duration { return a.config.Load().Model(model).Retrain.TokenGrace },
	}
	if cfg.DataDir != "" {
		o.Dir = filepath.Join(cfg.DataDir, retrainDir)
	}
	if n := &cfg.Retrain.NATS; n.URL != "" {
		o.Queue = pipeline.NewNATS(pipeline.NATSOptions{
			URL: n.URL, Subject: n.Subject, Token: n.Token.Reveal(), Creds: n.Creds, Timeout: n.Timeout,
			Source: cmp.Or(cfg.Retrain.Source, config.Default().Retrain.Source),
		})
	}
	a.pipeline = pipeline.New(o, fold, a.journal.Last())
}

// pipelineLog is the journal for a pipeline.
type pipelineLog struct{ *journal.Log }

// Read implements pipeline.Journal.
func (l pipelineLog) Read(after int64, limit int, types []string) ([]api.Event, error) {
	return l.Log.Read(after, limit, journal.Filter{Types: types})
}

// trainerOf returns the trainer of a model.
func (a *App) trainerOf(model string) pipeline.Settings {
	cfg := a.config.Load()
	m := cfg.Model(model).Retrain
	s := pipeline.Settings{Trainer: m.Trainer, Timeout: m.Timeout, Attempts: m.Attempts, Exec: pipeline.ExecSettings{
		Command: m.Exec.Command, Env: m.Exec.Env, MaxOutput: int(m.Exec.MaxOutput), Nice: m.Exec.Nice, URL: a.controlURL(),
	}}
	if m.Trainer == config.ByWebhook {
		s.Timeout = cfg.Retrain.Expire
	}
	s.Token = m.Token == config.TokenAll || m.Token == config.TokenExec && m.Trainer == config.ByExec
	return s
}

// setTrainers tells the listeners which tokens of trainers are valid.
func (a *App) setTrainers(list []pipeline.Token) {
	next := make([]callers.Trainer, len(list))
	for i, t := range list {
		next[i] = callers.Trainer{Retraining: t.ID, Model: t.Model, Token: t.Digest, Until: t.Until, Over: t.Over, Ended: t.Ended}
	}
	a.trainers.Replace(next)
}

// webhookToken returns the token for the receiver of a request for retraining, "" if it gets none.
func (a *App) webhookToken(s *api.SignalData) (string, error) {
	if a.trainerOf(s.Model).Trainer != config.ByWebhook {
		return "", nil
	}
	token, err := a.pipeline.Token(s.ID)
	if code := infer.CodeOf(err); code == infer.NotFound || code == infer.Conflict {
		return "", nil // its retraining waits for no trainer
	}
	return token, err
}

// controlURL returns the URL of the control API for trainers.
func (a *App) controlURL() string {
	if url := a.config.Load().Retrain.URL; url != "" {
		return url
	}
	scheme := "http"
	if a.opts.Config.Admin.TLS.Enabled() {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(a.admin.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// retrainer is the gateway for its pipeline.
type retrainer struct{ app *App }

// Judge implements pipeline.Gateway.
func (t retrainer) Judge(ctx context.Context, r api.Retraining) (api.Judgement, error) {
	a := t.app
	text, err := a.pipeline.Document(ctx, r.ID)
	if err != nil {
		return api.Judgement{}, err
	}
	var doc api.TrainingRequest
	if err := json.Unmarshal(text, &doc); err != nil {
		return api.Judgement{}, err
	}
	m := a.config.Load().Model(r.Model)
	return champion.Judge(ctx, champion.Options{
		Loader: serving.NewLoader(a.repo, a.runtime, a.log.Named("champion")), Captured: a.capture, Settings: m, Labels: reconcile.LabelSettings(&m.Labels),
		Model: r.Model, Parent: r.Parent, Candidate: r.Candidate, Range: api.CaptureRange{Since: doc.Data.Holdout},
	})
}

// Close implements pipeline.Gateway.
func (t retrainer) Close(id, reason string) error {
	_, err := t.app.outbox.Close(id, byGateway(reason))
	return err
}

// byGateway is the actor of what the gateway does by itself.
func byGateway(reason string) api.Actor {
	return api.Actor{Actor: "gateway", Verified: true, Reason: reason}
}

// Apply implements pipeline.Gateway.
func (t retrainer) Apply(ctx context.Context, r api.Retraining) (pipeline.Applied, error) {
	m := t.app.config.Load().Model(r.Model).Retrain
	route := m.Route
	if route == "" {
		route = r.Model
	}
	by := byGateway(fmt.Sprintf("version %d of retraining %s is %s: %s", r.Candidate, r.ID, r.Judgement.Verdict, r.Judgement.Why))
	switch {
	case m.Rollout == config.AfterManual:
		return pipeline.Applied{Why: "the rollout policy is manual: a person decides about the version"}, nil
	case m.Rollout == config.AfterShadow:
		return t.shadow(ctx, route, r, by)
	case r.Judgement.Verdict == api.VerdictUnknown:
		return pipeline.Applied{Why: "no rollout starts without a verdict: " + r.Judgement.Why}, nil
	}
	return t.roll(ctx, specOf(route, &m, r.Candidate), r, by)
}

// shadow makes the candidate a shadow of a route, unless it is one.
func (t retrainer) shadow(ctx context.Context, name string, r api.Retraining, by api.Actor) (pipeline.Applied, error) {
	c := control(t)
	route, err := c.Route(name)
	if err != nil {
		return pipeline.Applied{}, err
	}
	done := pipeline.Applied{Why: fmt.Sprintf("version %d is a shadow of route '%s'", r.Candidate, name)}
	if slices.ContainsFunc(route.Shadows, func(s api.Shadow) bool { return s.Version == r.Candidate }) {
		return done, nil
	}
	route.Shadows = append(slices.Clone(route.Shadows), api.Shadow{Version: r.Candidate, Sample: api.TotalWeight})
	_, err = c.SetRoute(ctx, route, admin.Edit{Revision: route.Revision, By: by})
	return done, err
}

// specOf returns the rollout of a version. On labelled rows it is not worse than its parent. That it answers differently is what it was trained
// for, so only its errors, its latency and its loss count.
func specOf(route string, m *config.Retraining, version int64) api.RolloutSpec {
	spec := api.RolloutSpec{
		Route: route, Version: version, Preset: m.Preset, Inconclusive: m.Inconclusive, Bake: api.Duration(m.Bake),
		Answers: api.Answers{Tolerance: ignored, Disagreement: ignored, Deviation: ignored},
	}
	spec.Complete()
	spec.Steps = slices.Clone(spec.Steps)
	for i := range spec.Steps {
		if m.StepTime > 0 {
			spec.Steps[i].For = api.Duration(m.StepTime)
		}
	}
	return spec
}

// ignored is a limit of answers that nothing exceeds.
const ignored = 100

// roll starts a rollout, unless one was started before a crash.
func (t retrainer) roll(ctx context.Context, spec api.RolloutSpec, r api.Retraining, by api.Actor) (pipeline.Applied, error) {
	a := t.app
	started := func(id string) pipeline.Applied {
		return pipeline.Applied{Rollout: id, Why: fmt.Sprintf("rollout '%s' has begun", id)}
	}
	past, err := a.rollouts.History(spec.Route)
	if err != nil && infer.CodeOf(err) != infer.NotFound {
		return pipeline.Applied{}, err
	}
	for _, x := range past {
		if x.Spec.Version == r.Candidate && x.Digest == r.Digest && x.StartedAt.After(r.RequestedAt) {
			return started(x.ID), nil
		}
	}
	route, err := control{a}.Route(spec.Route)
	if err != nil {
		return pipeline.Applied{}, err
	}
	if len(route.Variants) == 1 && route.Variants[0].Version == r.Candidate {
		return pipeline.Applied{Why: fmt.Sprintf("version %d serves route '%s' already", r.Candidate, spec.Route)}, nil
	}
	x, err := a.rollouts.Start(ctx, spec, by)
	return started(x.ID), err
}

// blocks says why a request for retraining must not be made now.
func (a *App) blocks(s *api.SignalData) (why string) {
	if a.watch.BadData(s.Model) {
		return api.HeldBackQuality
	}
	m := a.config.Load().Model(s.Model).Retrain
	if s.Cause == api.CauseManual {
		return ""
	}
	if slices.ContainsFunc(a.rollouts.List(), func(r api.Rollout) bool { return r.Model == s.Model && !r.Final() }) {
		return api.HeldBackRollout
	}
	const week = 7 * 24 * time.Hour
	if m.Budget > 0 && a.pipeline.Since(s.Model, time.Now().Add(-week)) >= m.Budget {
		return api.HeldBackBudget
	}
	if m.MinLabels > 0 && a.fewLabels(s.Model, &m) {
		return api.HeldBackLabels
	}
	return ""
}

// undelivered returns the number of open signals, and when the oldest was recorded. A request that a program or a queue has taken is not
// one of them, although no webhook has answered.
func (a *App) undelivered() (n int, oldest time.Time) {
	taken := map[string]bool{}
	for _, r := range a.pipeline.List() {
		taken[r.ID] = r.State != api.RetrainRequested
	}
	for _, s := range a.outbox.List() {
		if s.State != api.SignalOpen || taken[s.ID] {
			continue
		}
		if n++; n == 1 {
			oldest = s.CreatedAt
		}
	}
	return n, oldest
}

// fewLabels reports whether fewer labels are captured than a trainer needs. If that cannot be found out, the trainer will.
func (a *App) fewLabels(model string, m *config.Retraining) bool {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit) //nolint:forbidigo // a detector has no context
	defer cancel()
	files, err := a.capture.Files(ctx, model, api.CaptureRange{Since: time.Now().Add(-m.Lookback)})
	if err != nil {
		a.log.Warn("captured labels cannot be counted", zap.String("model", model), zap.Error(err))
		return false
	}
	_, labelled := rowsOf(files)
	return labelled < int64(m.MinLabels)
}

// rowsOf counts the rows of files of requests, and of labels.
func rowsOf(files []api.CaptureFile) (rows, labelled int64) {
	for i := range files {
		if files[i].Version > 0 {
			rows += files[i].Rows
		} else {
			labelled += files[i].Rows
		}
	}
	return rows, labelled
}

// runSchedules requests retrainings when the schedules of models say so.
func (a *App) runSchedules(ctx context.Context) error {
	const every = time.Second
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			a.schedule(now)
		}
	}
}

func (a *App) schedule(now time.Time) {
	cfg, seen := a.config.Load(), map[string]bool{}
	for _, m := range a.reconcile.Models() {
		every := cfg.Model(m.Name).Retrain.Schedule
		if every == 0 || seen[m.Name] {
			continue
		}
		seen[m.Name] = true
		last := a.pipeline.LastRequest(m.Name)
		if last.IsZero() {
			last = a.started
		}
		due := last.Add(every)
		if now.Before(due) {
			continue
		}
		if _, _, err := a.request(m.Name, api.CauseSchedule, due, api.Actor{}); err != nil && infer.CodeOf(err) != infer.NotFound {
			a.log.Warn("a retraining of the schedule cannot be requested", zap.String("model", m.Name), zap.Error(err))
		}
	}
}

// request requests a retraining of the version of a model that serves.
func (a *App) request(model, cause string, began time.Time, by api.Actor) (id, held string, err error) {
	called, err := a.router.Called(model, 0)
	if err != nil {
		return "", "", err
	}
	v := infer.Version{Model: called.Model.Name, Number: called.Model.Version}
	if v.Model != model {
		return "", "", infer.Errorf(infer.NotFound, "'%s' is a route, expected the name of a model", model)
	}
	m, now := a.config.Load().Model(model).Retrain, time.Now()
	out, err := a.outbox.Requested(api.SignalData{
		Type: api.TypeRetrainRequested, Cause: cause, Model: v.Model, Version: v.Number, Role: api.RoleStable, Began: began, Asked: by.Reason,
		Window: api.Span{Start: now.Add(-m.Lookback), End: now}, Features: []api.SignalFinding{}, ModelDigest: a.digest(v),
	}, by)
	if err == nil && out.HeldBack != "" {
		held = out.HeldBack
		if out.By != "" {
			held += ", by request " + out.By
		}
	}
	return out.ID, held, err
}

// Retrainings implements admin.RetrainControl.
func (c control) Retrainings() []api.Retraining { return c.app.pipeline.List() }

// Retraining implements admin.RetrainControl.
func (c control) Retraining(id string) (api.Retraining, error) { return c.app.pipeline.Get(id) }

// TrainingRequest implements admin.RetrainControl.
func (c control) TrainingRequest(ctx context.Context, id, part string) ([]byte, error) {
	if part != "" {
		return c.app.pipeline.Part(ctx, id, part)
	}
	return c.app.pipeline.Document(ctx, id)
}

// TrainingLog implements admin.RetrainControl.
func (c control) TrainingLog(id string) ([]byte, error) { return c.app.pipeline.Log(id) }

// ReportRetraining implements admin.RetrainControl.
func (c control) ReportRetraining(id string, said api.RetrainProgress, by api.Actor) (api.Retraining, error) {
	return c.app.pipeline.Progress(id, said, by)
}

// FailRetraining implements admin.RetrainControl.
func (c control) FailRetraining(id, reason string, by api.Actor) (api.Retraining, error) {
	return c.app.pipeline.Fail(id, reason, by)
}

// CancelRetraining implements admin.RetrainControl.
func (c control) CancelRetraining(id string, by api.Actor) (api.Retraining, error) {
	return c.app.pipeline.Cancel(id, by)
}

// RequestRetraining implements admin.RetrainControl.
func (c control) RequestRetraining(model string, by api.Actor) (api.Retraining, error) {
	id, held, err := c.app.request(model, api.CauseManual, time.Now(), by)
	if err != nil {
		return api.Retraining{}, err
	}
	if held != "" {
		return api.Retraining{}, infer.Errorf(infer.Conflict, "the request for retraining is held back: %s", held)
	}
	return c.app.pipeline.Get(id)
}
