package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// The sets of rollouts-cost.md.
const (
	setStable      = "stable alone"
	setStableAgain = "stable alone, once more"
	setCanary      = "canary 10 %"
	setTwo         = "two canaries, 10 % each"
	setControl     = "canary and control, 10 % each"
	setCompared    = "shadow 10 %, compared"
	setRunning     = "rollout that runs, canary and control 10 % each"
	setRunningAll  = "rollout that runs, and the shadow"
)

// rolloutSets are the rows of rollouts-cost.md: the tiny model with 64 requests in flight.
func rolloutSets() []point {
	const (
		canary  = "{version: 1, weight: 90%}, {version: 2, weight: 10%, role: canary}"
		two     = "{version: 1, weight: 80%}, {version: 2, weight: 10%, role: canary}, {version: 3, weight: 10%, role: canary}"
		control = "{version: 1, weight: 80%}, {version: 2, weight: 10%, role: canary}, {version: 1, weight: 10%, role: control}"
	)
	route := func(variants, more string) string {
		return fmt.Sprintf("routes: {lin: {variants: [%s], %s%s}}", variants, sticky, more)
	}
	list := []point{
		{set: setStable, routes: route(one, "")},
		{set: setStableAgain, routes: route(one, "")},
		{set: setCanary, routes: route(canary, "")},
		{set: setTwo, routes: route(two, "")},
		{set: setControl, routes: route(control, "")},
		{set: setCompared, routes: route(one, shadowed)},
		{set: setRunning, routes: route(one, ""), rollout: true},
		{set: setRunningAll, routes: route(one, shadowed), rollout: true},
	}
	for i := range list {
		list[i].graphs, list[i].versions, list[i].conns = []*onnxgen.Graph{onnxgen.Lin()}, 3, 64
		list[i].models = "models: {lin: {versions: [1, 2, 3]}}"
		list[i].targets = func(base string) []loadgen.Target { return users(tiny(base, "lin")) }
	}
	return list
}

// A rollout with one step that does not end while it is measured.
const rolloutSpec = `{"route": "lin", "version": 2, "min_requests": 1000000000000, "steps": [{"weight": 1000, "for": "1h"}]}`

// startRollout starts a rollout, and waits until its canary gets requests.
func startRollout(ctx context.Context, g *process.Gateway) error {
	header := http.Header{"Content-Type": {"application/json"}}
	if _, _, err := process.Ask(ctx, http.MethodPost, g.AdminURL()+"/api/v1/rollouts", rolloutSpec, header); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err := inCanary(ctx, g); err == nil {
			return nil
		}
	}
	return inCanary(ctx, g)
}

// inCanary makes an error of a rollout without a canary that gets requests.
func inCanary(ctx context.Context, g *process.Gateway) error {
	text, _, err := process.Ask(ctx, http.MethodGet, g.AdminURL()+"/api/v1/rollouts", "", nil)
	if err != nil {
		return err
	}
	var list []api.Rollout
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if len(list) != 1 || list[0].State != api.RolloutCanary {
		return fmt.Errorf("the rollout is not in its step: %.2000s", text)
	}
	text, _, err = process.Ask(ctx, http.MethodGet, g.AdminURL()+"/api/v1/routes/lin", "", nil)
	if err == nil && !strings.Contains(string(text), api.RoleControl) {
		err = fmt.Errorf("the route has no control yet: %s", text)
	}
	return err
}

// summing measures in this process what is done for each answer of a canary and of a control, and for each copy of a shadow.
func summing() record.Rows {
	output := func(data ...byte) []infer.Tensor {
		return []infer.Tensor{{Name: "output", DType: infer.FP32, Shape: infer.Shape{1, 1}, Data: data}}
	}
	sums := compare.NewSums([]infer.TensorSpec{{Name: "output", DType: infer.FP32, Shape: infer.Shape{-1, 1}}})
	answer := &infer.Response{Outputs: output(0, 0, 128, 63)}
	comparison := compare.New(compare.Options{})
	pair := &compare.Pair{ID: "a", Reference: output(0, 0, 128, 63), Candidate: output(0, 0, 128, 63), ReferenceTook: time.Millisecond, CandidateTook: time.Millisecond}
	return record.Rows{
		observe("an answer of a canary or a control", func() { sums.Offer(nil, answer) }),
		observe("a pair of answers of the version and its shadow", func() { comparison.Add(pair) }),
	}
}

