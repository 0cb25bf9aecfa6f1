package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes is the max size of a configuration file.
const maxFileBytes = 1 << 20

// Override is a setting from outside the file, from a flag. It overrides the file.
type Override struct {
	source string
	path   string
	node   *yaml.Node
}

// Set returns an override with one value, which is parsed as YAML. The source is its name in
// messages: "--http-address". The path is that of a setting whose keys have no dots.
func Set(source, path, value string) Override {
	return Override{source, path, &yaml.Node{Kind: yaml.ScalarNode, Value: value}}
}

// SetList returns an override with a list.
func SetList(source, path string, values []string) Override {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, v := range values {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: v})
	}
	return Override{source, path, list}
}

// tree returns the override as an equivalent document.
func (o Override) tree() *yaml.Node {
	n := o.node
	for _, name := range slices.Backward(strings.Split(o.path, ".")) {
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: name, Style: yaml.DoubleQuotedStyle}
		n = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, n}}
	}
	return n
}

// Default returns the configuration of an empty file. It is not complete: repository.path has no
// default.
func Default() *Config {
	cfg := &Config{}
	d := newDecoder(cfg, nil)
	d.defaults("", reflect.ValueOf(cfg).Elem())
	if d.problems != nil {
		panic("BUG: a default is wrong: " + d.problems.Error())
	}
	return cfg
}

// defaults decodes the defaults of a section and its subsections.
func (d *decoder) defaults(path string, v reflect.Value) {
	for _, f := range fields(v.Type()) {
		value, name := v.Field(f.index), child(path, f.name)
		if f.hasDef {
			n, err := parseTree([]byte(f.def))
			if err != nil {
				panic("BUG: the default of " + name + " is no YAML: " + err.Error())
			}
			d.value(n, name, f.bounds, value)
		} else if isSection(value.Type()) {
			d.defaults(name, value)
		}
	}
}

// Load reads a file, "" for none, and applies the overrides. If the content is not valid the error
// is Problems.
func Load(path string, overrides ...Override) (*Config, error) {
	cfg, _, err := LoadWithPlaces(path, overrides...)
	return cfg, err
}

// LoadWithPlaces is Load that also returns the place of each setting, for problems that only other
// packages can find.
func LoadWithPlaces(path string, overrides ...Override) (*Config, *Places, error) {
	if path == "" {
		return parse("", nil, os.LookupEnv, overrides)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	return parse(path, text, os.LookupEnv, overrides)
}

// Parse parses the text of a file. The name is for messages, and env looks up environment
// variables. If anything is not valid the error is Problems, which lists all of it.
func Parse(name string, text []byte, env func(string) (string, bool), overrides ...Override) (*Config, error) {
	cfg, _, err := parse(name, text, env, overrides)
	return cfg, err
}

func parse(name string, text []byte, env func(string) (string, bool), overrides []Override) (*Config, *Places, error) {
	root, err := parseTree(text)
	if err != nil {
		return nil, nil, syntaxProblem(name, err)
	}
	cfg := Default()
	d := newDecoder(cfg, env)
	d.layer(name, root)
	for _, o := range overrides {
		d.layer(o.source, o.tree())
	}
	d.finish()
	d.required("", reflect.ValueOf(cfg).Elem())
	d.validate()
	if d.problems == nil {
		return cfg, &Places{d.given}, nil
	}
	d.problems.sort()
	if d.dropped > 0 {
		d.problems = append(d.problems, Problem{Source: name, Message: fmt.Sprintf("and %d more problems", d.dropped)})
	}
	return nil, nil, d.problems
}

// lineError is an error at a line of the file.
type lineError struct {
	line int
	text string
}

func (e *lineError) Error() string { return e.text }

// parseTree parses one YAML document; without any it returns an empty mapping.
func parseTree(text []byte) (*yaml.Node, error) {
	if len(text) > maxFileBytes {
		return nil, &lineError{text: fmt.Sprintf("larger than %v", Size(maxFileBytes))}
	}
	var document, second yaml.Node
	parser := yaml.NewDecoder(bytes.NewReader(text))
	switch err := parser.Decode(&document); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}, nil
	case err != nil:
		return nil, err
	}
	switch err := parser.Decode(&second); {
	case errors.Is(err, io.EOF):
		return document.Content[0], nil
	case err != nil:
		return nil, err
	default:
		return nil, &lineError{second.Line, "a second document begins here; expected one"}
	}
}

// syntaxProblem turns the parser's "yaml: line 3: text" into a Problem.
func syntaxProblem(name string, err error) Problems {
	p := Problem{Source: name}
	if at, ok := errors.AsType[*lineError](err); ok {
		p.Line, p.Message = at.line, at.text
		return Problems{p}
	}
	p.Message = strings.TrimPrefix(err.Error(), "yaml: ")
	if number, rest, ok := strings.Cut(strings.TrimPrefix(p.Message, "line "), ": "); ok {
		if line, err := strconv.Atoi(number); err == nil {
			p.Line, p.Message = line, rest
		}
	}
	return Problems{p}
}
