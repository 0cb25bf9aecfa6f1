package main

import (
	"errors"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// throughputs draws each contender's rate at each work, of a hundred times as much
// from work to work: on a logarithmic scale.
func (r *results) throughputs(setup string) (*plot.Plot, error) {
	var groups []page.Bars
	works := r.works(setup)
	for _, name := range r.setting("contenders") {
		g, some := page.Bars{Name: name, Values: make([]float64, len(works))}, false
		for i, w := range works {
			if s := r.of(setup, w, name, rate); s.OK() {
				g.Values[i], some = math.Log10(max(1, s.Median)), true
			}
		}
		if some {
			groups = append(groups, g)
		}
	}
	p := page.NewPlot("Throughput, "+setup, "", "requests/s")
	p.Y.Tick.Marker = page.Ticks(func(low, high float64) (powers []float64) {
		for e := math.Ceil(low); e <= high; e++ {
			powers = append(powers, e)
		}
		return powers
	}, func(e float64) string { return page.Count(math.Pow(10, e)) })
	return p, page.AddBars(p, works, groups)
}

// ratios draws R_raw and R_noop of the gateway at each work.
func (r *results) ratios(setup string) (*plot.Plot, error) {
	works := r.works(setup)
	noop, raw := page.Bars{Name: "R_noop"}, page.Bars{Name: "R_raw"}
	known := func(s record.Spread) float64 {
		if !s.OK() {
			return 0
		}
		return s.Median
	}
	for _, w := range works {
		noop.Values = append(noop.Values, known(r.ratio(setup, w, record.Gateway, record.Noop)))
		raw.Values = append(raw.Values, known(r.share(setup, w, record.Gateway, 0)))
	}
	p := page.NewPlot("Share of the limits, "+setup, "", "gateway / limit")
	if err := page.AddBars(p, works, []page.Bars{noop, raw}); err != nil {
		return nil, err
	}
	one := plotter.NewFunction(func(float64) float64 { return 1 })
	one.Dashes = []vg.Length{vg.Points(3), vg.Points(3)}
	p.Add(one)
	return p, nil
}

// draw draws an open loop's p50, p99 and p99.9 against the load, or the rate against the
// number of requests in flight.
func (c *chart) draw(r *results) (*plot.Plot, error) {
	var list []page.Line
	line := func(curve record.Rows, name string, colour, dash int, x, y func(p *record.Record) float64) {
		var xy plotter.XYs
		for i := range curve {
			if v := y(&curve[i]); !math.IsNaN(v) {
				xy = append(xy, plotter.XY{X: x(&curve[i]), Y: max(1, v)})
			}
		}
		if len(xy) > 0 {
			list = append(list, page.Line{Name: name, Colour: colour, Dash: dash, Points: xy})
		}
	}
	p := page.NewPlot(c.title(), "requests in flight", "requests/s")
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, page.Ticks(page.Decades, page.Count)
	if c.kind == record.Conns {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, page.Ticks(page.Doublings, plain)
		for i, curve := range c.curves {
			line(curve, curve[0].Params["contender"], i, 0, func(p *record.Record) float64 { return p.Num("conns") }, rate)
		}
		return p, page.AddLines(p, list)
	}
	p.X.Label.Text, p.Y.Label.Text = "load, % of the contender's own peak", "latency, µs"
	load := func(p *record.Record) float64 { return 100 * p.Num("load") }
	for i, curve := range c.curves {
		name := curve[0].Params["contender"]
		for dash, q := range []string{"p50", "p99", "p99.9"} {
			line(curve, name+" "+q, i, dash, load, record.Named(strings.ReplaceAll(q, ".", "")+"_us"))
		}
		if name == record.Gateway {
			line(curve, "ideal drain queue p99", len(c.curves), 0, load, func(p *record.Record) float64 {
				_, ideal, err := r.ideal(p)
				if err != nil {
					return math.NaN()
				}
				return ideal
			})
		}
	}
	return p, page.AddLines(p, list)
}

// savePlots draws all pictures into a folder and returns their names by title.
func (r *results) savePlots(dir, prefix string) (names map[string]string, err error) {
	names = map[string]string{}
	save := func(title string, p *plot.Plot, failed error) {
		names[title] = prefix + "-" + slug(title) + ".svg"
		if err = errors.Join(err, failed); err == nil {
			err = page.Save(filepath.Join(dir, names[title]), 9*vg.Inch, 4.5*vg.Inch, p)
		}
	}
	for _, setup := range r.setups() {
		if len(r.works(setup)) > 0 {
			p, err := r.throughputs(setup)
			save("throughput, "+setup, p, err)
			p, err = r.ratios(setup)
			save("ratios, "+setup, p, err)
		}
	}
	for _, c := range r.charts() {
		p, err := c.draw(r)
		save(c.title(), p, err)
	}
	return names, err
}

// slug makes a name of a file of a title.
func slug(title string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(title), func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9')
	}), "-")
}
