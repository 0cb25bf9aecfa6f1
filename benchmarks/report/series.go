package main

import (
	"math"
	"slices"
	"strings"

	"sluice.io/sluice/benchmarks/record"
)

// results are those of a run, arranged to be asked.
type results struct {
	record.Rows                // without cells
	about       *record.Record // the settings
	cells       map[cellKey]record.Rows
}

type cellKey struct{ setup, work, contender string }

func arrange(rows record.Rows) *results {
	r := &results{about: &rows[0], cells: map[cellKey]record.Rows{}}
	for _, c := range rows {
		if c.Scenario == "cell" {
			r.keep(c)
		} else {
			r.Rows = append(r.Rows, c)
		}
	}
	for _, list := range r.cells {
		slices.SortFunc(list, func(a, b record.Record) int { return int(a.Num("round") - b.Num("round")) })
	}
	return r
}

// keep takes one attempt of a round: the first that was not noisy, else the one
// that others disturbed least.
func (r *results) keep(c record.Record) {
	key := cellKey{c.Params["setup"], c.Params["work"], c.Params["contender"]}
	list := r.cells[key]
	i := slices.IndexFunc(list, func(o record.Record) bool { return o.Params["round"] == c.Params["round"] })
	switch {
	case i < 0:
		r.cells[key] = append(list, c)
	case list[i].Figures["noisy"] > 0 && (c.Figures["noisy"] == 0 || c.Figures["others"] < list[i].Figures["others"]):
		list[i] = c
	}
}

// of returns the spread of a figure over a contender's rounds.
func (r *results) of(setup, work, contender string, f record.Figure) record.Spread {
	return r.cells[cellKey{setup, work, contender}].Spread(f)
}

// ratio is how a's rate stands to b's, round by round: the two ran one after the
// other, so what slowed down both does not count.
func (r *results) ratio(setup, work, a, b string) record.Spread {
	return r.cells[cellKey{setup, work, a}].Over(rate, record.Ratio, r.cells[cellKey{setup, work, b}])
}

func (r *results) setting(name string) []string { return strings.Split(r.about.Params[name], ",") }

// setups returns those that were run, in their order.
func (r *results) setups() []string { return r.setting("setups") }

// works returns those that were measured in a set-up, in their order.
func (r *results) works(setup string) []string {
	return slices.DeleteFunc(r.setting("works"), func(work string) bool {
		return !slices.ContainsFunc(r.setting("contenders"), func(c string) bool { return len(r.cells[cellKey{setup, work, c}]) > 0 })
	})
}

// contender returns the row of one that took part in a set-up; nil if it did not.
func (r *results) contender(setup, name string) *record.Record {
	if found := r.Where("contender", "setup", setup, "contender", name); len(found) > 0 {
		return &found[0]
	}
	return nil
}

// The figures of a cell. Allocations are not known of too few requests.
func rate(c *record.Record) float64        { return record.Named("requests_per_second")(c) }
func cpu(c *record.Record) float64         { return record.Named("server_us")(c) }
func allocations(c *record.Record) float64 { return positive(c.Figures["allocs"]) }
func collections(c *record.Record) float64 { return c.Figures["gcs_per_second"] }

// meanBatch is the number of rows that a run had: what the server tells, else
// those of a request.
func meanBatch(c *record.Record) float64 {
	if told := c.Figures["batch_rows"]; told >= 1 {
		return told
	}
	return c.Num("rows")
}

// positive is not a number if nothing was measured.
func positive(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}

// chart is what is drawn into one picture: the sweeps of one model.
type chart struct {
	kind, setup, work string
	curves            []record.Rows // a contender's each, in the order of the load
}

// charts arranges the points.
func (r *results) charts() (list []chart) {
	for _, points := range r.Where("point").Groups("kind", "setup", "work") {
		p := points[0].Params
		c := chart{p["kind"], p["setup"], p["work"], points.Groups("contender")}
		for _, curve := range c.curves {
			slices.SortStableFunc(curve, func(a, b record.Record) int {
				return int(1000*(a.Num("load")-b.Num("load")) + a.Num("conns") - b.Num("conns"))
			})
		}
		list = append(list, c)
	}
	return list
}

func (c *chart) title() string {
	if c.kind == record.Open {
		return "Open loop, " + c.work + " (" + c.setup + ")"
	}
	form, _, _ := strings.Cut(c.work, " c=") // without the number of requests in flight
	return "Requests in flight, " + form + " (" + c.setup + ")"
}
