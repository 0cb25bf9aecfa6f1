package offline

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/parity"
	"sluice.io/sluice/internal/tabular"
)

// ParityTools are the tools whose statistics CompareTables computes.
func ParityTools() []string { return []string{parity.Evidently, parity.NannyML} }

// maxParityValues bounds the memory for the values of two tables, 8 bytes each, or 16 and the text.
const maxParityValues = 50_000_000

// ParityResult is the value of a tool's statistic for a column.
type ParityResult = parity.Result

// ColumnParity is what a tool and this gateway say about a column of two tables.
type ColumnParity struct {
	Column  string         `json:"column"`
	Verdict string         `json:"verdict"` // of this gateway: same, differs or undecided
	P       float64        `json:"p"`       // see ProfileComparison
	Change  string         `json:"change,omitempty"`
	Results []ParityResult `json:"results"` // of the tool
}

// CompareTables compares the columns that two CSV files have in common: by the statistics of a tool, and
// as two profiles. Statistics of other tools need all values, so both tables are held in memory.
func CompareTables(ctx context.Context, reference, current io.Reader, tool string, t *TableOptions, o CompareOptions) ([]ColumnParity, error) {
	a, err := tabular.New(reference, t.tabular())
	if err != nil {
		return nil, err
	}
	b, err := tabular.New(current, t.tabular())
	if err != nil {
		return nil, err
	}
	names, asText := commonColumns(a, b)
	if len(names) == 0 {
		return nil, infer.Errorf(infer.Invalid, "the two tables have no column with the same name")
	}
	left, err := readColumns(ctx, a, names, asText, t)
	if err != nil {
		return nil, err
	}
	right, err := readColumns(ctx, b, names, asText, t)
	if err != nil {
		return nil, err
	}
	compared, err := drift.Compare(left.profile(), right.profile(), o)
	if err != nil {
		return nil, err
	}
	list := make([]ColumnParity, 0, len(names))
	for i, name := range names {
		c := ColumnParity{Column: name, Verdict: ProfilesUndecided, P: 1, Results: []ParityResult{}}
		for _, d := range compared.Features { // a text is one feature or several
			if d.Tensor == name && (c.Verdict == ProfilesUndecided || d.P < c.P) {
				c.Verdict, c.P, c.Change = d.Verdict, d.P, d.Change
			}
		}
		if x, y := left.column(i), right.column(i); len(x.Numbers)+len(x.Texts) > 0 && len(y.Numbers)+len(y.Texts) > 0 {
			c.Results = parity.Of(tool, x, y)
		}
		list = append(list, c)
	}
	return list, nil
}

// commonColumns returns the columns that both tables have, and which of them are texts in either.
func commonColumns(a, b *tabular.Reader) (names []string, asText []bool) {
	for _, c := range a.Columns() {
		at := slices.IndexFunc(b.Columns(), func(o tabular.Column) bool { return o.Name == c.Name })
		if at >= 0 {
			names, asText = append(names, c.Name), append(asText, c.Text || b.Columns()[at].Text)
		}
	}
	return names, asText
}

// tableColumns are the values of a table.
type tableColumns struct {
	asText  []bool
	numbers [][]float64 // finite ones
	texts   [][]string
	whole   []bool // all values are integers, and none is missing
	builder *drift.Builder
}

func readColumns(ctx context.Context, table *tabular.Reader, names []string, asText []bool, t *TableOptions) (*tableColumns, error) {
	if err := table.UseAs(names, asText); err != nil {
		return nil, err
	}
	features := make([]drift.Feature, len(names))
	for i, name := range names {
		features[i] = drift.Feature{Name: name, Kind: drift.KindInput, Tensor: name}
		if asText[i] {
			features[i].Measure = drift.MeasureText
		}
	}
	c := &tableColumns{
		asText: asText, numbers: make([][]float64, len(names)), texts: make([][]string, len(names)), whole: make([]bool, len(names)),
		builder: drift.NewBuilder(features, drift.BuilderOptions{MaxSampleBytes: sampleBytes, MaxSampleRows: sampleRows, TextNames: true}),
	}
	for i := range c.whole {
		c.whole[i] = true
	}
	for rows := int64(0); ; rows++ {
		if err := t.tell(ctx, table, rows); err != nil {
			return nil, err
		}
		values, missing, err := table.Next()
		switch {
		case errors.Is(err, io.EOF) && rows == 0:
			return nil, errNoRows()
		case errors.Is(err, io.EOF):
			return c, nil
		case err != nil:
			return nil, err
		case rows*int64(len(names)) > maxParityValues:
			return nil, infer.Errorf(infer.TooLarge, "the table has more than %d values, which these statistics need in memory: choose fewer rows or columns", maxParityValues)
		}
		c.builder.AddRow(values, table.Texts(), missing)
		c.add(values, table.Texts(), missing)
	}
}

func (c *tableColumns) add(values []float64, texts []string, missing []bool) {
	for i, x := range values {
		switch {
		case missing[i]:
			c.whole[i] = false
		case c.asText[i]:
			c.texts[i] = append(c.texts[i], texts[i])
		case x-x != 0: // the tools drop values that are not finite
			c.whole[i] = false
		default:
			c.whole[i] = c.whole[i] && x == math.Trunc(x)
			c.numbers[i] = append(c.numbers[i], x)
		}
	}
}

func (c *tableColumns) column(i int) parity.Column {
	return parity.Column{Numbers: c.numbers[i], Integers: c.whole[i], Texts: c.texts[i]}
}

func (c *tableColumns) profile() *Profile {
	return c.builder.Profile(drift.Meta{Created: time.Unix(0, 0)})
}
