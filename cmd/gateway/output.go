package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
)

// The forms of output.
const (
	formTable = "table" // columns for people
	formWide  = "wide"  // more columns
	formJSON  = "json"  // the document of the control API
	formYAML  = "yaml"  // the same document
	formName  = "name"  // one name a line
)

// output is the form of a command's output.
type output struct{ format string }

func (o *output) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVarP(&o.format, "output", "o", formTable,
		"the form of the output: table, wide, name, or json or yaml with the answer of the control API")
}

func (o *output) check() error {
	switch o.format {
	case formTable, formWide, formJSON, formYAML, formName:
		return nil
	}
	return usageError{fmt.Sprintf("-o %s: expected table, wide, json, yaml or name", o.format)}
}

// people reports whether the output is a table.
func (o *output) people() bool { return o.format == formTable || o.format == formWide }

func (o *output) wide() bool { return o.format == formWide }

// print writes a document as JSON or YAML, only its names, or what text writes for people.
func (o *output) print(w io.Writer, doc any, text func(b *strings.Builder)) error {
	switch o.format {
	case formJSON:
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(doc)
	case formYAML:
		return printYAML(w, doc)
	case formName:
		return printNames(w, doc)
	}
	var b strings.Builder
	text(&b)
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(aligned, b.String()); err != nil {
		return err
	}
	return aligned.Flush()
}

// printYAML writes the JSON of a document as YAML, its fields in the same order.
func printYAML(w io.Writer, doc any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil { // JSON is YAML
		return err
	}
	inBlocks(&node)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

// inBlocks removes the braces and quotes of JSON if YAML does not need them.
func inBlocks(n *yaml.Node) {
	if n.Style = 0; n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.SetString(n.Value)
		switch strings.ToLower(n.Value) { // YAML 1.1 reads these as booleans
		case "y", "n", "yes", "no", "on", "off":
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	for _, child := range n.Content {
		inBlocks(child)
	}
}

// printNames writes a name on each line, in the form that commands take.
func printNames(w io.Writer, doc any) error {
	names, ok := namesIn(doc)
	if !ok {
		return usageError{"-o name: the output of this command has no names"}
	}
	for _, name := range names {
		if _, err := fmt.Fprintln(w, oneLine(name)); err != nil {
			return err
		}
	}
	return nil
}

// namesIn returns the names in a document; ok is false if it has none.
func namesIn(doc any) (names []string, ok bool) {
	switch d := doc.(type) {
	case []api.ModelStatus:
		return each(d, func(m *api.ModelStatus) string { return m.Name + "/" + versionText(m) }), true
	case []api.VersionInfo:
		return each(d, func(v *api.VersionInfo) string { return fmt.Sprintf("%s/%d", v.Model, v.Version) }), true
	case api.VersionInfo:
		return []string{fmt.Sprintf("%s/%d", d.Model, d.Version)}, true
	case []api.Alias:
		return each(d, func(a *api.Alias) string { return a.Name }), true
	case api.Alias:
		return []string{d.Name}, true
	case api.AliasResult:
		return []string{d.Name}, true
	case []api.Caller:
		return each(d, func(c *api.Caller) string { return c.Name }), true
	case api.Caller:
		return []string{d.Name}, true
	case []api.Route:
		return each(d, func(r *api.Route) string { return r.Name }), true
	case api.Route:
		return []string{d.Name}, true
	case api.RouteResult:
		return []string{d.Name}, true
	case api.RouteStats:
		return []string{d.Name}, true
	case []routeDifference:
		return each(d, func(r *routeDifference) string { return r.Route }), true
	case []api.Signal:
		return each(d, func(s *api.Signal) string { return s.ID }), true
	case api.Signal:
		return []string{d.ID}, true
	case []api.Event:
		return each(d, func(e *api.Event) string { return e.Subject }), true
	case []api.DriftStatus:
		return each(d, func(s *api.DriftStatus) string {
			return fmt.Sprintf("%s/%d %s", s.Model, s.Version, streamText(s.Role, s.Segment))
		}), true
	default:
		return nil, false
	}
}

func each[T any](list []T, name func(*T) string) []string {
	names := make([]string, len(list))
	for i := range list {
		names[i] = name(&list[i])
	}
	return names
}
