package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"sluice.io/sluice/internal/drift"
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
	Outputs []string // columns that are outputs: COLUMN or, with a model, COLUMN=PLACE
	Targets []string // columns to leave out: what the model was trained to answer
	// Evaluator computes the outputs that the table lacks, and then is of the same model; nil:
	// they are left out. With NeedOutputs it is an error if that is not possible, and else
	// a note.
	Evaluator   *Evaluator
	NeedOutputs bool

	Columns []string          // those to read; empty: all columns of numbers
	Mapping map[string]string // a column's place in the model, "input[3]", where its name does not say it
	// Mapped is told what becomes of each column of the file, and of outputs that are
	// computed; it may be nil.
	Mapped func([]ColumnUse)
	TableOptions

	Seed    uint64
	Created time.Time
	Source  string
}

// ColumnUse says which feature a column is, or why it is none. An output that is computed has
// no column.
type ColumnUse = drift.ColumnUse

// MakeProfile reads a CSV file to its end, once, and makes a profile of it.
func MakeProfile(ctx context.Context, in io.Reader, o ProfileOptions) (*Profile, error) {
	table, uses, err := openTable(in, o)
	if err != nil {
		return nil, err
	}
	features, _ := (&drift.ColumnMap{Columns: uses}).Features()
	x, err := o.evaluation(ctx, features)
	if err != nil {
		return nil, err
	}
	columns := len(features)
	if x != nil {
		features = x.features
		for i := range features[columns:] {
			uses = append(uses, ColumnUse{Feature: &features[columns+i], How: "computed by the model"})
		}
	}
	if o.Mapped != nil {
		o.Mapped(uses)
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

// evaluation prepares to compute the outputs that a table lacks; nil if that is not wanted,
// if it lacks none or, with a note, if it is not possible.
func (o *ProfileOptions) evaluation(ctx context.Context, columns []drift.Feature) (*evaluation, error) {
	if o.Evaluator == nil {
		return nil, nil //nolint:nilnil // none is no error
	}
	x, err := o.Evaluator.newEvaluation(ctx, columns, o.note)
	if err == nil && len(x.features) == len(columns) {
		return nil, nil //nolint:nilnil // the table has all outputs
	}
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

// openTable reads the beginning of a table and says what becomes of each column. The reader
// uses those that are features, in their order.
func openTable(in io.Reader, o ProfileOptions) (*tabular.Reader, []ColumnUse, error) {
	table, err := tabular.New(in, o.tabular())
	if err != nil {
		return nil, nil, err
	}
	if err := o.knownTargets(table); err != nil {
		return nil, nil, err
	}
	columns := o.Columns
	if len(columns) == 0 {
		if columns, err = table.Numbers(func(name string) bool { return slices.Contains(o.Targets, name) && textual(table, name) }); err != nil {
			return nil, nil, err
		}
	}
	if err := table.Use(columns); err != nil { // which finds those that are not there, or of texts
		return nil, nil, err
	}
	known := drift.ColumnOptions{Places: o.Mapping, Outputs: o.Outputs, Targets: o.Targets}
	var m *drift.ColumnMap
	if o.Model == nil {
		m, err = drift.NameColumns(columns, known)
	} else {
		m, err = drift.MapColumns(o.Model, columns, known)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, text := range m.Warnings {
		o.note(text)
	}
	_, used := m.Features()
	if err := table.Use(used); err != nil {
		return nil, nil, err
	}
	if o.Model != nil && !table.Named() { // "col3" says less than the place in the model
		for i := range m.Columns {
			if f := m.Columns[i].Feature; f != nil {
				f.Name = fmt.Sprintf("%s[%d]", f.Tensor, f.Element)
			}
		}
	}
	return table, append(m.Columns, o.leftOut(table, columns)...), nil
}

// knownTargets refuses a target that is no column, of numbers or of texts.
func (o *ProfileOptions) knownTargets(table *tabular.Reader) error {
	for _, target := range o.Targets {
		if !slices.ContainsFunc(table.Columns(), func(c tabular.Column) bool { return c.Name == target }) {
			return infer.Errorf(infer.Invalid, "the file has no column '%.60s', which is named as the target", target)
		}
	}
	return nil
}

// leftOut lists the columns of the file that are not among those to map.
func (o *ProfileOptions) leftOut(table *tabular.Reader, columns []string) []ColumnUse {
	given := make(map[string]bool, len(columns))
	for _, name := range columns {
		given[name] = true
	}
	list := make([]ColumnUse, 0, len(table.Columns())-len(columns))
	for _, c := range table.Columns() {
		use := ColumnUse{Column: c.Name}
		switch {
		case given[c.Name]:
			continue
		case slices.Contains(o.Targets, c.Name):
			use.How = "left out: the target"
		case c.Text:
			use.How = fmt.Sprintf("left out: it holds texts, '%s' for example", c.Example)
		default:
			use.How = "left out: not among the columns that are asked for"
		}
		list = append(list, use)
	}
	return list
}

// textual reports whether a column holds texts.
func textual(table *tabular.Reader, name string) bool {
	return slices.ContainsFunc(table.Columns(), func(c tabular.Column) bool { return c.Name == name && c.Text })
}

// ReadProfile reads a profile, of any size that one can have.
func ReadProfile(r io.Reader) (*Profile, error) { return drift.Read(r, drift.MaxProfileBytes) }

// CompareOptions say which differences of two profiles matter.
type CompareOptions = drift.CompareOptions

// The verdicts on two profiles.
const (
	ProfilesSame      = drift.Same
	ProfilesDiffer    = drift.Differs
	ProfilesUndecided = drift.Undecided
)

// CompareProfiles says how b differs from a, and whether that matters.
func CompareProfiles(a, b *Profile, o CompareOptions) (*ProfileComparison, error) {
	return drift.Compare(a, b, o)
}
