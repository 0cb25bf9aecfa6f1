package config

import "fmt"

// Places says where the settings of a configuration were given.
type Places struct{ given map[string]place }

// Path returns the path of a setting out of its keys, as Problem takes it.
func Path(keys ...string) string {
	path := ""
	for _, key := range keys {
		path = child(path, key)
	}
	return path
}

// Item returns the path of an item of a list.
func Item(path string, i int) string { return element(path, i) }

// Problem returns what is wrong with a setting: it points at where that was given, or at
// the nearest section around it.
func (p *Places) Problem(path, format string, args ...any) Problem {
	problem := Problem{Path: path, Message: fmt.Sprintf(format, args...)}
	for at := path; ; at = parent(at) {
		if given, ok := p.given[at]; ok || at == "" {
			problem.Source, problem.Line, problem.layer = given.source, given.line, given.layer
			return problem
		}
	}
}

// Sort puts problems into the order of the file.
func (ps Problems) Sort() { ps.sort() }

// DidYouMean returns "; did you mean X?" if one of the known words is like a word, and
// else "".
func DidYouMean(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
