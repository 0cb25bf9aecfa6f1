package metrics_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// labelSet holds names of labels.
type labelSet map[string]bool

func labels(names ...string) labelSet {
	s := labelSet{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

// promQL checks the names in expressions against metrics, and finds the labels of an
// expression's result. It reads the part of the language that the shipped files use, and
// reports the rest as a problem. Prometheus's own parser would need hundreds of modules for
// this one test. promtool checks expressions fully (scripts/prometheus-check.sh).
type promQL struct {
	metrics  map[string]labelSet
	tokens   []string
	problems []string
}

var (
	promToken     = regexp.MustCompile(`\s+|\[[^\]]*\]|"(?:[^"\\]|\\.)*"|[0-9][0-9.e]*[smhdw]?|[a-zA-Z_:][a-zA-Z0-9_:]*|=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},]`)
	promName      = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	promOperators = labels("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless")
	promSums      = labels("sum", "min", "max", "avg", "count")
	promFunctions = labels("rate", "increase", "changes", "max_over_time", "min_over_time", "histogram_quantile", "sqrt", "absent", "round", "time", "vector")
)

// check returns the labels of the expression's result and its problems.
func (p *promQL) check(expr string) (labelSet, []string) {
	p.tokens, p.problems = nil, nil
	for rest := expr; rest != ""; {
		at := promToken.FindStringIndex(rest)
		if at == nil || at[0] != 0 {
			return labelSet{}, []string{fmt.Sprintf("cannot read %.20q", rest)}
		}
		if token := rest[:at[1]]; strings.TrimSpace(token) != "" {
			p.tokens = append(p.tokens, token)
		}
		rest = rest[at[1]:]
	}
	result := p.expression()
	if len(p.tokens) > 0 {
		p.problem("did not expect %s", p.tokens[0])
	}
	return result, p.problems
}

func (p *promQL) problem(format string, args ...any) {
	p.problems = append(p.problems, fmt.Sprintf(format, args...))
}

func (p *promQL) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *promQL) next() string {
	token := p.peek()
	if token != "" {
		p.tokens = p.tokens[1:]
	}
	return token
}

func (p *promQL) accept(token string) bool {
	if p.peek() != token {
		return false
	}
	p.next()
	return true
}

func (p *promQL) expect(token string) {
	if got := p.next(); got != token {
		p.problem("expected %s, got %q", token, got)
	}
}

// expression reads operands with operators between them. Their precedence does not matter for
// names: the result has the labels of one of them.
func (p *promQL) expression() labelSet {
	result := p.operand()
	var matched []string
	for promOperators[p.peek()] {
		p.next()
		for slices.Contains([]string{"on", "ignoring", "group_left", "group_right"}, p.peek()) {
			p.next()
			matched = append(matched, p.names()...)
		}
		maps.Copy(result, p.operand())
	}
	p.known(matched, result, "either side")
	return result
}

func (p *promQL) operand() labelSet {
	token := p.next()
	switch following := p.peek(); {
	case token == "(":
		inner := p.expression()
		p.expect(")")
		return inner
	case token == "-":
		return p.operand()
	case token == "" || !promName.MatchString(token):
		if token == "" || strings.ContainsAny(token[:1], "({[)]},") {
			p.problem("expected an operand, got %q", token)
		}
		return labelSet{} // a number
	case promSums[token]:
		return p.sum()
	case following == "(":
		return p.call(token)
	default:
		return p.selector(token)
	}
}

// sum reads the part after an aggregation's name.
func (p *promQL) sum() labelSet {
	var by []string
	if p.accept("by") {
		by = p.names()
	}
	p.expect("(")
	inner := p.expression()
	p.expect(")")
	p.known(by, inner, "the sum's argument")
	return labels(by...)
}

func (p *promQL) call(function string) labelSet {
	if !promFunctions[function] {
		p.problem("unknown function %s", function)
	}
	result := labelSet{}
	p.expect("(")
	for p.peek() != ")" && p.peek() != "" {
		maps.Copy(result, p.expression())
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	if function == "histogram_quantile" {
		p.known([]string{"le"}, result, "the histogram")
		delete(result, "le")
	}
	return result
}

func (p *promQL) selector(metric string) labelSet {
	has, found := p.metrics[metric]
	if !found {
		p.problem("there is no metric %s", metric)
	}
	if p.accept("{") {
		for p.peek() != "}" && p.peek() != "" {
			label := p.next()
			if found {
				p.known([]string{label}, has, metric)
			}
			if operator := p.next(); !slices.Contains([]string{"=", "!=", "=~", "!~"}, operator) {
				p.problem("expected a matcher after %s, got %q", label, operator)
			}
			if value := p.next(); !strings.HasPrefix(value, `"`) {
				p.problem("expected text to match %s with, got %q", label, value)
			}
			if !p.accept(",") {
				break
			}
		}
		p.expect("}")
	}
	if strings.HasPrefix(p.peek(), "[") {
		p.next()
	}
	return maps.Clone(has)
}

// names reads a list of labels in parentheses.
func (p *promQL) names() (names []string) {
	p.expect("(")
	for p.peek() != ")" && p.peek() != "" {
		names = append(names, p.next())
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return names
}

func (p *promQL) known(names []string, has labelSet, where string) {
	for _, n := range names {
		if !has[n] {
			p.problem("%s has no label %s", where, n)
		}
	}
}
