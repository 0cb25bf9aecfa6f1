package callers

import "strings"

// Rule allows actions on models.
type Rule struct {
	Models  []string // names, in which * stands for any characters
	Actions Action
}

// Every is the pattern of all models.
const everyModel = "*"

// rules are compiled for quick answers.
type rules struct {
	everywhere Action // on every model
	somewhere  Action // on at least one model
	exact      map[string]Action
	patterns   []patternRule
}

type patternRule struct {
	pattern pattern
	actions Action
}

func compileRules(list []Rule) rules {
	r := rules{exact: map[string]Action{}}
	for _, rule := range list {
		r.somewhere |= rule.Actions
		for _, model := range rule.Models {
			switch {
			case model == everyModel:
				r.everywhere |= rule.Actions
			case !strings.Contains(model, everyModel):
				r.exact[model] |= rule.Actions
			default:
				r.patterns = append(r.patterns, patternRule{compilePattern(model), rule.Actions})
			}
		}
	}
	return r
}

// on returns the actions of one model.
func (r *rules) on(model string) Action {
	allowed := r.everywhere | r.exact[model]
	for i := range r.patterns {
		if p := &r.patterns[i]; p.actions&^allowed != 0 && p.pattern.match(model) {
			allowed |= p.actions
		}
	}
	return allowed
}

// allow reports whether the rules allow an action on a model.
func (r *rules) allow(a Action, model string) bool {
	return r.everywhere&a == a || r.somewhere&a == a && r.on(model)&a == a
}

// pattern is a name in which * stands for any characters, also none.
type pattern struct {
	prefix, suffix string
	between        []string
	exact          bool // there is no *; prefix is the name
}

func compilePattern(text string) pattern {
	parts := strings.Split(text, everyModel)
	last := len(parts) - 1
	if last == 0 {
		return pattern{prefix: text, exact: true}
	}
	return pattern{prefix: parts[0], suffix: parts[last], between: parts[1:last]}
}

func (p *pattern) match(name string) bool {
	if p.exact {
		return name == p.prefix
	}
	if len(name) < len(p.prefix)+len(p.suffix) || !strings.HasPrefix(name, p.prefix) || !strings.HasSuffix(name, p.suffix) {
		return false
	}
	name = name[len(p.prefix) : len(name)-len(p.suffix)]
	for _, part := range p.between {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return true
}
