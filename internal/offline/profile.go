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

// The max sample for a profile's bins; docs/drift.md states it.
const (
	sampleRows  = 100_000
	sampleBytes = 64 << 20
)

// The bytes of a text that are looked at.
const (
	DefaultTextBytes = drift.DefaultTextBytes
	MaxTextBytes     = drift.MaxTextBytes
)

// Profile is a profile for commands.
type Profile = drift.Profile

// ProfileFeature is a feature of a profile.
type ProfileFeature = drift.Feature

// ProfileComparison is the difference between two profiles.
type ProfileComparison = drift.Comparison

// ProfileOptions configure how a profile is made from a table.
type ProfileOptions struct {
	// Model has the places and datatypes of the columns; nil: each column is a feature with its own
	// name.
	Model   *infer.Model
	Version int64    // the version of the profile; 0: all versions
	Outputs []string // columns that are outputs: COLUMN or, with a model, COLUMN=PLACE
	Targets []string // columns to leave out: the targets of the training
	Labels  LabelOptions
	Vectors []string // tensors that are watched as a whole; all of their elements must have a column
	// Evaluator computes the outputs that are not in the table. It must have the same model. nil:
	// they are left out. If that is not possible, it is an error with NeedOutputs, and a note
	// without.
	Evaluator   *Evaluator
	NeedOutputs bool

	Columns []string          // the columns to read; empty: all
	Mapping map[string]string // a column's place in the model, "input[3]", if its name is different
	// Mapped is called with the use of each column of the file, and with the computed outputs; it
	// may be nil.
	Mapped func([]ColumnUse)
	TableOptions

	// Time is the column with the time of each row, to count the rows by the hour of the week in the time zone Zone, a name of the IANA
	// database; "": not by the hour. If the rows cover less than two weeks, the profile has no hours, which is noted.
	Time, Zone string

	// TextBytes is how many bytes of a text are looked at; 0 means the default. HideTexts leaves the texts of
	// categories out of the profile.
	TextBytes int
	HideTexts bool
	Segment   SegmentOptions
	// Bins is a profile whose bins are used, so that the two can be merged; nil: bins of its own.
	Bins *Profile

	Seed    uint64
	Created time.Time
	Source  string
}

// ColumnUse is the feature of a column, or the reason why it has none. A computed output has no
// column.
type ColumnUse = drift.ColumnUse

