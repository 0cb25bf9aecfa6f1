package main

import (
	"fmt"
	"image/color"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func ink() color.Color { return color.RGBA{R: 0x1f, G: 0x6f, B: 0x8b, A: 0xff} }

// ranged are values with the range of each.
type ranged []spread

// Len implements plotter.Valuer.
func (r ranged) Len() int { return len(r) }

// Value implements plotter.Valuer.
func (r ranged) Value(i int) float64 { return r[i].median }

// errors returns how far the range reaches to both sides.
func (s spread) errors() (low, high float64) { return s.low - s.median, s.high - s.median }

// plotCost draws a bar for each set but the bare one.
func plotCost(file string, rows []row) error {
	rows = slices.Clone(rows[1:])
	slices.Reverse(rows) // the first on top
	names, values := make([]string, len(rows)), make(ranged, len(rows))
	for i, r := range rows {
		names[i], values[i] = r.set, r.more
	}
	p := plot.New()
	p.Title.Text = "what a feature costs a request"
	p.X.Label.Text = "ns of processor time more than the bare gateway; median and range"
	bars, err := plotter.NewBarChart(values, vg.Points(14))
	if err != nil {
		return err
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, ink(), 0
	marks := horizontal(values)
	whiskers, err := plotter.NewXErrorBars(marks)
	if err != nil {
		return err
	}
	p.Add(plotter.NewGrid(), bars, whiskers)
	p.NominalY(names...)
	return save(file, 18*vg.Centimeter, 9*vg.Centimeter, func(c draw.Canvas) { p.Draw(c) })
}

// points with errors in one direction.
type points struct {
	plotter.XYs
	ranges ranged
}

func horizontal(values ranged) points {
	p := points{ranges: values}
	for i, v := range values {
		p.XYs = append(p.XYs, plotter.XY{X: v.median, Y: float64(i)})
	}
	return p
}

// XError implements plotter.XErrorer.
func (p points) XError(i int) (low, high float64) { return p.ranges[i].errors() }

// YError implements plotter.YErrorer.
func (p points) YError(i int) (low, high float64) { return p.ranges[i].errors() }

// plotGrowth draws a tile for each curve.
func plotGrowth(file string, lines []line) error {
	const columns = 2
	var tiles [][]*plot.Plot
	for i, l := range lines {
		if i%columns == 0 {
			tiles = append(tiles, make([]*plot.Plot, columns))
		}
		p, err := l.plot()
		if err != nil {
			return err
		}
		tiles[i/columns][i%columns] = p
	}
	height := vg.Length(len(tiles)) * 6 * vg.Centimeter
	return save(file, 18*vg.Centimeter, height, func(c draw.Canvas) {
		t := draw.Tiles{Rows: len(tiles), Cols: columns, PadX: vg.Centimeter, PadY: vg.Centimeter / 2, PadTop: vg.Points(4), PadRight: vg.Points(12)}
		canvases := plot.Align(tiles, t, c)
		for i := range tiles {
			for j, p := range tiles[i] {
				if p != nil {
					p.Draw(canvases[i][j])
				}
			}
		}
	})
}

func (l *line) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = l.name
	p.X.Label.Text = l.of
	p.Y.Label.Text = "µs of processor"
	p.Y.Min = 0
	data := points{}
	for i, rounds := range l.points {
		s := rounds.spread(microseconds)
		data.XYs, data.ranges = append(data.XYs, plotter.XY{X: l.x[i], Y: s.median}), append(data.ranges, s)
	}
	drawn, marks, err := plotter.NewLinePoints(data.XYs)
	if err != nil {
		return nil, err
	}
	whiskers, err := plotter.NewYErrorBars(data)
	if err != nil {
		return nil, err
	}
	drawn.Color, marks.Color, marks.Shape = ink(), ink(), draw.CircleGlyph{}
	p.Add(plotter.NewGrid(), drawn, marks, whiskers)
	if l.log {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks(l.x)
	}
	if low, high := data.ranges[0], data.ranges[len(l.x)-1]; high.median > 20*low.median { // bytes: over three decades
		p.Y.Scale, p.Y.Tick.Marker, p.Y.Min = plot.LogScale{}, plot.LogTicks{Prec: -1}, low.low/2
	}
	return p, nil
}

// ticks are those where something was measured; one too near to the last with a
// label has none.
type ticks []float64

// Ticks implements plot.Ticker.
func (t ticks) Ticks(float64, float64) []plot.Tick {
	const apart = 4 // times as much
	list := make([]plot.Tick, len(t))
	last := 0.0
	for i, x := range t {
		list[i] = plot.Tick{Value: x}
		if x >= apart*last {
			list[i].Label, last = count(x), x
		}
	}
	return list
}

func save(file string, width, height vg.Length, paint func(c draw.Canvas)) error {
	c := vgsvg.New(width, height)
	paint(draw.New(c))
	f, err := os.Create(file) //nolint:gosec // the operator's own folder
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(f); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return f.Close()
}
