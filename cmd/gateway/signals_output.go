package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"sluice.io/sluice/api"
)

func printSignals(b *strings.Builder, list []api.Signal, wide bool) {
	letters := shortIDs(list)
	fmt.Fprintln(b, "ID\tMODEL\tVERSION\tROLE\tTYPE\tSTATE\tCREATED\tATTEMPTS\tFEATURES")
	for i := range list {
		r := &list[i]
		id := r.ID
		if !wide {
			id = id[:min(letters, len(id))]
		}
		fmt.Fprintf(b, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%d\t%s\n", oneLine(id), oneLine(r.Model), r.Version, orDash(streamText(r.Role, r.Segment)), signalText(r.Type),
			r.State, timeText(&r.CreatedAt), r.Attempts, orDash(signalFeatures(&r.SignalData)))
	}
}

// signalText is the type of a signal in one word.
func signalText(kind string) string {
	switch kind {
	case api.TypeRetrainRequested:
		return "retrain"
	case api.TypeDataQualityViolated:
		return "quality"
	default:
		return oneLine(kind)
	}
}

// signalFeatures names the strongest findings of a signal.
func signalFeatures(s *api.SignalData) string {
	list := make([]string, 0, maxShown)
	for i := range s.Features[:min(maxShown, len(s.Features))] {
		list = append(list, oneLine(s.Features[i].Feature))
	}
	text := strings.Join(list, ", ")
	if more := max(s.FeaturesTotal, len(s.Features)) - len(list); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func printSignal(b *strings.Builder, r *api.Signal) {
	line(b, "ID", oneLine(r.ID))
	line(b, "Type", oneLine(r.Type))
	line(b, "Model", oneLine(fmt.Sprintf("%s/%d %s", r.Model, r.Version, streamText(r.Role, r.Segment))))
	line(b, "Cause", oneLine(r.Cause))
	line(b, "Began", timeText(&r.Began))
	line(b, "Window", fmt.Sprintf("%s to %s, %d rows", timeText(&r.Window.Start), timeText(&r.Window.End), r.Rows))
	line(b, "Created", timeText(&r.CreatedAt))
	line(b, "State", r.State)
	line(b, "Attempts", strconv.Itoa(r.Attempts))
	line(b, "Last error", oneLine(r.LastError))
	if r.NextAttempt != nil {
		line(b, "Next attempt", timeText(r.NextAttempt))
	}
	if r.DeliveredAt != nil {
		line(b, "Delivered", timeText(r.DeliveredAt))
	}
	if r.ClosedAt != nil {
		line(b, "Closed", fmt.Sprintf("%s by %s", timeText(r.ClosedAt), cmp.Or(oneLine(r.ClosedBy), "-")))
	}
	line(b, "Reason", oneLine(r.Reason))
	if r.Suppressed > 0 {
		line(b, "Held back", fmt.Sprintf("%d more detections since then", r.Suppressed))
	}
	for i := range r.Also {
		a := &r.Also[i]
		line(b, "Also", oneLine(fmt.Sprintf("%s of version %d %s since %s: %s", a.Cause, a.Version, streamText(a.Role, a.Segment), timeText(&a.Began), cmp.Or(strings.Join(a.Features, ", "), "-"))))
	}
	line(b, "Profile", oneLine(r.ProfileDigest))
	line(b, "Model files", oneLine(r.ModelDigest))
	line(b, "Detector", oneLine(string(r.Detector)))
	fmt.Fprintln(b, "\nFEATURE\tKIND\tSTATISTIC\tCHANGE\tVALUE\tEFFECT\tSHIFT\tP")
	for i := range r.Features {
		f := &r.Features[i]
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(f.Feature), oneLine(f.Kind), oneLine(f.Statistic), orDash(oneLine(f.Change)), numberText(f.Value),
			effectText(f.Statistic, f.Effect, f.Low, f.High), shiftText(f.Shift), pText(f.P))
	}
	if more := r.FeaturesTotal - len(r.Features); more > 0 {
		fmt.Fprintf(b, "and %d more\n", more)
	}
}