// MakeProfile reads a CSV file to its end, once, and makes a profile of it.
func MakeProfile(ctx context.Context, in io.Reader, o ProfileOptions) (*Profile, error) {
	o.leaveSegment()
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
	known, err := o.performanceOf(table, features)
	if err != nil {
		return nil, err
	}
	b := drift.NewBuilder(features, drift.BuilderOptions{
		Seed: o.Seed, MaxSampleBytes: sampleBytes, MaxSampleRows: sampleRows, TextBytes: o.TextBytes, TextNames: !o.HideTexts,
	})
	if o.Bins != nil {
		if err := b.CountIn(o.Bins); err != nil {
			return nil, err
		}
	}
	sink := rowSink{builder: b, known: known}
	if err := o.group(&sink, table, uses); err != nil {
		return nil, err
	}
	if err := addRows(ctx, table, &sink, x, integerColumnsOf(features[:columns]), &o.TableOptions); err != nil {
		return nil, err
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	meta := drift.Meta{Version: o.Version, Created: o.Created, Source: o.Source}
	if o.Model != nil {
		meta.Model = o.Model.Name
	}
	if x != nil {
		meta.OutputsOf = o.Model.Version
	}
	p := b.Profile(meta)
	if err := o.grouped(b, p); err != nil {
		return nil, err
	}
	if known != nil {
		if known.without > 0 {
			o.note(fmt.Sprintf("%d rows have no label or no prediction; they count for drift only", known.without))
		}
		p.Performance, err = known.section()
	}
	return p, err
}

// group makes the builder count rows by the hour of the week and by segment, if that is wanted, and tells the use of the columns.
func (o *ProfileOptions) group(sink *rowSink, table *tabular.Reader, uses []ColumnUse) (err error) {
	if sink.times, err = o.hoursOf(table, sink.builder); err != nil {
		return err
	}
	if sink.segment, err = o.bySegment(sink.builder, table, uses); err != nil {
		return err
	}
	if o.Mapped != nil {
		o.Mapped(uses)
	}
	return nil
}

// grouped notes which hours and segments the profile has. It is an error if there are no segments although they are wanted.
func (o *ProfileOptions) grouped(b *drift.Builder, p *Profile) error {
	if o.Time != "" && p.Week == nil {
		o.note(fmt.Sprintf("the rows cover %v; the profile has no hours of the week, since they need two weeks", b.Covered().Round(time.Second)))
	}
	if p.Segment != nil && b.Err() == nil {
		o.note(SegmentsOf(p))
	}
	return b.Err()
}

// hoursOf makes a builder count by the hour of the week, and returns the times of the rows; nil if there are none.
func (o *ProfileOptions) hoursOf(table *tabular.Reader, b *drift.Builder) (*times, error) {
	if o.Time == "" {
		return nil, nil //nolint:nilnil // not an error
	}
	if err := b.ByHour(o.Zone); err != nil {
		return nil, err
	}
	return timesOf(table, o.Time)
}

// rowSink gets the rows of a table: first their times and labels as they are read, later the rows with their
// outputs.
type rowSink struct {
	builder *drift.Builder
	known   *performance // nil without labels
	times   *times       // nil without times
	waiting []time.Time  // of rows that were read and not added yet

	segment  *tabular.Kept // the parameter that is the segment; nil: none
	segments []string      // of rows that were read and not added yet
}

func (s *rowSink) read() error {
	if s.segment != nil {
		s.segments = append(s.segments, s.segment.Text())
	}
	if s.times != nil {
		at, err := s.times.read()
		if err != nil {
			return err
		}
		s.waiting = append(s.waiting, at)
	}
	if s.known == nil {
		return nil
	}
	return s.known.read()
}

func (s *rowSink) add(values []float64, texts []string, missing []bool) {
	if s.times != nil {
		s.builder.At(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
	if s.segment != nil {
		s.builder.InSegment(s.segments[0])
		s.segments = s.segments[1:]
	}
	s.builder.AddRow(values, texts, missing)
	if s.known != nil {
		s.known.add(values, missing)
	}
}

// evaluation prepares to compute the outputs that are not in the table. It returns nil if that is
// not wanted, if there are none, or, with a note, if it is not possible.
func (o *ProfileOptions) evaluation(ctx context.Context, columns []drift.Feature) (*evaluation, error) {
	if o.Evaluator == nil {
		return nil, nil //nolint:nilnil // not an error
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

// addRows reads a table to its end, and adds computed outputs.
func addRows(ctx context.Context, table *tabular.Reader, sink *rowSink, x *evaluation, integers integerColumns, o *TableOptions) error {
	if x != nil {
		x.add = sink.add
	}
	for rows := int64(0); ; rows++ {
		if err := o.tell(ctx, table, rows); err != nil {
			return err
		}
		values, missing, err := table.Next()
		if err == nil {
			err = integers.check(values, missing, table.Line())
		}
		if err == nil {
			err = sink.read()
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
			sink.add(values, table.Texts(), missing)
		default:
			if err := x.row(ctx, values, table.Texts(), missing, table.Line()); err != nil {
				return err
			}
		}
	}
}

// openTable reads the beginning of a table and decides the use of each column. The reader returns
// the values of the features' columns, in their order.
func openTable(in io.Reader, o ProfileOptions) (*tabular.Reader, []ColumnUse, error) {
	for _, column := range []string{o.Labels.Column, o.Time} {
		if column != "" && !slices.Contains(o.Targets, column) {
			o.Targets = append(slices.Clone(o.Targets), column)
		}
	}
	table, err := tabular.New(in, o.tabular())
	if err != nil {
		return nil, nil, err
	}
	if err := o.knownTargets(table); err != nil {
		return nil, nil, err
	}
	columns, texts, err := o.columns(table)
	if err != nil {
		return nil, nil, err
	}
	known := drift.ColumnOptions{Places: o.Mapping, Outputs: o.Outputs, Targets: o.Targets, Texts: texts}
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
	if err := asVectors(m, &o); err != nil {
		return nil, nil, err
	}
	features, used := m.Features()
	asText := make([]bool, len(features))
	for i := range features {
		asText[i] = features[i].IsText()
	}
	if err := table.UseAs(used, asText); err != nil {
		return nil, nil, err
	}
	if o.Model != nil && !table.Named() { // a place in the model says more than "col3"
		for i := range m.Columns {
			if f := m.Columns[i].Feature; f != nil {
				f.Name = fmt.Sprintf("%s[%d]", f.Tensor, f.Element)
			}
		}
	}
	uses := slices.Concat(m.Columns, o.leftOut(table, columns))
	for i := range uses {
		if o.Time != "" && uses[i].Column == o.Time {
			uses[i].How = "the time of the row"
		}
	}
	return table, uses, nil
}

// columns returns the columns to map, and those of texts with an example. A column of numbers with decimal
// commas is an error, unless it is a target.
func (o *ProfileOptions) columns(table *tabular.Reader) (columns []string, texts map[string]string, err error) {
	target := func(name string) bool { return slices.Contains(o.Targets, name) }
	_, err = table.Numbers(func(name string) bool {
		return target(name) || len(o.Columns) > 0 && !slices.Contains(o.Columns, name)
	})
	if err != nil {
		return nil, nil, err
	}
	texts = map[string]string{}
	for _, c := range table.Columns() {
		if c.Text {
			texts[c.Name] = c.Example
		}
		if !c.Text || !target(c.Name) {
			columns = append(columns, c.Name)
		}
	}
	if len(o.Columns) > 0 {
		columns = o.Columns
	}
	return columns, texts, table.UseAs(columns, repeated(true, len(columns))) // columns that do not exist are an error
}

func repeated(value bool, n int) []bool { return slices.Repeat([]bool{value}, n) }

// knownTargets returns an error if a target is not a column of the file.
func (o *ProfileOptions) knownTargets(table *tabular.Reader) error {
	for _, target := range o.Targets {
		if !slices.ContainsFunc(table.Columns(), func(c tabular.Column) bool { return c.Name == target }) {
			return infer.Errorf(infer.Invalid, "the file has no column '%.60s' for the target", target)
		}
	}
	return nil
}

// leftOut lists the columns of the file that are not mapped.
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
		default:
			use.How = "left out: not among the requested columns"
		}
		list = append(list, use)
	}
	return list
}

// textual reports whether a column has text.
func textual(table *tabular.Reader, name string) bool {
	return slices.ContainsFunc(table.Columns(), func(c tabular.Column) bool { return c.Name == name && c.Text })
}

// ReadProfile reads a profile of up to drift.MaxProfileBytes.
func ReadProfile(r io.Reader) (*Profile, error) { return drift.Read(r, drift.MaxProfileBytes) }

// RowsByHour returns the least and the most sampled rows in an hour of the week, 0 if the profile does not know the hours.
func RowsByHour(p *Profile) (least, most uint64) {
	for i := range p.Features {
		if hours := p.Features[i].Hours; len(hours) > 0 {
			least = hours[0].N()
			for hour := range hours {
				n := hours[hour].N()
				least, most = min(least, n), max(most, n)
			}
			return least, most
		}
	}
	return 0, 0
}

// CompareOptions set which differences of two profiles matter.
type CompareOptions = drift.CompareOptions

// The verdicts on two profiles.
const (
	ProfilesSame      = drift.Same
	ProfilesDiffer    = drift.Differs
	ProfilesUndecided = drift.Undecided
)

// CompareProfiles compares b with a, and decides whether the difference matters.
func CompareProfiles(a, b *Profile, o CompareOptions) (*ProfileComparison, error) {
	return drift.Compare(a, b, o)
}
