package main

import (
	_ "embed"
	"html/template"
	"io"
	"time"

	"sluice.io/sluice/api"
)

//go:embed shadow_page.html
var shadowPageText string

// writeShadowPage writes the report on shadows as a page.
func writeShadowPage(w io.Writer, r *api.ShadowReport) error {
	page, err := template.New("shadow").Funcs(template.FuncMap{
		"percent": func(n any) string {
			switch x := n.(type) {
			case api.Number:
				return percent(float64(x))
			case float64:
				return percent(x)
			default:
				return "-"
			}
		},
		"share":  func(part, all int) float64 { return float64(part) / float64(all) },
		"number": shortNumber,
		"us":     func(x float64) time.Duration { return time.Duration(x) * time.Microsecond },
		"time":   func(t time.Time) string { return t.Format(time.RFC3339) },
	}).Parse(shadowPageText)
	if err != nil {
		return err
	}
	return page.Execute(w, r)
}
