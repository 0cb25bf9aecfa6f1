package labels

import (
	"cmp"
	"errors"
	"slices"

	"go.etcd.io/bbolt"

	"sluice.io/sluice/api"
)

// Estimate adds what is estimated of a stream. The stream has everything else already.
type Estimate func(s *api.LabelStream, scores *Scores)

// Report returns how good the predictions of a model were. It leaves Sample, Watermark and Reason
// to the caller, and estimates, which may be nil, too. Errors are Unavailable and Internal.
func (s *Store) Report(model string, estimates Estimate) (api.LabelReport, error) {
	r := api.LabelReport{Model: model, Confidence: Confidence, Streams: []api.LabelStream{}}
	s.mu.Lock()
	if t := s.totals[model]; t != nil {
		r.Kept = *t
	}
	s.mu.Unlock()
	f, err := s.open(false)
	if f == nil || err != nil {
		return r, readError(err)
	}
	err = f.view(func(tx *bbolt.Tx) (err error) {
		if r.Labels, err = countsIn(tx, model); err != nil {
			return err
		}
		cells, err := cellsOf(tx, model)
		if err != nil {
			return err
		}
		r.Streams = streams(tx, cells, estimates)
		return nil
	})
	return r, readError(err)
}

// Models returns the models that the store has predictions or labels of.
func (s *Store) Models() ([]string, error) {
	f, err := s.open(false)
	if f == nil || err != nil {
		return nil, readError(err)
	}
	found := map[string]bool{}
	err = f.view(func(tx *bbolt.Tx) error {
		add := func(name []byte) error { found[string(name)] = true; return nil }
		for _, s := range slicesOf(tx) {
			if err := s.bucket.ForEachBucket(add); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(pastBucket)).ForEachBucket(add)
	})
	list := make([]string, 0, len(found))
	for name := range found {
		list = append(list, name)
	}
	slices.Sort(list)
	return list, readError(err)
}

// cellsOf returns the sums of a model's streams over all slices and the past.
func cellsOf(tx *bbolt.Tx, model string) (map[cellKey]*cell, error) {
	sums := map[cellKey]*cell{}
	add := func(key, value []byte) error {
		k, ok := parseCellKey(key)
		if !ok {
			return nil
		}
		c, err := decodeCell(value)
		if err != nil {
			return err
		}
		if sums[k] == nil {
			sums[k] = &cell{}
		}
		sums[k].merge(c)
		return nil
	}
	for _, s := range slicesOf(tx) {
		if p := s.of(model); p != nil {
			if err := p.cells.ForEach(add); err != nil {
				return nil, err
			}
		}
	}
	if past := tx.Bucket([]byte(pastBucket)).Bucket([]byte(model)); past != nil {
		return sums, past.ForEach(add)
	}
	return sums, nil
}

// streams returns the streams of cells: for each version, role and form all segments together, and
// then each segment, if there are some.
func streams(tx *bbolt.Tx, cells map[cellKey]*cell, estimates Estimate) []api.LabelStream {
	all := map[cellKey]*cell{}
	for k, c := range cells {
		if k.segment == "" {
			continue
		}
		all[k] = c
	}
	for k, c := range cells {
		k.segment = ""
		if all[k] == nil {
			all[k] = &cell{}
		}
		all[k].merge(c)
	}
	list := make([]api.LabelStream, 0, len(all))
	for k, c := range all {
		f := formIn(tx, k.form)
		if f == nil {
			continue
		}
		s := api.LabelStream{Version: k.version, Role: k.role, Segment: k.segment}
		c.measure(f, &s)
		if estimates != nil {
			estimates(&s, c.scores(f))
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b api.LabelStream) int {
		return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Output, b.Output), cmp.Compare(a.Segment, b.Segment))
	})
	return list
}

// readError is writeError for an error that may be nil. A store that nothing was kept in yet has
// no directory, which is not an error for a reader.
func readError(err error) error {
	if err == nil || errors.Is(err, errNoDirectory) {
		return nil
	}
	return writeError(err)
}
