package offline

import (
	"context"

	"sluice.io/sluice/internal/tabular"
)

// TableOptions configure how a table is read.
type TableOptions struct {
	Header        string   // yes, no or auto
	Missing       []string // more texts that stand for a missing value
	TextIsMissing bool     // so does any other text in a column of numbers
	// Note is called with remarks for the reader of the result. Progress is called now and then
	// with the amount that was read. Both may be nil.
	Note     func(text string)
	Progress func(bytes, rows int64)
}

// progressRows is the number of rows between two calls of Progress and checks of the context.
const progressRows = 4096

// The limits of a table.
const (
	maxRowBytes   = 1 << 20
	maxFieldBytes = 64 << 10
	maxColumns    = 10_000
)

func (o *TableOptions) tabular() tabular.Options {
	options := tabular.Options{
		MaxRowBytes: maxRowBytes, MaxFieldBytes: maxFieldBytes, MaxColumns: maxColumns,
		Missing: append(tabular.UsualMissing(), o.Missing...), TextIsMissing: o.TextIsMissing,
		MissingTexts: o.Missing,
	}
	switch o.Header {
	case "yes":
		options.Header = tabular.HeaderYes
	case "no":
		options.Header = tabular.HeaderNo
	default:
	}
	return options
}

func (o *TableOptions) note(text string) {
	if o.Note != nil {
		o.Note(text)
	}
}

// tell reports progress now and then, and returns the error of the context.
func (o *TableOptions) tell(ctx context.Context, table *tabular.Reader, rows int64) error {
	if rows%progressRows != 0 || rows == 0 {
		return nil
	}
	if o.Progress != nil {
		o.Progress(table.Bytes(), rows)
	}
	return ctx.Err()
}
