package rollout

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"sluice.io/sluice/api"
)

// query is the guardrail of a query.
type query struct {
	spec api.RolloutQuery
	text string // with the names of the rollout
	look api.RolloutLook
	n    int64
}

// queryName returns the name of the guardrail of a query.
func queryName(name string) string { return api.GuardrailQuery + ":" + name }

func newQueries(r *api.Rollout) (list []*query) {
	names := strings.NewReplacer(
		"{{route}}", r.Spec.Route, "{{model}}", r.Model, "{{version}}", strconv.FormatInt(r.Spec.Version, 10), "{{stable}}", strconv.FormatInt(stableOf(&r.Before), 10))
	for _, spec := range r.Spec.Queries {
		q := &query{spec: spec, text: names.Replace(spec.Query), look: api.RolloutLook{Cause: "not asked yet"}}
		for i := range r.Evidence {
			if e := &r.Evidence[i]; e.Guardrail == queryName(spec.Name) && e.Look != nil {
				q.look, q.n = *e.Look, e.Looks
			}
		}
		list = append(list, q)
	}
	return list
}

// answer is what a server said to a query.
type answer struct {
	value float64
	err   error
}

// ask asks for the values of all queries at the same time, so that all take as long as one.
func ask(ctx context.Context, list []*query, value func(ctx context.Context, query string) (float64, error)) []answer {
	answers := make([]answer, len(list))
	var asking sync.WaitGroup
	for i, q := range list {
		asking.Go(func() { answers[i].value, answers[i].err = value(ctx, q.text) })
	}
	asking.Wait()
	return answers
}

// take takes an answer. One without a number is not a failure, and does not end a row of them.
func (q *query) take(a answer) {
	q.n++
	if a.err != nil {
		q.look.Cause = a.err.Error()
		return
	}
	q.look.Value, q.look.Cause = api.Number(a.value), ""
	if q.spec.Max != nil && a.value > *q.spec.Max || q.spec.Min != nil && a.value < *q.spec.Min {
		q.look.Bad++
	} else {
		q.look.Bad = 0
	}
}

func (q *query) evidence() api.RolloutEvidence {
	look := q.look
	e := api.RolloutEvidence{Guardrail: queryName(q.spec.Name), Verdict: api.VerdictInconclusive, Looks: q.n, Look: &look}
	var limits []string
	if q.spec.Min != nil {
		limits = append(limits, fmt.Sprintf("at least %g", *q.spec.Min))
	}
	if q.spec.Max != nil {
		limits = append(limits, fmt.Sprintf("at most %g", *q.spec.Max))
	}
	e.Why = fmt.Sprintf("%s: %.4g, expected %s", e.Guardrail, float64(look.Value), strings.Join(limits, " and "))
	switch {
	case look.Bad >= q.spec.Failures:
		e.Verdict = api.VerdictRegress
		e.Why += fmt.Sprintf("; %d times in a row", look.Bad)
	case look.Cause != "":
		e.Why = fmt.Sprintf("%s: no value: %s", e.Guardrail, look.Cause)
	case look.Bad > 0:
		e.Why += fmt.Sprintf("; %d of %d times in a row", look.Bad, q.spec.Failures)
	default:
		e.Verdict = api.VerdictPass
	}
	return e
}
