package signals

import (
	"slices"

	"sluice.io/sluice/api"
)

// join adds features of the same problem, which were detected after its request was made, to what the request lists. The receiver is not told
// again. write must be locked.
func (o *Outbox) join(s api.SignalData) error {
	o.mu.Lock()
	s.Features = o.store.further(&s)
	o.mu.Unlock()
	if len(s.Features) == 0 {
		return nil
	}
	s.FeaturesTotal = len(s.Features)
	return o.append(api.Event{Type: api.EventRetrainSuppressed}, s.ID, api.SignalSuppression{SignalData: s, HeldBackBy: s.ID, Why: api.HeldBackOpen})
}

// further returns the findings of a request that the recorded one does not list, none if it is closed or cannot list more.
func (s *Store) further(found *api.SignalData) (list []api.SignalFinding) {
	m := s.models[found.Model]
	if found.Type != api.TypeRetrainRequested || m == nil || m.last.ID != found.ID || m.last.State == api.SignalClosed || len(m.last.Also) >= api.MaxSignalAlso ||
		m.last.FeaturesTotal > len(m.last.Features) {
		return nil
	}
	for _, f := range found.Features {
		if name := api.FeatureName(f.Kind, f.Feature); !m.last.Lists(name) && len(list) < maxAlsoFeatures {
			list = append(list, f)
		}
	}
	return list
}

// joined lists further features of a request's own problem.
func (m *model) joined(also api.SignalAlso) {
	also.Features = slices.DeleteFunc(also.Features, m.last.Lists) // an event that is applied twice
	if len(also.Features) > 0 && len(m.last.Also) < api.MaxSignalAlso {
		m.last.Also = append(slices.Clip(m.last.Also), also) // callers may have the list
	}
}
