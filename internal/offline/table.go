package offline

import (
	"context"

	"sluice.io/sluice/internal/tabular"
)

// TableOptions say how a table is read.
type TableOptions struct {
	Header        string   // yes, no or auto
	Missing       []string // texts that stand for a missing value, besides the usual ones
	TextIsMissing bool     // any other text in a column of numbers does too
	// Note is told what a reader of the result should know. Progress is told now and then how
	// much was read. Both may be nil.
	Note     func(text string)
	Progress func(bytes, rows int64)
}

// progressRows is after how many rows the command hears of it and may end it.
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

// tell says now and then that so many rows were read, and whether to go on.
func (o *TableOptions) tell(ctx context.Context, table *tabular.Reader, rows int64) error {
	if rows%progressRows != 0 || rows == 0 {
		return nil
	}
	if o.Progress != nil {
		o.Progress(table.Bytes(), rows)
	}
	return ctx.Err()
}
