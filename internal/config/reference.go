package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

const referenceHead = `# Configuration reference

<!-- Made from the structs of internal/config by "go test ./internal/config -update". Do not edit. -->

` + "`gateway serve -c FILE`" + ` reads one YAML file. No file is needed: ` + "`gateway serve --model-repository DIR`" + ` serves a folder with the defaults
below. ` + "`gateway check -c FILE`" + ` reports every problem of a file with its line and path, and then exits with 1.

## The file

- A flag takes precedence over the file, and the file over the default.
- Unknown keys, duplicate keys and values of the wrong type are errors. An empty section is the same as an absent one, except
  ` + "`sticky`" + `, which must not be empty.
- Relative paths start from the directory in which the gateway was started.
- Anchors and aliases work. Merge keys (` + "`<<`" + `) do not; put settings that models share under ` + "`defaults`" + `.
- Sections and mappings of a model are added to those of ` + "`defaults`" + `. Lists of a model replace those of ` + "`defaults`" + `.
- A reload (SIGHUP or ` + "`POST /-/reload`" + `) applies a changed file. If a setting changed that needs a restart, the reload applies nothing,
  and the answer names the setting.
- A file has one document of at most 1 MiB.

| type | written as |
|---|---|
| size | a number of bytes, or a number with a unit: ` + "`64MiB`" + ` (B, KiB, MiB, GiB) |
| duration | as in Go: ` + "`30s`, `1m30s`, `500ms`" + ` |
| share | a percentage in steps of 0.01%: ` + "`5%`, `2.5%`" + `; or a plain number of basis points: ` + "`250`" + ` is 2.5% |
| secret | text that may have ` + "`${NAME}`" + `, which is replaced by that environment variable; an unset variable is an error. No message or log line shows a secret |
| key | ` + "`sha256:` and 64 hexadecimal digits, which `gateway callers hash` makes of a key; or `${NAME}`" + `, a key of at least 16 visible ASCII characters, or such a hash, in that environment variable |
| any other | as it is: ` + "`${`" + ` in it is an error, as it is in keys |

` + "```yaml" + `
repository: {path: models}
server: {http: {address: ":8000"}}
admin:
  address: "127.0.0.1:8002"
  tokens: {alice: "${ALICE_TOKEN}"}
callers:
  billing:
    keys: ["${BILLING_KEY}"]
    allow: [{models: [iris], actions: [infer, metadata]}]
    limits: [{models: ["*"], requests_per_second: 100, burst: 200}]
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
			section(&b, f.name+".<name>", "", t.Elem(), heading(f.name, f.doc+" The keys of `"+f.name+".<name>`:"))
		case isSection(t):
			note := ""
			switch {
			case f.restart && reloads(t):
				note = " A change needs a restart, unless the setting says that a reload applies it."
			case f.restart:
				note = " A change needs a restart."
			}
			section(&b, f.name, "", t, heading(f.name, f.doc+note))
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

func heading(name, doc string) string { return "\n## " + name + "\n\n" + doc + "\n\n" }

func tableHead(b *strings.Builder) {
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
}

// section writes a table of the settings of a section, and after it its subsections, each under a
// heading. Keys are paths relative to the heading of top.
func section(b *strings.Builder, top, path string, t reflect.Type, head string) {
	b.WriteString(head)
	tableHead(b)
	for _, f := range settings(t) {
		name, ft := child(path, f.name), t.Field(f.index).Type
		row(b, name, f, ft, f.restart)
		if ft.Kind() == reflect.Slice && isSection(ft.Elem()) {
			for _, part := range fields(ft.Elem()) {
				row(b, name+"[]."+part.name, part, ft.Elem().Field(part.index).Type, false)
			}
		}
	}
	for _, f := range fields(t) {
		if ft := t.Field(f.index).Type; isSection(ft) {
			name := child(path, f.name)
			section(b, top, name, ft, fmt.Sprintf("\n### `%s.%s`\n\n%s\n\n", top, name, f.doc))
		}
	}
}

// settings returns the fields of a section that are not sections.
func settings(t reflect.Type) []field {
	return slices.DeleteFunc(fields(t), func(f field) bool { return isSection(t.Field(f.index).Type) })
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

// typeName describes the form of a value, with its bounds.
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
	case typeIs[VersionRef](t):
		return "a version, or `\"@ALIAS\"`"
	case typeIs[api.Fallback](t):
		return "`stable` or a version"
	case typeIs[time.Duration](t):
		return "duration"
	case typeIs[Secret](t):
		return "secret"
	case typeIs[Key](t):
		return "key"
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
