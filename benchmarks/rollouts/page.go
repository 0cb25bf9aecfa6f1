package main

import (
	"fmt"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/rollout"
)

// page is the result.
type page struct{ strings.Builder }

func (b *page) write(runs int, rate int64) {
	fmt.Fprintf(b, `# Rollouts that are rolled back, by simulation

%d rollouts of each case, %d requests/s on the route, a look every %v; seeds are fixed, so each run prints the same. Errors and slow answers have guardrails
of their own, and each has a sixth of alpha, since there are six. Time and lost requests are medians among the rollouts that were rolled back; lost requests are
the bad ones of the canary. The weights grow as the preset says, so each rollout also changes them.
If a client retries, several requests fail together, and they count as less evidence. Before the guardrails discounted such groups, the
preset standard rolled back 35%% of the equal versions in that case.

`, runs, rate, lookEvery)
	b.WriteString("## Versions that are not worse\n\n| preset | alpha / 6 | traffic | rolled back |\n|---|---|---|---|\n")
	for _, preset := range api.RolloutPresets() {
		spec := specOf(preset)
		for _, t := range fair() {
			r := simulate(runs, rate, &spec, &t, ours)
			fmt.Fprintf(b, "| %s | %.2f%% | %s | %.2f%% |\n", preset, 100*rollout.Share(spec.Alpha), t.name, 100*r.share())
		}
	}
	b.WriteString("\n## Worse versions\n\n| preset | version | rolled back | time | lost requests |\n|---|---|---|---|---|\n")
	few := max(runs/10, 100)
	for _, preset := range api.RolloutPresets() {
		spec := specOf(preset)
		for _, t := range []traffic{worse(1.5), worse(2), worse(3), worse(5), slower(1.5), slower(2)} {
			r := simulate(few, rate, &spec, &t, ours)
			fmt.Fprintf(b, "| %s | %s | %.1f%% | %s | %s |\n", preset, t.name, 100*r.share(), median(r.times), median(r.bad))
		}
	}
	b.WriteString("\n## Other rules on the same traffic, steps of standard\n\n| traffic | gateway | Argo: each minute ≥ 99% | Flagger: 5 minutes < 99% | z-test at each look |\n|---|---|---|---|---|\n")
	spec := specOf("standard")
	for _, t := range append(fair(), worse(1.5), worse(2), worse(3), worse(5)) {
		fmt.Fprintf(b, "| %s |", t.name)
		for _, rule := range []func(*api.RolloutSpec, *traffic) judge{ours, argo, flagger, zTest} {
			r := simulate(few, rate, &spec, &t, rule)
			fmt.Fprintf(b, " %.1f%%, %s |", 100*r.share(), median(r.times))
		}
		b.WriteString("\n")
	}
	b.answers(max(runs/answerRuns, 100), rate)
}

// answerRuns is how many times fewer rollouts are judged by their answers, which takes longer.
const answerRuns = 20

func (b *page) answers(runs int, rate int64) {
	fmt.Fprintf(b, `
## Answers

%d rollouts of each case, with a look every 30 s. The answers have a class with 30%% of the rows, a best score of 0.8 ± 0.1, and a number with the
standard deviation 1. The limits are those of the presets, so that a version that differs by less than them is not worse.

| preset | limits | alpha / 6 | answers of the version | rolled back | time |
|---|---|---|---|---|---|
`, runs)
	for _, preset := range api.RolloutPresets() {
		spec := specOf(preset)
		for _, a := range append(fairAnswers(), otherAnswers()...) {
			r := simulateAnswers(runs, rate, &spec, &a)
			fmt.Fprintf(b, "| %s | %g, %g s.d. | %.2f%% | %s | %.1f%% | %s |\n", preset, spec.Answers.Tolerance, spec.Answers.Deviation, 100*rollout.Share(spec.Alpha), a.name, 100*r.share(), median(r.times))
		}
	}
}

func specOf(preset string) api.RolloutSpec {
	spec := api.RolloutSpec{Route: "r", Version: 2, Preset: preset}
	spec.Complete()
	return spec
}

// median returns the middle of a sorted list.
func median[T time.Duration | int64](list []T) string {
	if len(list) == 0 {
		return "-"
	}
	return fmt.Sprint(list[len(list)/2])
}
