// Package peers knows the servers that the gateway is measured beside: how each is
// installed, started and asked, and whether it answers what ONNX Runtime answers.
// They are the lines of peers.txt; README.md tells of that file.
package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Form is a way to write a request's body.
type Form string

// The forms of a V2 body.
const (
	JSON   Form = "json"
	Binary Form = "binary" // the binary tensor extension, both ways
)

// Peer is one line of the file.
type Peer struct {
	Name string

	setup        string
	start        []string // empty: somebody else starts it
	ready, infer string
	forms        []Form
	env          []string
	unset        string // the variable that its address needs and that is not there
	dir, home    string
}

// fields of a line.
const (
	fieldName = iota
	fieldSetup
	fieldStart
	fieldReady
	fieldInfer
	fieldForms
	fieldEnv
	fieldCount
)

const (
	separator = " | "
	nothing   = "-" // a field that is empty
)

// Read reads a file of peers. Their own files are in folders of their names beside
// it, and they are installed into folders of their names in cache.
func Read(file, cache string) ([]Peer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	list, err := parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	if cache, err = realPath(cache); err != nil {
		return nil, err
	}
	for i := range list {
		list[i].dir = filepath.Join(dir, list[i].Name)
		list[i].home = filepath.Join(cache, list[i].Name)
	}
	return list, nil
}

// realPath makes the folder and returns its path without links: virtual environments
// name their own folder, and should not be made anew when it is reached another way.
func realPath(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // nothing secret
		return "", err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

func parse(r io.Reader) ([]Peer, error) {
	var list []Peer
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		p, err := parseLine(line)
		if err == nil && slices.ContainsFunc(list, func(o Peer) bool { return o.Name == p.Name }) {
			err = fmt.Errorf("there is a %q already", p.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, p)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("no peers")
	}
	return list, nil
}

func parseLine(line string) (p Peer, err error) {
	f := strings.Split(line, separator)
	if len(f) != fieldCount {
		return p, fmt.Errorf("%d fields, want %d with %q between them", len(f), fieldCount, separator)
	}
	for i := range f {
		if f[i] = strings.TrimSpace(f[i]); f[i] == nothing {
			f[i] = ""
		}
	}
	if p.Name = f[fieldName]; !regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`).MatchString(p.Name) {
		return p, fmt.Errorf("name %q: want lower case letters, digits and hyphens", p.Name)
	}
	p.setup, p.start, p.env = f[fieldSetup], strings.Fields(f[fieldStart]), strings.Fields(f[fieldEnv])
	if err := checkPlaceholders(line); err != nil {
		return p, err
	}
	if p.ready, err = p.address(f[fieldReady]); err != nil {
		return p, fmt.Errorf("ready: %w", err)
	}
	if p.infer, err = p.address(f[fieldInfer]); err != nil {
		return p, fmt.Errorf("infer: %w", err)
	}
	for _, v := range p.env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			return p, fmt.Errorf("environment: %q is not NAME=VALUE", v)
		}
	}
	p.forms, err = parseForms(f[fieldForms])
	return p, err
}

func parseForms(s string) (list []Form, err error) {
	for name := range strings.SplitSeq(s, ",") {
		switch f := Form(strings.TrimSpace(name)); f {
		case JSON, Binary:
			list = append(list, f)
		default:
			return nil, fmt.Errorf("bodies: %q is neither %s nor %s", f, JSON, Binary)
		}
	}
	return list, nil
}

func checkPlaceholders(line string) error {
	for _, s := range regexp.MustCompile(`\{[^}\s]*\}?`).FindAllString(line, -1) {
		switch s {
		case "{dir}", "{home}", "{models}", "{model}", "{port}", "{workers}":
		default:
			return fmt.Errorf("placeholder %s: want {dir}, {home}, {models}, {model}, {port} or {workers}", s)
		}
	}
	return nil
}

// address replaces the environment's variables in a URL and notes one that is not set.
func (p *Peer) address(url string) (string, error) {
	url = os.Expand(url, func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			p.unset = name
			return "http://unset"
		}
		return strings.TrimSuffix(value, "/")
	})
	switch {
	case !strings.HasPrefix(url, "http://"):
		return "", fmt.Errorf("%q does not begin with http://", url)
	case len(p.start) > 0 && !strings.Contains(url, "{port}"):
		return "", fmt.Errorf("%q lacks the {port} that the server is started on", url)
	}
	return url, nil
}

// Choose returns the peers that names (with commas between them) asks for, in its
// order. "all" asks for those that are available.
func Choose(list []Peer, names string) (chosen []Peer, err error) {
	if names == "all" {
		return slices.DeleteFunc(slices.Clone(list), func(p Peer) bool { return p.Available() != nil }), nil
	}
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(list, func(p Peer) bool { return p.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no peer %q", name)
		}
		if err := list[i].Available(); err != nil {
			return nil, err
		}
		chosen = append(chosen, list[i])
	}
	return chosen, nil
}

// Available says why the peer cannot be measured, if so.
func (p *Peer) Available() error {
	if p.unset != "" {
		return fmt.Errorf("%s: %s is not set", p.Name, p.unset)
	}
	return nil
}

// External reports whether somebody else starts and stops the server.
func (p *Peer) External() bool { return len(p.start) == 0 }

// Takes reports whether the server understands bodies of the form.
func (p *Peer) Takes(f Form) bool { return slices.Contains(p.forms, f) }
