package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/tabular"
)

// What a profile's bins are made of at most; docs/drift.md says so.
const (
	sampleRows  = 100_000
	sampleBytes = 64 << 20
)

// Profile is what commands make and show.
type Profile = drift.Profile

// ProfileComparison is how two profiles differ.
type ProfileComparison = drift.Comparison

// ProfileOptions say how a profile is made of a table.
type ProfileOptions struct {
	// Model gives the columns their places and datatypes; nil: each column is a
	// feature by its own name.
	Model   *infer.Model
	Version int64    // that the profile is for; 0: every one
	Outputs []string // without a model, the columns that are outputs
	// Evaluator computes the outputs where the table has none, and then is of the
	// same model; nil: they are left out. With NeedOutputs it is an error if that is
	// not possible, and else a note.
	Evaluator   *Evaluator
	NeedOutputs bool

	Columns []string          // those to read; empty: all columns of numbers
	Mapping map[string]string // a column's place in the model, "input[3]", where its name does not say it
	TableOptions

	Seed    uint64
	Created time.Time
	Source  string
}

// MakeProfile reads a CSV file to its end, once, and makes a profile of it.
func MakeProfile(ctx context.Context, in io.Reader, o ProfileOptions) (*Profile, error) {
	table, features, err := openTable(in, o)
	if err != nil {
		return nil, err
	}
	x, err := o.evaluation(ctx, features)
	if err != nil {
		return nil, err
	}
	columns := len(features)
	if x != nil {
		features = x.features
	}
	b := drift.NewBuilder(features, drift.BuilderOptions{Seed: o.Seed, MaxSampleBytes: sampleBytes, MaxSampleRows: sampleRows})
	if err := addRows(ctx, table, b, x, integerColumnsOf(features[:columns]), &o.TableOptions); err != nil {
		return nil, err
	}
	meta := drift.Meta{Version: o.Version, Created: o.Created, Source: o.Source}
	if o.Model != nil {
		meta.Model = o.Model.Name
	}
	if x != nil {
		meta.OutputsOf = o.Model.Version
	}
	return b.Profile(meta), nil
}

// evaluation prepares to compute the outputs of a table that has none; nil if
// that is not wanted or, with a note, not possible.
func (o *ProfileOptions) evaluation(ctx context.Context, columns []drift.Feature) (*evaluation, error) {
	if o.Evaluator == nil || slices.ContainsFunc(columns, func(f drift.Feature) bool { return f.Kind == drift.KindOutput }) {
		return nil, nil //nolint:nilnil // none is no error
	}
	x, err := o.Evaluator.newEvaluation(ctx, columns, o.note)
	if err == nil || o.NeedOutputs {
		return x, err
	}
	o.note("outputs are left out: " + infer.Message(err))
	return nil, nil //nolint:nilnil // as above
}

// addRows reads a table to its end, with the outputs that are computed for it.
func addRows(ctx context.Context, table *tabular.Reader, b *drift.Builder, x *evaluation, integers integerColumns, o *TableOptions) error {
	if x != nil {
		x.add = b.Add
	}
	for rows := int64(0); ; rows++ {
		if err := o.tell(ctx, table, rows); err != nil {
			return err
		}
		values, missing, err := table.Next()
		if err == nil {
			err = integers.check(values, missing, table.Line())
		}
		switch {
		case errors.Is(err, io.EOF) && rows == 0:
			return errNoRows()
		case errors.Is(err, io.EOF) && x == nil:
			return nil
		case errors.Is(err, io.EOF):
			return x.end(ctx, o)
		case err != nil:
			return err
		case x == nil:
			b.Add(values, missing)
		default:
			if err := x.row(ctx, values, missing, table.Line()); err != nil {
				return err
			}
		}
	}
}

// openTable reads the beginning of a table and says which feature each value is.
func openTable(in io.Reader, o ProfileOptions) (*tabular.Reader, []drift.Feature, error) {
	table, err := tabular.New(in, o.tabular())
	if err != nil {
		return nil, nil, err
	}
	columns := o.Columns
	if len(columns) == 0 {
		columns = numbersIn(table, o.Note)
	}
	if err := table.Use(columns); err != nil {
		return nil, nil, err
	}
	if o.Model == nil {
		features, err := drift.FeaturesNamed(columns, o.Outputs)
		return table, features, err
	}
	features, err := drift.FeaturesOf(o.Model, columns, o.Mapping)
	if !table.Named() { // "col3" says less than the place in the model
		for i := range features {
			features[i].Name = fmt.Sprintf("%s[%d]", features[i].Tensor, features[i].Element)
		}
	}
	return table, features, err
}

// numbersIn returns the columns of numbers, and says which others there are.
func numbersIn(table *tabular.Reader, note func(string)) []string {
	var names []string
	for _, c := range table.Columns() {
		switch {
		case !c.Text:
			names = append(names, c.Name)
		case note != nil:
			note(fmt.Sprintf("column '%s' is left out: it holds texts, '%s' for example", c.Name, c.Example))
		}
	}
	return names
}

// ReadProfile reads a profile, of any size that one can have.
func ReadProfile(r io.Reader) (*Profile, error) { return drift.Read(r, drift.MaxProfileBytes) }

// CompareProfiles says how b differs from a.
func CompareProfiles(a, b *Profile) *ProfileComparison { return drift.Compare(a, b) }

// CheckProfiles returns what is wrong with the profiles that a configuration names.
func CheckProfiles(cfg *config.Config) error { return driftwatch.CheckProfiles(cfg) }
