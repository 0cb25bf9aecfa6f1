package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/tabular"
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

	Columns       []string          // those to read; empty: all columns of numbers
	Mapping       map[string]string // a column's place in the model, "input[3]", where its name does not say it
	Header        string            // yes, no or auto
	Missing       []string          // texts that stand for a missing value, besides the usual ones
	TextIsMissing bool              // any other text in a column of numbers does too

	Seed    uint64
	Created time.Time
	Source  string
	// Note is told once of each column that is left out. Progress is told now and
	// then how much was read. Both may be nil.
	Note     func(text string)
	Progress func(bytes, rows int64)
}

// progressRows is after how many rows the command hears of it and may end it.
const progressRows = 4096

// MakeProfile reads a CSV file to its end, once, and makes a profile of it.
func MakeProfile(ctx context.Context, in io.Reader, o ProfileOptions) (*Profile, error) {
	table, features, err := openTable(in, o)
	if err != nil {
		return nil, err
	}
	b := drift.NewBuilder(features, drift.BuilderOptions{Seed: o.Seed})
	rows := int64(0)
	for ; ; rows++ {
		if rows%progressRows == 0 && rows > 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if o.Progress != nil {
				o.Progress(table.Bytes(), rows)
			}
		}
		values, missing, err := table.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		b.Add(values, missing)
	}
	if rows == 0 {
		return nil, infer.Errorf(infer.Invalid, "the file has no rows; expected some below the names of the columns")
	}
	meta := drift.Meta{Version: o.Version, Created: o.Created, Source: o.Source}
	if o.Model != nil {
		meta.Model = o.Model.Name
	}
	return b.Profile(meta), nil
}

// openTable reads the beginning of a table and says which feature each value is.
func openTable(in io.Reader, o ProfileOptions) (*tabular.Reader, []drift.Feature, error) {
	options := tabular.Options{TextIsMissing: o.TextIsMissing}
	switch o.Header {
	case "yes":
		options.Header = tabular.HeaderYes
	case "no":
		options.Header = tabular.HeaderNo
	default:
	}
	if len(o.Missing) > 0 {
		options.Missing = append(tabular.UsualMissing(), o.Missing...)
	}
	table, err := tabular.New(in, options)
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
