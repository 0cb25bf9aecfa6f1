package config

import "fmt"

// Places are the places of the settings of a configuration.
type Places struct{ given map[string]place }

// Path returns the path of a setting from its keys, for Problem.
func Path(keys ...string) string {
	path := ""
	for _, key := range keys {
		path = child(path, key)
	}
	return path
}

// Item returns the path of an item of a list.
func Item(path string, i int) string { return element(path, i) }

// Problem returns a problem with a setting. It points at the setting's place, or at the nearest
// section around it.
func (p *Places) Problem(path, format string, args ...any) Problem {
	problem := Problem{Path: path, Message: fmt.Sprintf(format, args...)}
	for at := path; ; at = parent(at) {
		if given, ok := p.given[at]; ok || at == "" {
			problem.Source, problem.Line, problem.layer = given.source, given.line, given.layer
			return problem
		}
	}
}

// Sort sorts problems in the order of the file.
func (ps Problems) Sort() { ps.sort() }

// DidYouMean returns "; did you mean X?" if a known word is similar to word, otherwise "".
func DidYouMean(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
