package main

import (
	_ "embed"
	"html/template"
	"io"
	"math"
	"time"

	"sluice.io/sluice/internal/offline"
)

// reportStyle defines the style of the pages about profiles and drift.
//
//go:embed report_style.html
var reportStyle string

//go:embed profile_page.html
var profilePageText string

// profilePage is the content of the page about a profile.
type profilePage struct {
	Profile  *offline.Profile
	Digest   string
	Labelled *offline.LabelledRows
}

// writeProfilePage writes a profile as a page that needs no other file.
func writeProfilePage(w io.Writer, content profilePage) error {
	page, err := template.New("profile").Funcs(template.FuncMap{
		"percent": percent,
		"share":   shareOfRows,
		"add":     func(a, b uint64) uint64 { return a + b },
		"number":  numberText,
		"sqrt":    math.Sqrt,
		"time":    func(t time.Time) string { return t.Format(time.RFC3339) },

		"correlations": correlationsOf,
		"histogram": func(p *offline.Profile, i int) template.HTML {
			f := &p.Features[i]
			return histogram(f.Edges, f.Values, f.Min, f.Max, f.Reference.Bins, nil, f.CategoryNames())
		},
		"hours": hoursOf,
	}).Parse(reportStyle + profilePageText)
	if err != nil {
		return err
	}
	return page.Execute(w, content)
}

// shareOfRows returns a share of rows, counted as any integer; NaN without rows.
func shareOfRows(part, all any) float64 {
	number := func(x any) float64 {
		switch n := x.(type) {
		case uint64:
			return float64(n)
		case int64:
			return float64(n)
		case int:
			return float64(n)
		default:
			return math.NaN()
		}
	}
	if n := number(all); n > 0 {
		return number(part) / n
	}
	return math.NaN()
}
