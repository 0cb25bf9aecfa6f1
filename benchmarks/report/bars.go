package main

import (
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

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

// group is one bar at each work; 0 is none.
type group struct {
	name   string
	values []float64
}

// throughputs draws each contender's rate at each work, of a hundred times as much
// from work to work: on a logarithmic scale.
func (r *results) throughputs(setup string) (*plot.Plot, error) {
	works := r.works(setup)
	var groups []group
	for _, name := range r.Machine.Settings.Contenders {
		g, some := group{name, make([]float64, len(works))}, false
		for i, w := range works {
			if s, ok := r.of(setup, w.Name, name, rate); ok {
				g.values[i], some = math.Log10(max(1, s.median)), true
			}
		}
		if some {
			groups = append(groups, g)
		}
	}
	p, err := bars(works, groups)
	if err != nil {
		return nil, err
	}
	p.Title.Text, p.Y.Label.Text, p.Y.Min = "Throughput, "+setup, "requests/s", 0
	p.Y.Tick.Marker = plot.TickerFunc(powers)
	return p, nil
}

// powers are the ticks of a scale of logarithms.
func powers(low, high float64) (ticks []plot.Tick) {
	for e := math.Ceil(low); e <= high; e++ {
		ticks = append(ticks, plot.Tick{Value: e, Label: count(math.Pow(10, e))})
	}
	return ticks
}

// ratios draws R_raw and R_noop of the gateway at each work.
func (r *results) ratios(setup string) (*plot.Plot, error) {
	works := r.works(setup)
	noop, raw := group{"R_noop", make([]float64, len(works))}, group{"R_raw", make([]float64, len(works))}
	for i, w := range works {
		if s, ok := r.ratio(setup, w.Name, record.Gateway, record.Noop); ok {
			noop.values[i] = s.median
		}
		if s, ok := r.share(setup, w.Name, record.Gateway, 0); ok {
			raw.values[i] = s.median
		}
	}
	p, err := bars(works, []group{noop, raw})
	if err != nil {
		return nil, err
	}
	p.Title.Text, p.Y.Label.Text, p.Y.Min = "Share of the limits, "+setup, "gateway / limit", 0
	one := plotter.NewFunction(func(float64) float64 { return 1 })
	one.Dashes = []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(one)
	return p, nil
}

// bars draws groups of bars side by side.
func bars(works []record.Work, groups []group) (*plot.Plot, error) {
	p := plot.New()
	p.Add(plotter.NewGrid())
	const drawn = 560 // points that all groups have, about
	width := vg.Points(0.8 * drawn / float64(max(1, len(works)*len(groups))))
	for i, g := range groups {
		chart, err := plotter.NewBarChart(plotter.Values(g.values), width)
		if err != nil {
			return nil, err
		}
		chart.Color, chart.LineStyle.Width = colour(i), 0
		chart.Offset = width * vg.Length(float64(i)-float64(len(groups)-1)/2)
		p.Add(chart)
		p.Legend.Add(g.name, chart)
	}
	names := make([]string, len(works))
	for i, w := range works {
		names[i] = w.Name
	}
	p.NominalX(names...)
	const leaning = math.Pi / 6
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign = leaning, -1
	p.X.Min, p.X.Max = -0.5, float64(len(works))-0.5
	p.Legend.Top = true
	p.Y.Max *= 1 + 0.06*float64(len(groups)) // the legend stands above the bars
	return p, nil
}

// lines is a curve of a chart.
type lines struct {
	name   string
	colour int
	dash   int
	points plotter.XYs
}

// draw adds curves to a plot with two logarithmic axes.
func draw(p *plot.Plot, list []lines) error {
	p.Add(plotter.NewGrid())
	for _, l := range list {
		line, marks, err := plotter.NewLinePoints(l.points)
		if err != nil {
			return err
		}
		line.Color, marks.Color = colour(l.colour), colour(l.colour)
		line.Width, marks.Radius = vg.Points(1.5), vg.Points(2)
		if l.dash > 0 {
			line.Dashes = []vg.Length{vg.Points(float64(2 + 4*l.dash)), vg.Points(3)}
		}
		p.Add(line, marks)
		p.Legend.Add(l.name, line, marks)
	}
	p.Legend.Top, p.Legend.Left = true, true
	return nil
}

// decades are the ticks of a logarithmic axis at 1, 2 and 5 of each power of ten.
func decades(format func(float64) string) plot.TickerFunc {
	return func(low, high float64) (ticks []plot.Tick) {
		for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
			for _, m := range []float64{1, 2, 5} {
				if v := m * power; v >= low && v <= high {
					ticks = append(ticks, plot.Tick{Value: v, Label: format(v)})
				}
			}
		}
		return ticks
	}
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
