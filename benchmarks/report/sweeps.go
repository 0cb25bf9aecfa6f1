package main

import (
	"fmt"
	"slices"
	"strconv"

	"sluice.io/sluice/benchmarks/record"
)

// curve is one contender's points of a sweep, in the order of the load.
type curve struct {
	contender string
	points    []record.Point
}

// chart is what is drawn into one picture: the sweeps of one model.
type chart struct {
	kind, setup, work string
	curves            []curve
}

// charts arranges the points.
func (r *results) charts() (list []chart) {
	for _, p := range r.Points {
		i := slices.IndexFunc(list, func(c chart) bool { return c.kind == p.Kind && c.setup == p.Setup && c.work == p.Name })
		if i < 0 {
			i, list = len(list), append(list, chart{kind: p.Kind, setup: p.Setup, work: p.Name})
		}
		c := &list[i]
		j := slices.IndexFunc(c.curves, func(o curve) bool { return o.contender == p.Contender })
		if j < 0 {
			j, c.curves = len(c.curves), append(c.curves, curve{contender: p.Contender})
		}
		c.curves[j].points = append(c.curves[j].points, p)
	}
	for _, c := range list {
		for _, o := range c.curves {
			slices.SortStableFunc(o.points, func(a, b record.Point) int {
				if a.Load != b.Load {
					return int(1000 * (a.Load - b.Load))
				}
				return a.Conns - b.Conns
			})
		}
	}
	return list
}

// openTable lists an open loop's points, the ideal queue's beside the gateway's.
func (r *results) openTable(c chart) string {
	t := newTable("contender", "load", "asked/s", "answered/s", "p50", "p99", "p99.9", "ideal p50", "ideal p99", "CPU µs/request", "marks")
	for _, o := range c.curves {
		for _, p := range o.points {
			p50, p99 := "-", "-"
			if o.contender == record.Gateway {
				if ideal, err := r.ideal(p); err == nil {
					p50, p99 = micros(float64(ideal.P50.Nanoseconds())/1e3), micros(float64(ideal.P99.Nanoseconds())/1e3)
				}
			}
			t.row(o.contender, fmt.Sprintf("%.0f %%", 100*p.Load), count(p.Asked), count(p.Rate),
				micros(float64(p.P50)), micros(float64(p.P99)), micros(float64(p.P999)), p50, p99, decimal(p.ServerUS), pointMarks(p))
		}
	}
	return t.String()
}

// connsTable lists the throughput by the number of requests in flight.
func connsTable(c chart) string {
	t := newTable("contender", "in flight", "requests/s", "p50", "p99", "CPU µs/request", "marks")
	for _, o := range c.curves {
		for _, p := range o.points {
			t.row(o.contender, strconv.Itoa(p.Conns), count(p.Rate), micros(float64(p.P50)), micros(float64(p.P99)), decimal(p.ServerUS), pointMarks(p))
		}
	}
	return t.String()
}

func pointMarks(p record.Point) string {
	c := record.Cell{Errors: p.Errors, Usage: p.Usage}
	text := ""
	if c.Noisy {
		text = "noisy"
	}
	c.Noisy = false
	if more := marks([]record.Cell{c}); more != "" && text != "" {
		return text + ", " + more
	} else if more != "" {
		return more
	}
	return text
}
