package config

import (
	"fmt"
	"reflect"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

func (d *decoder) routes() {
	for _, name := range sortedKeys(d.cfg.Routes) {
		path, route := child("routes", name), d.cfg.Routes[name]
		d.required(path, reflect.ValueOf(route))
		if route.Model != "" && !infer.ValidName(route.Model) {
			d.problemAt(path+".model", "%s is not a valid name for a model", clip(route.Model))
		}
		d.document(path, route, route.Document(name))
		if token := path + ".override.token"; d.isGiven(token) && !d.failed(token) && weak(route.Override.Token) {
			d.problemAt(token, "a token is %d or more visible ASCII characters", minTokenBytes)
		}
		if !infer.ValidName(name) { // last, since otherwise it would count as a failure of everything below
			d.problemAt(path, "not a valid name for a route")
		}
	}
}

// document reports problems of a route as a whole. If a value could not be decoded, its placeholder
// says nothing about the part around it.
func (d *decoder) document(path string, route Route, doc api.Route) {
	variants := d.failedIn(path + ".variants")
	failed := map[string]bool{
		"variants": variants,
		"fallback": variants || d.failedIn(path+".fallback"), // the roles decide whether it is valid
		"shadows":  d.failedIn(path + ".shadows"),
		"sticky":   d.failedIn(path + ".sticky"),
		"seed":     d.failedIn(path+".seed") || route.Seed == "", // otherwise the name is not valid
	}
	hint := d.weightHint(path, route)
	for _, p := range doc.Check() {
		part := p.Field
		if end := strings.IndexAny(part, ".["); end >= 0 {
			part = part[:end]
		}
		if failed[part] {
			continue
		}
		if p.Field == "variants" { // the first of them is about the sum
			p.Message += hint
			hint = ""
		}
		d.problemAt(path+"."+p.Field, "%s", p.Message)
	}
	if sticky := path + ".sticky"; d.isGiven(sticky) && !failed["sticky"] && route.Sticky == (Sticky{}) {
		d.problemAt(sticky, "expected a header or a parameter; without sticky the split is random")
	}
}

// weightHint adds a hint if plain weights were probably meant as percentages.
func (d *decoder) weightHint(path string, route Route) string {
	var sum, largest Weight
	for i, v := range route.Variants {
		if !d.given[element(path+".variants", i)+".weight"].plain {
			return ""
		}
		sum += v.Weight
		largest = max(largest, v.Weight)
	}
	if sum != 100 || len(route.Variants) > api.MaxVariants {
		return ""
	}
	return fmt.Sprintf("; a plain number is basis points, so %d is %v: write %d%%", largest, largest, largest)
}
