package driftwatch

import (
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
)

// finding returns what a signal says about a finding.
func finding(f drift.Finding) api.SignalFinding {
	return api.SignalFinding{
		Feature: f.Feature, Kind: f.Kind, Statistic: f.Statistic, Value: f.Value, P: f.P,
		Effect: f.Effect, Low: f.Low, High: f.High, Shift: f.Shift,
		Change: sentence(&f), Gate: f.Gate, Limit: f.Limit, Windows: f.Windows, Rows: f.Rows,
	}
}

// sentence describes a change in words that say which feature changed: "mean of petal_length rose by
// 0.6 s.d. (0.4 to 0.8)".
func sentence(f *drift.Finding) string {
	if f.Change == "" {
		return ""
	}
	switch f.Statistic {
	case drift.StatisticJoint:
		return f.Change
	case drift.StatisticCorrelation, drift.StatisticMMD:
		return f.Feature + ": " + f.Change
	default:
	}
	for _, moved := range [...]struct{ text, of, how string }{
		{"mean higher ", "mean of ", " rose "},
		{"mean lower ", "mean of ", " fell "},
		{"values higher ", "values of ", " rose "},
		{"values lower ", "values of ", " fell "},
	} {
		if rest, ok := strings.CutPrefix(f.Change, moved.text); ok {
			return moved.of + f.Feature + moved.how + rest
		}
	}
	if f.Statistic != drift.StatisticG {
		return f.Feature + ": " + f.Statistic + ": " + f.Change
	}
	return f.Feature + ": " + f.Change
}

// settings are the options of a detector in a signal. Durations are texts, and only the limit on false
// alarms that applies to the windows is there.
type settings struct {
	drift.Options
	FalseAlarmEvery   api.Duration `json:"false_alarm_every,omitzero"`
	Window            api.Duration `json:"window,omitzero"`
	FalseAlarmWindows float64      `json:"false_alarm_windows,omitzero"`
	Calibration       calibration  `json:"calibration,omitzero"`
}

// calibration is drift.Calibration with a text for the duration.
type calibration struct {
	Windows int          `json:"windows,omitempty"`
	Span    api.Duration `json:"span,omitempty"`
	Gross   float64      `json:"gross,omitempty"`
}

func settingsOf(o drift.Options) settings {
	k := &o.Calibration
	s := settings{Options: o, Calibration: calibration{k.Windows, api.Duration(k.Span), k.Gross}}
	if o.Window > 0 {
		s.Window, s.FalseAlarmEvery = api.Duration(o.Window), api.Duration(o.FalseAlarmEvery)
	} else {
		s.FalseAlarmWindows = o.FalseAlarmWindows
	}
	return s
}
