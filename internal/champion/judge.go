package champion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/serving"
)

// Options say what is compared, on what, and how. All are required.
type Options struct {
	Loader   *serving.Loader
	Captured *capture.Store
	Settings config.Model    // of the model
	Labels   labels.Settings // how predictions are read

	Model             string
	Parent, Candidate int64
	Range             api.CaptureRange // of the requests
}

// minLabelled is the number of labelled rows below which there is no verdict.
const minLabelled = 50

// Judge compares two versions. An error means that no comparison was possible now: a version cannot be loaded, or the bucket cannot be
// read. That no rows are there is a verdict.
func Judge(ctx context.Context, o Options) (api.Judgement, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Settings.Retrain.JudgeTime)
	defer cancel()
	c := &comparison{o: &o, j: api.Judgement{Verdict: api.VerdictUnknown, Margin: o.Settings.Retrain.Margin, Confidence: o.Settings.Retrain.Confidence}}
	parent, err := c.load(ctx, o.Parent)
	if err != nil {
		return c.j, fmt.Errorf("version %d cannot be loaded for the comparison: %w", o.Parent, err)
	}
	defer shut(ctx, parent)
	candidate, err := c.load(ctx, o.Candidate)
	if err != nil { // it never can, most likely
		c.j.Verdict, c.j.Why = api.VerdictWorse, fmt.Sprintf("version %d cannot be loaded: %s", o.Candidate, infer.Message(err))
		return c.j, ctx.Err()
	}
	defer shut(ctx, candidate)
	c.versions = [2]*serving.Version{parent, candidate}
	for i, v := range c.versions {
		if c.forms[i], c.outputs[i], err = labels.FormOf(v.Model(), o.Labels); err != nil {
			c.j.Why = "the predictions cannot be read: " + infer.Message(err)
			return c.j, nil
		}
	}
	done, err := o.Captured.Recent(ctx, o.Model, o.Range, int64(o.Settings.Retrain.JudgeRows), func(r *capture.Request, rows []*capture.RowLabel) error {
		return c.request(ctx, r, rows)
	})
	c.j.Files, c.j.Skipped = done.Files, done.Skipped
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return c.j, err
	}
	c.conclude()
	return c.j, nil
}

// load loads a version with one instance, which runs each request alone.
func (c *comparison) load(ctx context.Context, number int64) (*serving.Version, error) {
	m := c.o.Settings
	m.Instances, m.Warmup = 1, false
	m.Batching.Enabled = config.BatchingOff
	v, _, err := c.o.Loader.Load(ctx, infer.Version{Model: c.o.Model, Number: number}, m, serving.Observer{})
	return v, err
}

// shut frees a version. It waits for the run in progress, if there is one.
func shut(ctx context.Context, v *serving.Version) {
	const grace = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = v.Shutdown(ctx) // the session is closed when its last run has returned
}

// comparison is one in progress.
type comparison struct {
	o        *Options
	versions [2]*serving.Version // the parent and the candidate
	forms    [2]labels.Form
	outputs  [2]int
	pairs    pairs
	same     int64
	refused  int64 // requests that the candidate did not answer
	first    error // why
	j        api.Judgement
}

// request lets both versions answer a request. One that the parent does not answer does not count.
func (c *comparison) request(ctx context.Context, r *capture.Request, rows []*capture.RowLabel) error {
	var read [2]*labels.Predicted
	for i := range c.versions {
		p, err := c.predict(ctx, i, r)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && i == 0:
			return nil
		case err != nil:
			if c.refused++; c.first == nil {
				c.first = err
			}
			return nil
		}
		read[i] = p
	}
	if c.j.Window.Start.IsZero() || r.Time.Before(c.j.Window.Start) {
		c.j.Window.Start = r.Time
	}
	if r.Time.After(c.j.Window.End) {
		c.j.Window.End = r.Time
	}
	for row, l := range rows {
		c.j.Rows++
		if read[0].Same(read[1], row) {
			c.same++
		}
		if l == nil {
			continue
		}
		label := labels.Label{Text: l.Text, Number: l.Number, Numeric: l.Numeric}
		parent, ok := read[0].Loss(row, label)
		candidate, ok2 := read[1].Loss(row, label)
		if ok && ok2 {
			c.pairs.add(parent, candidate)
		}
	}
	c.pairs.end()
	return nil
}

// predict lets a version answer a request.
func (c *comparison) predict(ctx context.Context, i int, r *capture.Request) (*labels.Predicted, error) {
	v := c.versions[i]
	req := &infer.Request{Model: c.o.Model, Inputs: append([]infer.Tensor(nil), r.Inputs...), Arrived: time.Now()}
	if err := v.Model().Check(req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Settings.Timeout)
	defer cancel()
	resp, err := v.Predict(ctx, req)
	if err != nil {
		return nil, err
	}
	defer resp.Release()
	if c.outputs[i] >= len(resp.Outputs) {
		return nil, infer.Errorf(infer.Internal, "the answer has %d outputs", len(resp.Outputs))
	}
	p, ok := c.forms[i].Predicted(&resp.Outputs[c.outputs[i]], r.Rows)
	if !ok {
		return nil, infer.Errorf(infer.Invalid, "the answer does not have %d rows", r.Rows)
	}
	return p, nil
}

// conclude sets the verdict.
func (c *comparison) conclude() {
	j := &c.j
	if j.Rows > 0 {
		j.Agreement = float64(c.same) / float64(j.Rows)
	}
	j.Labelled = int64(c.pairs.rows)
	if c.refused > 0 {
		j.Verdict = api.VerdictWorse
		j.Why = fmt.Sprintf("the version did not answer %d requests that its parent answers: %s", c.refused, infer.Message(c.first))
		return
	}
	if c.pairs.rows > 0 {
		j.Loss, j.Parent, j.Candidate = c.forms[0].LossName(), c.pairs.parent/c.pairs.rows, c.pairs.newer/c.pairs.rows
	}
	mean, low, high, ok := c.pairs.difference(j.Confidence)
	if ok {
		j.Difference, j.Low, j.High = mean, low, high
	}
	if c.forms[0].Task == api.TaskRegression {
		j.Margin *= j.Parent
	}
	switch {
	case j.Rows == 0:
		j.Why = "there are no captured requests to compare the versions on"
	case !ok || j.Labelled < minLabelled:
		j.Why = fmt.Sprintf("%d labelled rows are too few for a verdict, expected %d; the predictions agree on %.1f %% of %d rows", j.Labelled, minLabelled, 100*j.Agreement, j.Rows)
	default:
		j.Verdict = verdict(low, high, j.Margin)
		j.Why = fmt.Sprintf("%s %.4g, %.4g of the parent; difference %.4g, from %.4g to %.4g with %.4g %% confidence, on %d labelled rows",
			j.Loss, j.Candidate, j.Parent, mean, low, high, 100*j.Confidence, j.Labelled)
	}
}

func verdict(low, high, margin float64) string {
	switch {
	case high < 0:
		return api.VerdictBetter
	case high <= margin:
		return api.VerdictNotWorse
	case low > 0:
		return api.VerdictWorse
	default:
		return api.VerdictUnknown
	}
}
