package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

const referenceHead = `# Configuration reference

<!-- Made from the structs of internal/config by "go test ./internal/config -update". Do not edit. -->

` + "`gateway serve -c FILE`" + ` reads one YAML file. ` + "`gateway check -c FILE`" + ` reports everything that is wrong with it, each with
its line and path, and exits with 1. No file is needed: ` + "`gateway serve --model-repository DIR`" + ` serves a folder with the defaults below.

- A flag wins over the file, the file over the default.
- Unknown keys, keys given twice and values of the wrong type are errors. A section with nothing in it is as good as absent;
  only ` + "`sticky`" + ` has to say something.
- A **size** is a number of bytes, plain or with a unit: ` + "`64MiB`" + ` (B, KiB, MiB, GiB). A **duration** is written as in Go: ` + "`30s`, `1m30s`, `500ms`" + `.
- A **share** is a percentage in steps of 0.01%: ` + "`5%`, `2.5%`" + `. A plain number is basis points: ` + "`250`" + ` is 2.5%.
- A **secret** may hold ` + "`${NAME}`" + `, which is replaced by that environment variable; an unset one is an error. Other settings and keys
  are taken as they are, and refuse ` + "`${`" + `. No message or log line shows a secret.
- Relative paths start from the directory in which the gateway was started.
- Anchors and aliases work; merge keys (` + "`<<`" + `) do not: settings that models share go under ` + "`defaults`" + `. In a model, sections and mappings
  add to those of ` + "`defaults`" + `, lists replace them.
- A reload (SIGHUP or ` + "`POST /-/reload`" + `) applies a changed file. Where a setting that needs a restart has changed, nothing is
  applied and the answer names the setting.
- A file holds one document of at most 1 MiB.

` + "```yaml" + `
repository: {path: models}
server: {http: {address: ":8000"}}
admin:
  address: "127.0.0.1:8002"
  tokens: {alice: "${ALICE_TOKEN}"}
models:
  iris:
    versions: [1, 2]
    batching: {max_size: 32, queue: {max_requests: 1024, max_bytes: 64MiB}}
routes:
  iris:
    variants: [{version: 1, weight: 95%}, {version: 2, weight: 5%, role: canary}]
    shadows:  [{version: 3, sample: 10%}]
    sticky:   {header: X-User-Id}
    fallback: stable
    override: {token: "${IRIS_TOKEN}"}
` + "```" + `
`

// Reference returns docs/config.md: every setting with its type, default and
// meaning, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	var top []field
	root := reflect.TypeFor[Config]()
	for _, f := range fields(root) {
		t := root.Field(f.index).Type
		switch {
		case typeIs[map[string]Model](t):
			fmt.Fprintf(&b, "\n## models\n\n%s `models.<name>` takes the keys of `defaults`.\n", f.doc)
		case t.Kind() == reflect.Map:
			heading(&b, f.name, f.doc+" The keys of `"+f.name+".<name>`:", "")
			rows(&b, "", t.Elem())
		case isSection(t):
			note := ""
			switch {
			case f.restart && reloads(t):
				note = " A change needs a restart, unless the setting says that a reload applies it."
			case f.restart:
				note = " A change needs a restart."
			}
			heading(&b, f.name, f.doc, note)
			rows(&b, "", t)
		default:
			top = append(top, f)
		}
	}
	b.WriteString("\n## At the top level\n\n")
	tableHead(&b)
	for _, f := range top {
		row(&b, f.name, f, root.Field(f.index).Type, f.restart)
	}
	return b.String()
}

// reloads reports whether a section has a setting that a reload applies.
func reloads(t reflect.Type) bool {
	for _, f := range fields(t) {
		if ft := t.Field(f.index).Type; f.reload || isSection(ft) && reloads(ft) {
			return true
		}
	}
	return false
}

func heading(b *strings.Builder, name, doc, note string) {
	fmt.Fprintf(b, "\n## %s\n\n%s%s\n\n", name, doc, note)
	tableHead(b)
}

func tableHead(b *strings.Builder) {
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
}

// rows writes the settings of a section and of those in it, with their path from
// the heading on.
func rows(b *strings.Builder, path string, t reflect.Type) {
	for _, f := range fields(t) {
		name, ft := child(path, f.name), t.Field(f.index).Type
		switch {
		case isSection(ft):
			rows(b, name, ft)
		case ft.Kind() == reflect.Slice && isSection(ft.Elem()):
			row(b, name, f, ft, false)
			rows(b, name+"[]", ft.Elem())
		default:
			row(b, name, f, ft, f.restart)
		}
	}
}

func row(b *strings.Builder, name string, f field, t reflect.Type, restart bool) {
	def := "`" + f.def + "`"
	switch {
	case f.required:
		def = "must be given"
	case !f.hasDef:
		def = "none"
	}
	doc := f.doc
	switch {
	case restart:
		doc += " A change needs a restart."
	case f.reload:
		doc += " A reload applies a change."
	}
	fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", name, typeName(t, f.bounds), def, doc)
}

// typeName says what a value looks like, with its bounds.
func typeName(t reflect.Type, limits bounds) string {
	if limits.enum != nil {
		quoted := make([]string, len(limits.enum))
		for i, choice := range limits.enum {
			quoted[i] = "`" + choice + "`"
		}
		return join(quoted)
	}
	name := plainTypeName(t)
	if limits := limits.String(); limits != "" {
		name += ", " + limits
	}
	return name
}

func plainTypeName(t reflect.Type) string {
	switch {
	case typeIs[Size](t):
		return "size"
	case typeIs[Weight](t):
		return "share"
	case typeIs[api.Fallback](t):
		return "`stable` or a version"
	case typeIs[time.Duration](t):
		return "duration"
	case typeIs[Secret](t):
		return "secret"
	case typeIs[Versions](t):
		return "versions"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "integer"
	case t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.Map:
		return "mapping of names to " + plainTypeName(t.Elem())
	case t.Kind() == reflect.Slice && isSection(t.Elem()):
		return "list of sections"
	case t.Kind() == reflect.Slice:
		return "list of " + plainTypeName(t.Elem())
	default:
		return "text"
	}
}
