package app

import (
	"context"
	"iter"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/reconcile"
	"sluice.io/sluice/internal/wire/httpapi"
)

// maxLabelProblems is the max number of problems that an answer describes.
const maxLabelProblems = 100

// Labels implements httpapi.Labels. name is a model or a route.
func (c control) Labels(ctx context.Context, name string, body httpapi.LabelBody) (api.LabelResult, error) {
	return c.join(ctx, name, func(add func(labels.Row) error) error {
		if body.Format == httpapi.LabelsParquet {
			return labels.DecodeParquet(body.Data, labels.ParquetLimits{MaxBytes: body.MaxBytes, Memory: body.Memory}, add)
		}
		return labels.Decode(body.Data, body.Format == httpapi.LabelsCSV, add)
	})
}

// LabelRows implements grpcapi.Labels. name is a model or a route.
func (c control) LabelRows(ctx context.Context, name string, rows iter.Seq2[api.LabelRow, error]) (api.LabelResult, error) {
	return c.join(ctx, name, func(add func(labels.Row) error) error {
		for doc, problem := range rows {
			r := labels.RowOf(&doc)
			if problem != nil {
				r.Problem = infer.Message(problem)
			}
			if err := add(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// join joins the labels that read adds with predictions of a model or a route.
func (c control) join(ctx context.Context, name string, read func(add func(labels.Row) error) error) (api.LabelResult, error) {
	model, err := c.labelled(name)
	if err != nil {
		return api.LabelResult{}, err
	}
	o := c.app.config.Load().Model(model).Labels
	result := api.LabelResult{Model: model, Results: []string{}}
	j := c.app.labels.Join(model, labels.JoinOptions{Sample: int(o.Sample), Watermark: o.Watermark, Joined: c.app.capturesLabels(model)})
	take := func(list []labels.Result, err error) error {
		for i := range list {
			r := &list[i]
			r.Count(&result.LabelCounts)
			if r.Problem != "" && len(result.Problems) < maxLabelProblems {
				result.Problems = append(result.Problems, api.LabelProblem{Index: len(result.Results), Error: r.Problem})
			}
			result.Results = append(result.Results, r.Status)
		}
		return err
	}
	err = read(func(r labels.Row) error { return take(j.Add(ctx, r)) })
	if err == nil {
		err = take(j.Flush(ctx))
	}
	return result, err
}

// labelled returns the model of a name that labels are sent to. The model need not be loaded, as
// long as predictions of it are kept.
func (c control) labelled(name string) (string, error) {
	called, err := c.app.router.Called(name, 0)
	if err == nil {
		name = called.Model.Name
	}
	if c.app.config.Load().Model(name).Labels.Sample > 0 && (err == nil || c.known(name)) {
		return name, nil
	}
	kept, kerr := c.app.labels.Models()
	switch {
	case kerr != nil:
		return "", kerr
	case slices.Contains(kept, name):
		return name, nil
	case err != nil:
		return "", err
	}
	return "", infer.Errorf(infer.Conflict, "no predictions of model '%s' are kept, so labels cannot be joined: set labels.sample of the model", name)
}

// known reports whether the repository has a model.
func (c control) known(model string) bool {
	return slices.ContainsFunc(c.app.reconcile.Models(), func(m api.ModelStatus) bool { return m.Name == model })
}

// LabelReports implements admin.LabelControl.
func (c control) LabelReports() ([]api.LabelReport, error) {
	names, err := c.app.labels.Models()
	if err != nil {
		return nil, err
	}
	cfg := c.app.config.Load()
	for _, m := range c.app.reconcile.Models() {
		if cfg.Model(m.Name).Labels.Sample > 0 {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	list := []api.LabelReport{}
	for _, name := range slices.Compact(names) {
		r, err := c.labelReport(name, false)
		if err != nil {
			return nil, err
		}
		r.Streams = slices.DeleteFunc(r.Streams, func(s api.LabelStream) bool { return s.Segment != "" })
		for i := range r.Streams {
			r.Streams[i].Calibration = nil
		}
		list = append(list, r)
	}
	return list, nil
}

// labelReports is LabelReports for metrics, which have no place for an error.
func (a *App) labelReports() []api.LabelReport {
	list, err := control{a}.LabelReports()
	if err != nil {
		a.log.Debug("labels cannot be read for metrics", zap.Error(err)) // every scrape would log it
	}
	return list
}

// LabelReport implements admin.LabelControl.
func (c control) LabelReport(model string) (api.LabelReport, error) {
	return c.labelReport(model, true)
}

// labelReport returns the report on a model, with windows and with estimates of segments if they are shown.
func (c control) labelReport(model string, segments bool) (api.LabelReport, error) {
	o := c.app.config.Load().Model(model).Labels
	r, err := c.app.labels.Report(model, c.estimates(model, segments))
	if segments && err == nil {
		err = c.app.labels.AddWindows(&r, c.estimates(model, false))
	}
	if l := c.app.reconcile.LossModel(model); l != nil {
		r.LossModel = &l.Status
	}
	r.Losses = c.app.losses.Status(model)
	r.Sample, r.Watermark = int(o.Sample), api.Duration(o.Watermark)
	if o.Sample == 0 {
		return r, err
	}
	if m, merr := c.app.router.Model(model, 0); merr == nil {
		if _, _, ferr := labels.FormOf(m, reconcile.LabelSettings(&o)); ferr != nil {
			r.Reason = infer.Message(ferr)
		}
	}
	return r, err
}

// digest returns the digest of the files of a version, "" if it does not serve.
func (a *App) digest(v infer.Version) string {
	if s, ok := a.reconcile.Serving(v); ok {
		return s.Leased.Digest()
	}
	return ""
}
