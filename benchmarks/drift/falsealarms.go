package main

import (
	"math/rand/v2"

	"sluice.io/sluice/internal/drift"
)

// windowsPerReference is how many clean windows each reference is compared with. The
// error of a reference is in all of them, so that many references count for more than
// many windows. Large windows take most of the time and are fewer unless all is wanted.
func (b *bench) windowsPerReference(rows int) int {
	if rows > 1000 && !b.full {
		return 20
	}
	return 100
}

// promises are the detectors that are measured. Without a tolerance, nothing but the
// law of the statistic stands between chance and an alarm.
func promises() []promise {
	rare, bare := defaults(), withTolerance(1e-6)
	rare.FalseAlarmWindows, bare.FalseAlarmWindows = 200, 200
	bare.QualityTolerance, bare.RangeTolerance = 1e-6, 1e-6
	bare.Gates.ShareRatio, bare.Gates.ShareGain, bare.Gates.New = 1, 1e-6, 1e-6
	return []promise{{"defaults", defaults()}, {"1 in 200", rare}, {"1 in 200, no tolerance", bare}}
}

type promise struct {
	name    string
	options drift.Options
}

// cleanSet is a set-up, with what became of its clean windows.
type cleanSet struct {
	promise
	rho               float64
	reference, window int
	tally
}

// tally counts alarms.
type tally struct {
	Alarms int // streams that became DETECTED
	AtRisk int // windows before which they were not
	// Findings are those that became DETECTED, by the feature's law and the statistic.
	Findings   map[string]int
	Suspicions int // findings that were OK and no longer are
	Streams    int
	Alarmed    int // streams that alarmed at least once
}

func (t *tally) merge(o tally) {
	t.Alarms += o.Alarms
	t.AtRisk += o.AtRisk
	t.Suspicions += o.Suspicions
	t.Streams += o.Streams
	t.Alarmed += o.Alarmed
	for name, n := range o.Findings {
		t.Findings[name] += n
	}
}

// watched is a detector and what it said before.
type watched struct {
	tally
	detector drift.Detector
	state    string
	states   map[string]string // of findings that are not OK
}

func watch(p *drift.Profile, o drift.Options) *watched {
	return &watched{
		tally:    tally{Streams: 1, Findings: map[string]int{}},
		detector: newDetector(p, o), state: drift.OK, states: map[string]string{},
	}
}

// armed reports whether what is in a state can alarm; what has alarmed and has not
// recovered does not alarm again.
func armed(state string) bool { return state == "" || state == drift.OK || state == drift.Suspected }

// judge takes a window. law names that of a feature.
func (w *watched) judge(window drift.Window, law func(feature string) string) {
	v := w.detector.Judge(window)
	if armed(w.state) {
		w.AtRisk++
		if v.State == drift.Detected {
			w.Alarms++
			w.Alarmed = 1
		}
	}
	if v.State == drift.OK && w.state == drift.OK {
		return
	}
	w.state = v.State
	before := w.states
	w.states = map[string]string{}
	for _, findings := range [][]drift.Finding{v.Features, v.Quality} {
		for i := range findings {
			f := &findings[i]
			if f.State == drift.OK {
				continue
			}
			key := f.Feature + " " + f.Statistic
			w.states[key] = f.State
			if before[key] == "" {
				w.Suspicions++
			}
			if armed(before[key]) && f.State == drift.Detected {
				w.Findings[law(f.Feature)+" "+f.Statistic]++
			}
		}
	}
}

// falseAlarms counts alarms in windows that come from where the reference comes from.
// The rows of a reference are independent, and so are features.
func (b *bench) falseAlarms() {
	streams := parallel(b.references, b.falseAlarmsOf)
	for i, set := range streams[0] {
		for _, other := range streams[1:] {
			set.merge(other[i].tally)
		}
		windows := float64(b.windowsPerReference(set.window) * b.references)
		figures := map[string]float64{
			"windows": windows, "allowed": windows / set.options.FalseAlarmWindows, "alarms": float64(set.Alarms), "at_risk": float64(set.AtRisk),
			"suspicions": float64(set.Suspicions), "streams": float64(set.Streams), "streams_alarmed": float64(set.Alarmed),
		}
		for name, n := range set.Findings {
			figures["finding "+name] = float64(n)
		}
		b.add(partFalseAlarms, figures, "promise", set.name, "rho", set.rho, "reference_rows", set.reference, "window_rows", set.window)
	}
}

// falseAlarmsOf measures one reference, of which the first 500 and 5,000 rows serve as
// smaller ones, in all set-ups. The references see the same windows, and so do promises.
func (b *bench) falseAlarmsOf(stream int) (lines []cleanSet) {
	laws := marginals()
	references := []int{500, 5_000, 100_000}
	largest := make([][]float64, len(laws))
	rng := b.seeded(1, stream)
	for i, law := range laws {
		largest[i] = make([]float64, references[len(references)-1])
		for k := range largest[i] {
			largest[i][k] = law.of(rng.NormFloat64())
		}
	}
	profiles := make([]*drift.Profile, len(references))
	lawOf := map[string]string{}
	for r, rows := range references {
		columns := make([][]float64, len(laws))
		for i := range columns {
			columns[i] = largest[i][:rows]
		}
		profiles[r] = profileOf(columns, "FP64")
		for i, f := range profiles[r].Features {
			lawOf[f.Name] = laws[i].name
		}
	}
	rhos, sizes := []float64{0, 0.6, 0.9}, []int{200, 500, 1000, 5000}
	for dependence, rho := range rhos {
		for size, rows := range sizes {
			all := b.cleanWindows(b.seeded(2, stream, dependence, size), profiles, rho, rows, func(f string) string { return lawOf[f] })
			for r := range references {
				for i, promise := range promises() {
					lines = append(lines, cleanSet{promise, rho, references[r], rows, all[r][i].tally})
				}
			}
		}
	}
	return lines
}

// cleanWindows compares windows of one stream with all profiles, by all promises.
func (b *bench) cleanWindows(rng *rand.Rand, profiles []*drift.Profile, rho float64, rows int, law func(string) string) [][]*watched {
	all := make([][]*watched, len(profiles))
	for r, p := range profiles {
		for _, promise := range promises() {
			all[r] = append(all[r], watch(p, promise.options))
		}
	}
	laws := marginals()
	past := make([]*process, len(laws))
	for i := range past {
		past[i] = newProcess(rng, rho)
	}
	windows := make([]drift.Window, len(profiles))
	var split drift.Splitter
	for number := range b.windowsPerReference(rows) {
		for r, p := range profiles {
			windows[r] = newWindow(p, number, rows)
		}
		halves := halvesOf(&split, rows)
		for i := range laws {
			for row := range rows {
				x := laws[i].of(past[i].next())
				for r, p := range profiles {
					windows[r].Counts[i].AddIn(&p.Features[i], x, halves[row])
				}
			}
		}
		for r := range profiles {
			for _, w := range all[r] {
				w.judge(windows[r], law)
			}
		}
	}
	return all
}
