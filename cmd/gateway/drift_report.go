package main

import (
	"context"
	_ "embed"
	"html/template"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

//go:embed drift_page.html
var driftPageText string

func newDriftReport(conn *connection, out *output) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "report MODEL --html FILE",
		Short: "Write a page about the drift of a model: what differs, and the distributions of all features",
		Long: `Write a page that needs no other file: for each version in each role its state, what differs
with the evidence and its limit, and for each feature the distribution in the reference and in the
last judged window, and missing values. Then whether labels say that predictions became worse.

With -o json, print the data of the page instead.`,
		Example: `  gateway drift report iris --html iris-drift.html`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{"name one model: " + cmd.CommandPath() + " MODEL --html FILE"}
			}
			return nil
		},
		ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDriftReport(cmd, conn, out, args[0], file)
		},
	}
	cmd.Flags().StringVar(&file, "html", "", "the file of the page; -: standard output")
	return cmd
}

func runDriftReport(cmd *cobra.Command, conn *connection, out *output, model, file string) error {
	if file == "" && out.people() {
		return usageError{"--html is missing: name the file of the page, or - for standard output"}
	}
	cl, ctx, done, err := conn.open(cmd)
	if err != nil {
		return err
	}
	defer done()
	streams, err := cl.DriftReport(ctx, model)
	if err != nil {
		return err
	}
	if file == "" {
		return out.print(cmd.OutOrStdout(), streams, func(*strings.Builder) {})
	}
	content := driftPage{Model: model, Streams: make([]driftPageStream, len(streams)), Labels: lossesText(ctx, cl, model)}
	for i, s := range streams {
		content.Streams[i].DriftReport = s
	}
	if file == "-" {
		return writeDriftPage(cmd.OutOrStdout(), content)
	}
	w, err := os.Create(file)
	if err != nil {
		return err
	}
	err = writeDriftPage(w, content)
	if closed := w.Close(); err == nil {
		err = closed
	}
	return err
}

// lossesText returns what labels say about a model, as gateway drift prints it.
func lossesText(ctx context.Context, cl *client.Client, model string) string {
	var b strings.Builder
	table := output{format: formTable}
	d := driftShow{client: cl, model: model}
	if err := table.print(&b, nil, func(b *strings.Builder) { d.printLosses(ctx, b) }); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// driftPage is the content of the page about a model.
type driftPage struct {
	Model   string
	Streams []driftPageStream
	Labels  string
}

type driftPageStream struct{ api.DriftReport }

// HasWindow reports whether a window was judged since the watch began.
func (s driftPageStream) HasWindow() bool {
	return len(s.Distributions) > 0 && s.Distributions[0].Window != nil
}

// writeDriftPage writes the page.
func writeDriftPage(w io.Writer, content driftPage) error {
	page, err := template.New("drift").Funcs(template.FuncMap{
		"percent": percent,
		"number":  threeDigits,
		"p":       pText,
		"time":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"findings": func(v api.DriftVerdict) []api.DriftFinding {
			var list []api.DriftFinding
			for _, f := range slices.Concat(v.Features, v.Quality) {
				if f.State != stateOK {
					list = append(list, f)
				}
			}
			return list
		},
		"change":   func(f api.DriftFinding) string { return changeText(&f) },
		"effect":   func(f api.DriftFinding) string { return effectOf(&f, f.Effect) },
		"interval": func(f api.DriftFinding) string { return effectOf(&f, f.Low) + " to " + effectOf(&f, f.High) },
		"finding":  findingOf,
		"absent":   func(r any) float64 { return rowsShare(r, func(x *api.DriftRows) uint64 { return x.Missing }) },
		"outside":  func(r any) float64 { return rowsShare(r, func(x *api.DriftRows) uint64 { return x.Outside }) },
		"new":      func(r any) float64 { return rowsShare(r, func(x *api.DriftRows) uint64 { return x.Unseen }) },
		"top":      func(d api.DriftDistribution) string { return topCategories(&d) },
		"histogram": func(d api.DriftDistribution) template.HTML {
			var window []uint64
			if d.Window != nil {
				window = d.Window.Bins
			}
			return histogram(d.Edges, d.Values, d.Min, d.Max, d.Reference.Bins, window, d.Categories)
		},
	}).Parse(reportStyle + driftPageText)
	if err != nil {
		return err
	}
	return page.Execute(w, content)
}

// effectOf returns a number of a finding with its unit: PSI, or points of a share.
func effectOf(f *api.DriftFinding, x float64) string {
	factor, before, after := effectUnit(f.Statistic)
	return before + threeDigits(factor*x) + after
}

// topCategories writes the shares of the most frequent values of a category.
func topCategories(d *api.DriftDistribution) string {
	const most = 5
	reference := sharesOf(d.Reference.Bins)
	var window bars
	if d.Window != nil {
		window = sharesOf(d.Window.Bins)
	}
	shown := min(most, len(d.Categories), len(reference))
	parts := make([]string, 0, shown)
	for i := range shown {
		text := d.Categories[i] + " " + percent(reference[i])
		if i < len(window) {
			text += ", now " + percent(window[i])
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// findingOf returns the finding about the bins of a feature in the last window, nil if there is none.
func findingOf(s driftPageStream, d api.DriftDistribution) *api.DriftFinding {
	if s.Last == nil || d.Window == nil {
		return nil
	}
	for i := range s.Last.Features {
		if f := &s.Last.Features[i]; f.Feature == d.Feature && f.Kind == d.Kind && f.Statistic == statisticBins {
			return f
		}
	}
	return nil
}

// rowsShare returns a share of all rows; NaN without rows.
func rowsShare(rows any, part func(*api.DriftRows) uint64) float64 {
	var r *api.DriftRows
	switch x := rows.(type) {
	case api.DriftRows:
		r = &x
	case *api.DriftRows:
		r = x
	default:
		return math.NaN()
	}
	all := r.Missing + r.Inf + r.Unseen
	for _, n := range r.Bins {
		all += n
	}
	return shareOfRows(part(r), all)
}
