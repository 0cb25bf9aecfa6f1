package driftwatch

import (
	"slices"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// Report returns the streams of a model with the distributions of their features, sorted by version and
// role.
func (w *Watcher) Report(model string) []api.DriftReport {
	counts := map[drift.Stream][]drift.Counts{}
	for _, s := range w.monitor.Status() {
		counts[s.Stream] = s.Counts
	}
	list := []api.DriftReport{}
	for _, status := range w.Status() {
		if status.Model != model {
			continue
		}
		s := drift.Stream{Version: infer.Version{Model: model, Number: status.Version}, Role: status.Role, Segment: status.Segment}
		w.mu.Lock()
		profile := w.watches[s].profile
		w.mu.Unlock()
		report := api.DriftReport{DriftStatus: status, Distributions: []api.DriftDistribution{}}
		if status.State != api.DriftOff && profile != nil {
			report.Distributions = distributions(profile, counts[s])
		}
		list = append(list, report)
	}
	return list
}

// distributions returns the rows of each feature. The window's counts may be absent, or those of a watch
// with another profile.
func distributions(p *drift.Profile, window []drift.Counts) []api.DriftDistribution {
	list := make([]api.DriftDistribution, len(p.Features))
	for i := range p.Features {
		f := &p.Features[i]
		d := api.DriftDistribution{
			Feature: f.Name, Kind: f.Kind, Edges: slices.Clone(f.Edges), Values: slices.Clone(f.Values), Categories: f.CategoryNames(), Min: f.Min, Max: f.Max,
			Reference: rowsIn(&f.Reference),
		}
		if len(window) == len(p.Features) && len(window[i].Bins) == len(f.Reference.Bins) {
			rows := rowsIn(&window[i])
			d.Window = &rows
		}
		list[i] = d
	}
	return list
}

func rowsIn(c *drift.Counts) api.DriftRows {
	return api.DriftRows{Bins: slices.Clone(c.Bins), Missing: c.Absent(), Inf: c.PosInf + c.NegInf, Outside: c.Below + c.Above, Unseen: c.Unseen}
}
