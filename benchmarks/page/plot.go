package page

import (
	"fmt"
	"image/color"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"sluice.io/sluice/benchmarks/record"
)

// palette are colours that those who see no red or green can tell apart.
var palette = [...]color.RGBA{
	{0x00, 0x72, 0xb2, 0xff},
	{0xe6, 0x9f, 0x00, 0xff},
	{0x00, 0x9e, 0x73, 0xff},
	{0xcc, 0x79, 0xa7, 0xff},
	{0x56, 0xb4, 0xe9, 0xff},
	{0xd5, 0x5e, 0x00, 0xff},
	{0x77, 0x77, 0x77, 0xff},
	{0xb0, 0xa0, 0x00, 0xff},
}

func colour(i int) color.Color { return palette[i%len(palette)] }

func ink() color.Color { return color.RGBA{R: 0x1f, G: 0x6f, B: 0x8b, A: 0xff} }

// NewPlot begins a picture.
func NewPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	return p
}

// Bars is one bar at each place; 0 is none.
type Bars struct {
	Name   string
	Values []float64
}

// AddBars draws groups of bars side by side.
func AddBars(p *plot.Plot, places []string, groups []Bars) error {
	p.Add(plotter.NewGrid())
	const drawn = 560 // points that all groups have, about
	width := vg.Points(0.8 * drawn / float64(max(1, len(places)*len(groups))))
	for i, g := range groups {
		chart, err := plotter.NewBarChart(plotter.Values(g.Values), width)
		if err != nil {
			return err
		}
		chart.Color, chart.LineStyle.Width = colour(i), 0
		chart.Offset = width * vg.Length(float64(i)-float64(len(groups)-1)/2)
		p.Add(chart)
		p.Legend.Add(g.Name, chart)
	}
	p.NominalX(places...)
	const leaning = math.Pi / 6
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign = leaning, -1
	p.X.Min, p.X.Max = -0.5, float64(len(places))-0.5
	p.Legend.Top = true
	p.Y.Max *= 1 + 0.06*float64(len(groups)) // the legend stands above the bars
	p.Y.Min = 0
	return nil
}

// Line is a curve of a chart. Dash 0 is an unbroken one.
type Line struct {
	Name         string
	Colour, Dash int
	Points       plotter.XYs
}

// AddLines draws curves, and their names above them.
func AddLines(p *plot.Plot, list []Line) error {
	p.Add(plotter.NewGrid())
	for _, l := range list {
		line, marks, err := plotter.NewLinePoints(l.Points)
		if err != nil {
			return err
		}
		line.Color, marks.Color = colour(l.Colour), colour(l.Colour)
		line.Width, marks.Radius = vg.Points(1.5), vg.Points(2)
		if l.Dash > 0 {
			line.Dashes = []vg.Length{vg.Points(float64(2 + 4*l.Dash)), vg.Points(3)}
		}
		p.Add(line, marks)
		p.Legend.Add(l.Name, line, marks)
	}
	p.Legend.Top, p.Legend.Left = true, true
	return nil
}

// ranges are points with the range of each value, across or upright.
type ranges struct {
	plotter.XYs
	spreads []record.Spread
}

// XError implements plotter.XErrorer.
func (r ranges) XError(i int) (low, high float64) {
	return r.spreads[i].Low - r.spreads[i].Median, r.spreads[i].High - r.spreads[i].Median
}

// YError implements plotter.YErrorer.
func (r ranges) YError(i int) (low, high float64) { return r.XError(i) }

// AddRangedBars draws bars across with their ranges, the first name lowest.
func AddRangedBars(p *plot.Plot, names []string, spreads []record.Spread) error {
	marks, values := ranges{spreads: spreads}, make(plotter.Values, len(spreads))
	for i, s := range spreads {
		values[i] = s.Median
		marks.XYs = append(marks.XYs, plotter.XY{X: s.Median, Y: float64(i)})
	}
	bars, err := plotter.NewBarChart(values, vg.Points(14))
	if err != nil {
		return err
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, ink(), 0
	whiskers, err := plotter.NewXErrorBars(marks)
	if err != nil {
		return err
	}
	p.Add(plotter.NewGrid(), bars, whiskers)
	p.NominalY(names...)
	return nil
}

// AddRangedLine draws a curve with the ranges of its points.
func AddRangedLine(p *plot.Plot, x []float64, spreads []record.Spread) error {
	data := ranges{spreads: spreads}
	for i, s := range spreads {
		data.XYs = append(data.XYs, plotter.XY{X: x[i], Y: s.Median})
	}
	line, marks, err := plotter.NewLinePoints(data.XYs)
	if err != nil {
		return err
	}
	whiskers, err := plotter.NewYErrorBars(data)
	if err != nil {
		return err
	}
	line.Color, marks.Color, marks.Shape = ink(), ink(), draw.CircleGlyph{}
	p.Add(plotter.NewGrid(), line, marks, whiskers)
	return nil
}

// Ticks are those that of yields from the lower to the higher end of an axis, each
// labelled by format.
func Ticks(of func(low, high float64) []float64, format func(float64) string) plot.TickerFunc {
	return func(low, high float64) (ticks []plot.Tick) {
		for _, v := range of(low, high) {
			if v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: format(v)})
			}
		}
		return ticks
	}
}

// Decades are 1, 2 and 5 of each power of ten.
func Decades(low, high float64) (list []float64) {
	for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
		list = append(list, power, 2*power, 5*power)
	}
	return list
}

// Doublings are 1, 2, 4 and so on.
func Doublings(_, high float64) (list []float64) {
	for v := 1.0; v <= high; v *= 2 {
		list = append(list, v)
	}
	return list
}

// Tile draws plots beside and below each other into a file of SVG.
func Tile(file string, width, height vg.Length, columns int, plots []*plot.Plot) error {
	rows := (len(plots) + columns - 1) / columns
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
		copy(grid[i], plots[i*columns:min(len(plots), (i+1)*columns)])
	}
	return save(file, width, vg.Length(rows)*height, func(c draw.Canvas) {
		t := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Centimeter, PadY: vg.Centimeter / 2, PadTop: vg.Points(4), PadRight: vg.Points(12)}
		for i, row := range plot.Align(grid, t, c) {
			for j := range row {
				if p := grid[i][j]; p != nil {
					p.Draw(row[j])
				}
			}
		}
	})
}

// Save draws a plot into a file of SVG.
func Save(file string, width, height vg.Length, p *plot.Plot) error {
	return save(file, width, height, func(c draw.Canvas) { p.Draw(c) })
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
