package metrics_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

// everything returns a registry in which each series has been observed.
func everything() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	iris := infer.Version{Model: "iris", Number: 1}
	m.Watch(metrics.Sources{
		Version: "1.0.0", Revision: "abc", Runtime: "fake",
		Models:        func() map[string]int { return map[string]int{api.StateReady: 2} },
		TableRevision: func() int64 { return 7 },
		InFlight:      func() int64 { return 3 },
		Queued:        func() map[infer.Version]int64 { return map[infer.Version]int64{iris: 4} },
		RunTimes:      func() map[infer.Version]metrics.RunTime { return map[infer.Version]metrics.RunTime{iris: {ms, ms}} },
		Unrouted:      func() map[string]int64 { return map[string]int64{infer.NotFound.String(): 1} },
		RuntimeMemory: func() map[string]int64 { return map[string]int64{"input": 1024} },
		Breakers:      func() map[infer.Version]string { return map[infer.Version]string{iris: "closed"} },
		Routes: func() []api.Route {
			return []api.Route{{Name: "iris", Variants: []api.Variant{{Version: 1, Weight: api.TotalWeight, Role: api.RoleStable}}}}
		},
		ShadowQueues: func() map[infer.Version]metrics.QueueSize { return map[infer.Version]metrics.QueueSize{iris: {}} },
		Journal:      func() (events, bytes int64) { return 1, 2 },
		History:      func() (bytes int64, since time.Time) { return 4096, time.Unix(1000, 0) },
		Drift:        func() []api.DriftStatus { return []api.DriftStatus{driftedStream()} },
		Captured: func() []api.Captured {
			return []api.Captured{{Model: "iris", Dropped: map[string]uint64{api.CaptureFull: 1}, EventsDropped: map[string]uint64{api.CaptureFailed: 1}}}
		},
		Labels:       func() []api.LabelReport { return []api.LabelReport{measured()} },
		Rollouts:     func() []api.Rollout { return []api.Rollout{rolling()} },
		Retrainings:  retrained,
		Signals:      func() (int, time.Time) { return 1, time.Unix(1000, 0) },
		Certificates: func() map[string]metrics.Certificate { return map[string]metrics.Certificate{"http": {Valid: true}} },
		Traces:       func() map[string]int64 { return map[string]int64{"exported": 1} },
		Callers: func() map[string]metrics.CallerCounts {
			return map[string]metrics.CallerCounts{"billing": {Requests: map[string]int64{"ok": 1}, Limited: 1}}
		},
		Issuers: func() []metrics.Issuer {
			return []metrics.Issuer{{Name: "https://issuer.example", Updated: time.Unix(1000, 0)}}
		},
		Watchers: func() metrics.Watchers { return metrics.Watchers{Open: 2, Slow: 1, Refused: 1} },
	})
	v := m.Version("iris", 1)
	v.ObserveRun(1, 1, ms, ms, ms, nil)
	v.ObserveRequest(request(), nil, ms)
	v.ObserveRequest(request(), errRefused, ms)
	variant := m.Variant("iris", "iris", 1, api.RoleStable)
	variant.Observe(infer.ReasonSticky, nil, ms)
	variant.Observe(infer.ReasonSticky, errRefused, ms)
	s := m.Shadow("iris", "iris", 2)
	s.Answered(nil, ms)
	s.Answered(errRefused, ms)
	s.Dropped(api.DropExpired)
	v.BreakerChanged("open")
	v.Replayed(nil)
	m.Feed().EventPosted(api.EventVersionRegistered, nil)
	m.Feed().EventsWaiting(map[string]int{api.EventVersionRegistered: 1})
	signals := m.Signals()
	signals.Recorded(api.TypeRetrainRequested, "iris")
	signals.HeldBack("iris", api.HeldBackOpen)
	signals.Attempted(api.TypeRetrainRequested, nil, ms)
	return reg
}

// scraped returns the labels of each series of the registry as Prometheus would store it, with
// the labels that it adds itself.
func scraped(t *testing.T, reg *prometheus.Registry) map[string]labelSet {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]labelSet{"up": labels("job", "instance")}
	for _, f := range families {
		add := func(suffix string, more ...string) {
			s := labels(append(more, "job", "instance")...)
			for _, l := range f.GetMetric()[0].GetLabel() {
				s[l.GetName()] = true
			}
			all[f.GetName()+suffix] = s
		}
		switch f.GetType().String() {
		case "HISTOGRAM":
			add("_bucket", "le")
			add("_sum")
			add("_count")
		case "SUMMARY":
			add("", "quantile")
			add("_sum")
			add("_count")
		default:
			add("")
		}
	}
	return all
}