// renderRollouts writes rollouts-cost.md.
func renderRollouts(dir string, all record.Rows) error {
	return page.Write(filepath.Join(dir, "rollouts-cost.md"), rolloutsReport(all))
}

func rolloutsReport(all record.Rows) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# What a rollout costs a request\n\n<!-- Made by \"make bench-cost\" from rollouts-cost.jsonl. Do not edit. -->\n\n%s\n\n", about(all))
	fmt.Fprintf(&out, "The tiny model, 16 floats in binary, %d requests in flight in a closed loop, from 64 users who keep their version. Each set has a gateway of\n"+
		"its own, all of them on one core at the same time, so that whatever else the machine does slows all of them down alike; they start anew after\n"+
		"%d rounds. Processor time is that of the whole gateway process, by the kernel's clock of it, what runs beside the requests included. Requests/s\n"+
		"are those of a core that all share, and of the machine as it was. Medians (range) of the rounds. Ratios are taken within a round; their medians\n"+
		"have an interval with a confidence of 95 %%.\n\n", togetherConns, onceIn)
	rows := func(set string) record.Rows { return all.Where("measured", "set", set) }
	alone := []record.Rows{rows(setStable), rows(setStableAgain)}
	chance := rows(setStableAgain).OverMedian(nanoseconds, record.Ratio, alone[0])
	t := page.NewTable("set", "µs of processor per request", "to stable alone", "requests per run", "requests/s")
	for _, p := range rolloutSets() {
		own, to := rows(p.set), ""
		switch p.set {
		case setStable:
		case setStableAgain:
			to = chance.Text("× %.3f")
		default:
			to = own.OverMedian(nanoseconds, record.Ratio, alone...).Text("× %.3f")
		}
		t.Row(p.set, own.Spread(microseconds).Text("%.2f"), to, own.Spread(joined).Text("%.1f"), own.Spread(rate).Text("%.0f"))
	}
	fmt.Fprintf(&out, "%s\nTwo versions have two queues, so that fewer requests share a run: that is what \"%s\" and \"%s\" cost.\n"+
		"What a rollout adds is the difference to the same without it:\n\n", t, setCanary, setTwo)
	t = page.NewTable("set", "compared with", "ratio", "verdict")
	t.Row(setStableAgain, setStable, chance.Text("× %.3f"), "what chance does")
	for _, c := range rolloutParts() {
		ratio := rows(c.set).OverMedian(nanoseconds, record.Ratio, rows(c.than))
		t.Row(c.set, c.than, ratio.Text("× %.3f"), verdictOf(ratio, chance))
	}
	fmt.Fprintf(&out, "%s\nMeasured alone, in a process that does nothing else:\n\n", t)
	t = page.NewTable("what", "ns", "allocations")
	for _, o := range all.Where("metrics") {
		t.Row(o.Params["what"], fmt.Sprintf("%.0f", o.Figures["ns"]), fmt.Sprintf("%.0f", o.Figures["allocations"]))
	}
	out.WriteString(t.String())
	out.WriteString("\nA shadow costs a copy and a run of every tenth request, in threads of its own after the answer has left.\n" +
		"The comparison is the last row above, for every tenth request.\n")
	return out.String()
}

// rolloutParts are what a rollout adds, each with the same without it.
func rolloutParts() []struct{ set, than string } {
	return []struct{ set, than string }{{setControl, setTwo}, {setRunning, setControl}, {setRunningAll, setRunning}, {setCompared, setStable}}
}

// verdictOf says whether a ratio is that of two gateways that are alike.
func verdictOf(ratio, chance record.Spread) string {
	if ratio.Low <= 1 && ratio.High >= 1 || ratio.Overlaps(chance) {
		return "within the noise"
	}
	return fmt.Sprintf("%+.1f %%", 100*(ratio.Median-1))
}
