package publish

import (
	"cmp"
	"slices"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// succeeds checks that a version can take the place of the one that its retraining is about: callers of that one can call it. It notes
// that version as the parent.
func (p *Publisher) succeeds(rec *api.VersionRecord, model string) error {
	_, parent, err := p.opts.Retrainings.Admits(rec.Lineage.Retrain, model, "")
	if err != nil {
		return err
	}
	if rec.Lineage.Parent == 0 {
		rec.Lineage.Parent = parent
	}
	of, err := p.Described(infer.Version{Model: model, Number: parent})
	if err != nil {
		return infer.Errorf(infer.Conflict, "retrain: version %d of model '%s', whose place this one would take, cannot be read: %s", parent, model, infer.Message(err))
	}
	return fits(of, rec, parent)
}

// Described returns a record of a version with its signature, also of one that was not pushed.
func (p *Publisher) Described(v infer.Version) (*api.VersionRecord, error) {
	stored, err := p.opts.Repository.Stored(v.Model)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(stored, func(s registry.Stored) bool { return s.Number == v.Number })
	if at < 0 {
		return nil, infer.Errorf(infer.NotFound, "it is not in the repository")
	}
	if stored[at].Record != nil {
		return stored[at].Record, nil
	}
	files, err := p.opts.Repository.Open(v)
	if err != nil {
		return nil, err
	}
	defer files.Close() //nolint:errcheck // only read
	return describe(files)
}

// fits checks that a version has the inputs and at least the outputs of its parent.
func fits(of, rec *api.VersionRecord, parent int64) error {
	for i := range rec.Inputs {
		if t := &rec.Inputs[i]; !t.Optional && tensorOf(of.Inputs, t.Name) == nil {
			return infer.Errorf(infer.Invalid, "retrain: the input '%s' is missing in version %d, whose callers do not send it", t.Name, parent)
		}
	}
	for _, side := range []struct {
		what     string
		had, has []api.Tensor
	}{{"input", of.Inputs, rec.Inputs}, {"output", of.Outputs, rec.Outputs}} {
		for i := range side.had {
			was := &side.had[i]
			now := tensorOf(side.has, was.Name)
			if now == nil {
				return infer.Errorf(infer.Invalid, "retrain: the model has no %s '%s', which version %d has", side.what, was.Name, parent)
			}
			if now.Datatype != was.Datatype || !slices.EqualFunc(was.Shape, now.Shape, func(a, b int64) bool { return a == b || b < 0 }) {
				return infer.Errorf(infer.Invalid, "retrain: the %s '%s' is %s of shape %v, and in version %d %s of shape %v",
					side.what, was.Name, now.Datatype, now.Shape, parent, was.Datatype, was.Shape)
			}
		}
	}
	return nil
}

func tensorOf(list []api.Tensor, name string) *api.Tensor {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// repeated sets the record to that of the version that was pushed before for the same retraining, if it has the same files. p.mu must
// be held.
func (p *Publisher) repeated(rec *api.VersionRecord, stored []registry.Stored, number int64) (bool, error) {
	existing, _, err := p.opts.Retrainings.Admits(rec.Lineage.Retrain, rec.Model, rec.Digest)
	if err != nil || existing == 0 {
		return false, err
	}
	for i := range stored {
		if s := &stored[i]; s.Number == existing && s.Record != nil && cmp.Or(number, existing) == existing {
			*rec = *s.Record
			return true, nil
		}
	}
	return false, infer.Errorf(infer.Conflict, "retrain: version %d was pushed for retraining %s already", existing, rec.Lineage.Retrain)
}