// readYAML reads a file of configs.
func readYAML[T any](t *testing.T, path string) (document T) {
	t.Helper()
	text, err := os.ReadFile("../../configs/" + path)
	if err == nil {
		err = yaml.Unmarshal(text, &document)
	}
	if err != nil {
		t.Fatal(err)
	}
	return document
}

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

// withRules returns the scraped series and those that the recording rules make from them. visit
// gets each rule with the labels of its result.
func withRules(t *testing.T, visit func(r rule, result labelSet, problems []string)) map[string]labelSet {
	t.Helper()
	p := promQL{metrics: scraped(t, everything())}
	for _, g := range readYAML[ruleFile](t, "prometheus/rules/sluice.rules.yml").Groups {
		for _, r := range g.Rules {
			result, problems := p.check(r.Expr)
			maps.Copy(result, labels(slices.Collect(maps.Keys(r.Labels))...))
			visit(r, result, problems)
			if r.Record != "" {
				p.metrics[r.Record] = result
			}
		}
	}
	return p.metrics
}

func noVisit(rule, labelSet, []string) {}

func TestRulesNameWhatExists(t *testing.T) {
	used := regexp.MustCompile(`\$labels\.(\w+)`)
	records, alerts := 0, 0
	withRules(t, func(r rule, result labelSet, problems []string) {
		for _, problem := range problems {
			t.Errorf("%s%s: %s", r.Record, r.Alert, problem)
		}
		if r.Record != "" {
			records++
			return
		}
		alerts++
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
			t.Errorf("%s: wants a severity, a summary, and a description of what to do", r.Alert)
		}
		for _, text := range r.Annotations {
			for _, m := range used.FindAllStringSubmatch(text, -1) {
				if !result[m[1]] {
					t.Errorf("%s: an annotation names the label %s, which the result lacks", r.Alert, m[1])
				}
			}
		}
	})
	if records < 20 || alerts < 10 {
		t.Errorf("found %d recording rules and %d alerts: the file was not understood", records, alerts)
	}
}

// The unit tests for promtool use existing series, and test each rule.
func TestRuleTestsNameWhatExists(t *testing.T) {
	var want []string
	p := promQL{metrics: withRules(t, func(r rule, _ labelSet, _ []string) { want = append(want, r.Record+r.Alert) })}
	file := readYAML[struct {
		Tests []struct {
			InputSeries    []struct{ Series string } `yaml:"input_series"`
			PromqlExprTest []struct{ Expr string }   `yaml:"promql_expr_test"`
			AlertRuleTest  []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}](t, "prometheus/rules/sluice.test.yml")
	var tested []string
	for _, test := range file.Tests {
		for _, s := range test.InputSeries {
			if _, problems := p.check(s.Series); len(problems) > 0 {
				t.Errorf("%s: %v", s.Series, problems)
			}
		}
		for _, e := range test.PromqlExprTest {
			tested = append(tested, e.Expr)
		}
		for _, a := range test.AlertRuleTest {
			if len(a.ExpAlerts) > 0 {
				tested = append(tested, a.Alertname)
			}
		}
	}
	for _, name := range want {
		if strings.Contains(name, "increase10m") || strings.Contains(name, "pooled10m") {
			continue // the z-score that is made from them is tested
		}
		if !slices.ContainsFunc(tested, func(what string) bool { return strings.Contains(what, name) }) {
			t.Errorf("no test expects anything of %s", name)
		}
	}
}

// The names of the last release give the same results as the new ones.
func TestOldNamesOfRules(t *testing.T) {
	var want, got []rule
	withRules(t, func(r rule, _ labelSet, _ []string) {
		if name, ok := strings.CutPrefix(r.Record, "variant:"); ok {
			want = append(want, rule{Record: "arm:" + name, Expr: r.Record})
		}
	})
	for _, g := range readYAML[ruleFile](t, "prometheus/rules/sluice-old-names.rules.yml").Groups {
		got = append(got, g.Rules...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rules with old names (-want +got):\n%s", diff)
	}
}

// dashboardQuery is an expression of the dashboard with the template of its labels.
type dashboardQuery struct {
	where, expr, legend string
}

// queries finds the expressions of a dashboard at any depth.
func queries(node any, where string) (found []dashboardQuery) {
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			found = append(found, queries(child, where)...)
		}
	case map[string]any:
		for _, name := range []string{"name", "title"} {
			if s, ok := n[name].(string); ok {
				where = where + "/" + s
			}
		}
		text := func(key string) string { s, _ := n[key].(string); return s }
		if text("expr") != "" {
			found = append(found, dashboardQuery{where, text("expr"), text("legendFormat") + text("titleFormat")})
		}
		if m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(text("definition")); m != nil {
			found = append(found, dashboardQuery{where, m[1], "{{" + m[2] + "}}"})
		}
		for _, key := range slices.Sorted(maps.Keys(n)) {
			found = append(found, queries(n[key], where)...)
		}
	}
	return found
}

func TestDashboardNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("../../configs/grafana/sluice.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard map[string]any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	p := promQL{metrics: withRules(t, noVisit)}
	found := queries(dashboard, "")
	if len(found) < 50 {
		t.Errorf("found %d expressions: the file was not understood", len(found))
	}
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	for _, q := range found {
		result, problems := p.check(q.expr)
		for _, problem := range problems {
			t.Errorf("%s: %s: %s", q.where, q.expr, problem)
		}
		for _, m := range legend.FindAllStringSubmatch(q.legend, -1) {
			if !result[m[1]] {
				t.Errorf("%s: the legend names the label %s, which the result of %s lacks", q.where, m[1], q.expr)
			}
		}
	}
	panels, _ := dashboard["panels"].([]any)
	ids := map[any]bool{}
	for _, panel := range panels {
		p, _ := panel.(map[string]any)
		if ids[p["id"]] {
			t.Errorf("two panels have the id %v", p["id"])
		}
		ids[p["id"]] = true
		if source, _ := p["datasource"].(map[string]any); p["type"] != "row" && source["uid"] != "${datasource}" {
			t.Errorf("%v: the data source is not the chosen one", p["title"])
		}
	}
}

// The operations page lists each series with its labels, and no other.
func TestDocumentationListsEachSeries(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	families, err := everything().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "sluice_") {
			var names []string
			for _, l := range f.GetMetric()[0].GetLabel() {
				names = append(names, l.GetName())
			}
			slices.Sort(names)
			want[f.GetName()] = strings.Join(names, ",")
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\|.*?\|`).FindAllString(string(text), -1) {
		for _, s := range regexp.MustCompile("`(sluice_\\w+)(?:\\{([\\w,]+)\\})?`").FindAllStringSubmatch(m, -1) {
			names := strings.FieldsFunc(s[2], func(r rune) bool { return r == ',' })
			slices.Sort(names)
			got[s[1]] = strings.Join(names, ",")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/operations.md (-exported +listed):\n%s", diff)
	}
}

func TestPromQLFindsMistakes(t *testing.T) {
	p := promQL{metrics: map[string]labelSet{
		"hits_total":       labels("job", "code"),
		"queue":            labels("job"),
		"time_bucket":      labels("job", "le"),
		"variant:hits:sum": labels("job"),
	}}
	f := func(expr, wantLabels string, want ...string) {
		t.Helper()
		result, problems := p.check(expr)
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expr, diff)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(result)), ","); len(want) == 0 && got != wantLabels {
			t.Errorf("%s: labels %s, want %s", expr, got, wantLabels)
		}
	}
	f(`hits_total`, "code,job")
	f(`sum(rate(hits_total{code=~"a|b{}\"",job!="x"}[5m])) > 0.5`, "")
	f(`sum by (code) (rate(hits_total[$__rate_interval])) / on (job) group_left () sum by (job) (queue)`, "code,job")
	f(`(1 - queue or 0 * variant:hits:sum) * -1.5e3`, "job")
	f(`histogram_quantile(0.99, sum by (job, le) (rate(time_bucket[5m]))) >= 0`, "job")

	f(`hit_total`, "", "there is no metric hit_total")
	f(`hits_total{cod="x"}`, "", "hits_total has no label cod")
	f(`sum by (route) (hits_total)`, "", "the sum's argument has no label route")
	f(`sum by (job) (sum by (code) (hits_total))`, "", "the sum's argument has no label job")
	f(`queue / on (code) variant:hits:sum`, "", "either side has no label code")
	f(`rate_(queue[5m])`, "", "unknown function rate_")
	f(`histogram_quantile(0.5, queue)`, "", "the histogram has no label le")
	f(`sum by (job) queue`, "", "expected (, got \"queue\"", "expected an operand, got \"\"", "expected ), got \"\"", "the sum's argument has no label job")
	f(`queue{job}`, "", "expected a matcher after job, got \"}\"", "expected text to match job with, got \"\"", "expected }, got \"\"")
	f(`queue queue`, "", "did not expect queue")
	f(`queue @ 5`, "", `cannot read "@ 5"`)
	f(``, "", `expected an operand, got ""`)
}
