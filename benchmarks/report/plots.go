package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"sluice.io/sluice/benchmarks/record"
)

// latencies draws an open loop's p50, p99 and p99.9 against the load.
func (c chart) latencies(r *results) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title(), "load, % of the contender's own peak", "latency, µs"
	var list []lines
	for i, o := range c.curves {
		for dash, q := range []struct {
			name string
			of   func(record.Point) int64
		}{
			{"p50", func(p record.Point) int64 { return p.P50 }},
			{"p99", func(p record.Point) int64 { return p.P99 }},
			{"p99.9", func(p record.Point) int64 { return p.P999 }},
		} {
			xy := make(plotter.XYs, len(o.points))
			for k, point := range o.points {
				xy[k] = plotter.XY{X: 100 * point.Load, Y: float64(max(1, q.of(point)))}
			}
			list = append(list, lines{o.contender + " " + q.name, i, dash, xy})
		}
		if o.contender == record.Gateway {
			if xy := r.idealCurve(o); len(xy) > 0 {
				list = append(list, lines{"ideal drain queue p99", len(c.curves), 0, xy})
			}
		}
	}
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades(count)
	return p, draw(p, list)
}

// idealCurve is the p99 of the ideal queue at a curve's rates.
func (r *results) idealCurve(o curve) (xy plotter.XYs) {
	for _, point := range o.points {
		if ideal, err := r.ideal(point); err == nil {
			xy = append(xy, plotter.XY{X: 100 * point.Load, Y: math.Max(1, float64(ideal.P99.Nanoseconds())/1e3)})
		}
	}
	return xy
}

// throughput draws the rate against the number of requests in flight.
func (c chart) throughput() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title(), "requests in flight", "requests/s"
	list := make([]lines, len(c.curves))
	for i, o := range c.curves {
		xy := make(plotter.XYs, len(o.points))
		for k, point := range o.points {
			xy[k] = plotter.XY{X: float64(point.Conns), Y: max(1, point.Rate)}
		}
		list[i] = lines{o.contender, i, 0, xy}
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(doublings)
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades(count)
	return p, draw(p, list)
}

// doublings are the ticks 1, 2, 4 and so on.
func doublings(low, high float64) (ticks []plot.Tick) {
	for v := 1.0; v <= high; v *= 2 {
		if v >= low {
			ticks = append(ticks, plot.Tick{Value: v, Label: plain(v)})
		}
	}
	return ticks
}

// savePlots draws all pictures into a folder and returns their names by title.
func (r *results) savePlots(dir, prefix string) (map[string]string, error) {
	names := map[string]string{}
	save := func(title string, p *plot.Plot, err error) error {
		if err != nil {
			return err
		}
		const wide, high = 9 * vg.Inch, 4.5 * vg.Inch
		names[title] = prefix + "-" + slug(title) + ".svg"
		return p.Save(wide, high, filepath.Join(dir, names[title]))
	}
	for _, setup := range r.setups() {
		if len(r.works(setup)) == 0 {
			continue
		}
		p, err := r.throughputs(setup)
		if err := save("throughput, "+setup, p, err); err != nil {
			return nil, err
		}
		p, err = r.ratios(setup)
		if err := save("ratios, "+setup, p, err); err != nil {
			return nil, err
		}
	}
	for _, c := range r.charts() {
		var p *plot.Plot
		var err error
		if c.kind == record.Open {
			p, err = c.latencies(r)
		} else {
			p, err = c.throughput()
		}
		if err := save(c.title(), p, err); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// slug makes a name of a file of a title.
func slug(title string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(title), func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9')
	}), "-")
}

// removeOld removes the pictures of a former report.
func removeOld(dir, prefix string) error {
	old, err := filepath.Glob(filepath.Join(dir, prefix+"-*.svg"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}
