package reconcile

import (
	"context"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/rollout"
)

// locked returns Conflict if a rollout has locked a route.
func (r *Reconciler) locked(route string) error {
	if r.opts.Locked == nil {
		return nil
	}
	if id := r.opts.Locked(route); id != "" {
		return infer.Errorf(infer.Conflict, "rollout '%s' changes route '%s': wait until it has ended, or abort it", id, route)
	}
	return nil
}

// Halt stops requests to the canary of a version in a route, or allows them again. It takes effect with the next request,
// and does not block.
func (r *Reconciler) Halt(route string, version int64, halted bool) {
	v, err := r.routeView(route)
	if err != nil {
		return
	}
	for i, halt := range v.halts {
		if halt != nil && v.route.Variants[i].Version == version {
			halt.Store(halted)
		}
	}
}

// Set makes a route for a rollout. Errors are those of SetRoute.
func (r *Reconciler) Set(ctx context.Context, route api.Route, by api.Actor) error {
	route.Seed = "" // keeps the route's
	_, err := r.SetRoute(ctx, route, Edit{Revision: AnyRevision, Rollout: true, By: by})
	return err
}

// Counts returns what the variants of a route have counted. version is the canary's, or that which is stable by now.
func (r *Reconciler) Counts(route string, version int64, objective time.Duration) (counts rollout.Counts, err error) {
	v, err := r.routeView(route)
	if err != nil {
		return counts, err
	}
	now, answers := time.Now(), map[string][]compare.Mean{}
	if v.version != nil {
		total, recent := v.version.Count(now)
		counts.Stable = rollout.Count{
			Requests: total.Requests, Errors: total.Errors, Refused: total.Refused,
			Recent: api.RolloutRate{Requests: recent.Requests, Bad: recent.Errors}, Window: time.Duration(recent.Window),
		}
	}
	for i, variant := range v.route.Variants {
		c := map[string]*rollout.Count{api.RoleStable: &counts.Stable, api.RoleCanary: &counts.Canary, api.RoleControl: &counts.Control}[variant.Role]
		if len(v.variants) == 0 || variant.Role == api.RoleCanary && variant.Version != version {
			continue
		}
		total, recent := v.variants[i].Snapshot(now)
		c.Requests, c.Errors, c.Refused, c.Random = total.Requests, total.Errors, total.Refused, total.Random
		c.Recent = api.RolloutRate{Requests: recent.Requests, Bad: recent.Errors}
		c.Window = time.Duration(recent.Window)
		c.Answered, c.Slow = v.variants[i].Slower(objective)
		if objective == 0 {
			c.Slow = 0
		}
		c.P95 = api.Duration(v.variants[i].Percentile(95))
		if b := v.breakers[i]; b != nil {
			c.Open = b.State() == "open"
		}
		if a := v.answers[i]; a != nil {
			answers[variant.Role] = a.Means()
		}
	}
	counts.Digest = r.loadedDigest(infer.Version{Model: v.route.Model, Number: version})
	canary, control := compare.Complete(answers[api.RoleCanary], answers[api.RoleControl])
	counts.Canary.Values, counts.Control.Values = valuesOf(canary), valuesOf(control)
	for i, s := range v.route.Shadows {
		if s.Version == version {
			counts.Shadow = v.shadows[i].total()
		}
	}
	return counts, nil
}

func valuesOf(means []compare.Mean) []rollout.Value {
	kinds := map[string]string{compare.Share: api.ValueShare, compare.Score: api.ValueScore, compare.Number: api.ValueNumber}
	list := make([]rollout.Value, len(means))
	for i, m := range means {
		list[i] = rollout.Value{Name: m.Name, Kind: kinds[m.Kind], Mean: rollout.Mean{N: m.N, Sum: m.Sum, Squares: m.Squares}}
	}
	return list
}

// Losses returns what the labels of a route's canary and control say.
func (r *Reconciler) Losses(route string, version int64) (losses rollout.Losses, err error) {
	v, err := r.routeView(route)
	if err != nil {
		return losses, err
	}
	report, err := r.opts.Labels.Report(v.route.Model, nil)
	if err != nil {
		return losses, err
	}
	stable, _ := v.route.Stable()
	losses.Stable = labelled(&report, v.route.Variants[stable].Version, v.kept)
	for i := range report.Streams {
		s := &report.Streams[i]
		switch {
		case s.Segment != "":
		case s.Role == api.RoleCanary && s.Version == version:
			losses.Canary = append(losses.Canary, lossOf(s)...)
		case s.Role == api.RoleControl && s.Version == v.route.Variants[stable].Version:
			losses.Control = append(losses.Control, lossOf(s)...)
		}
	}
	return losses, nil
}

// labelled returns what the labels of a version say that answers as the stable one. kept is the share of the predictions that are kept, in
// basis points.
func labelled(report *api.LabelReport, version int64, kept int) rollout.Labelled {
	l := rollout.Labelled{Sample: float64(kept) / api.TotalWeight}
	most := uint64(0)
	for i := range report.Streams {
		s := &report.Streams[i]
		if s.Segment == "" && s.Version == version && (s.Role == api.RoleStable || s.Role == api.RoleDefault) && s.Labels > most {
			most = s.Labels
			l.Values, l.Share, l.Delay = lossOf(s), s.Coverage, s.Delay
		}
	}
	return l
}

// lossOf returns the losses of a stream's labelled predictions.
func lossOf(s *api.LabelStream) []rollout.Value {
	metric := func(name string) (m api.LabelMetric) {
		for _, m := range s.Metrics {
			if m.Name == name {
				return m
			}
		}
		return m
	}
	if s.Task == api.TaskClassification {
		m := metric(api.MetricAccuracy)
		n := float64(m.Rows)
		wrong := n * (1 - m.Value)
		return []rollout.Value{{Name: s.Output + ": wrong", Kind: api.ValueError, Mean: rollout.Mean{N: n, Sum: wrong, Squares: wrong}}}
	}
	m, square := metric(api.MetricMAE), metric(api.MetricRMSE)
	n := float64(m.Rows)
	return []rollout.Value{{Name: s.Output + ": absolute error", Kind: api.ValueLoss, Mean: rollout.Mean{N: n, Sum: n * m.Value, Squares: n * square.Value * square.Value}}}
}

// loadedDigest returns the digest of a version's files as they were loaded, "" if it is not loaded.
func (r *Reconciler) loadedDigest(v infer.Version) string {
	for _, from := range []*registry.Registry{r.registry, r.shadows} {
		if leased := from.Leased(v); leased != nil {
			return leased.Digest()
		}
	}
	return ""
}

// Digest returns that of a version's files: as they were loaded, or if it is not loaded as they are now. It fails
// with NotFound.
func (r *Reconciler) Digest(ctx context.Context, model string, version int64) (string, error) {
	v := infer.Version{Model: model, Number: version}
	if digest := r.loadedDigest(v); digest != "" {
		return digest, nil
	}
	files, err := r.repo.Open(v)
	if err != nil {
		return "", infer.Errorf(infer.NotFound, "model '%s' has no version %d", model, version)
	}
	defer files.Close() //nolint:errcheck // it was only read
	return files.Digest(ctx)
}
