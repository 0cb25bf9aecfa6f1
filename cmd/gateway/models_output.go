package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// printer writes versions for people, columns separated by tabs.
type printer func(b *strings.Builder, versions []api.ModelStatus, wide bool)

// printVersions prints a line per version.
func printVersions(b *strings.Builder, versions []api.ModelStatus, wide bool) {
	more := ""
	if wide {
		more = "DIGEST\tMEMORY\tPROVIDERS\t"
	}
	fmt.Fprintf(b, "MODEL\tVERSION\tROLE\tSTATE\tLOADED\tBATCHING\tINSTANCES\t%sREASON\n", more)
	for i := range versions {
		v := &versions[i]
		batching, instances := "-", "-"
		if d := v.Detail; d != nil {
			batching, instances = batchingText(d.Batching), strconv.Itoa(d.Instances)
		}
		if wide {
			more = orDash(v.Digest) + "\t" + memoryText(v.Memory) + "\t" + providersText(v.Detail) + "\t"
		}
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", v.Name, versionText(v), orDash(v.Role), v.State, timeText(v.LoadedAt), batching, instances, more, v.Reason)
	}
}

// printDetails prints a block per version.
func printDetails(b *strings.Builder, versions []described) {
	for i := range versions {
		v := &versions[i]
		if i > 0 {
			fmt.Fprintln(b)
		}
		fmt.Fprintf(b, "Model:\t%s\nVersion:\t%s\n", v.Name, versionText(&v.ModelStatus))
		line(b, "Role", v.Role)
		line(b, "State", v.State)
		line(b, "Reason", v.Reason)
		line(b, "Digest", v.Digest)
		line(b, "Named by", strings.Join(v.NamedBy, ", "))
		if v.LoadedAt != nil {
			line(b, "Loaded", timeText(v.LoadedAt))
		}
		if v.Record != nil {
			printOrigin(b, v.Record)
		}
		if v.Detail != nil {
			printDetail(b, v.Detail)
		}
		if v.Memory != nil {
			fmt.Fprintf(b, "Memory:\t%d bytes\n", v.Memory.InstanceBytes)
		}
	}
}

func printDetail(b *strings.Builder, d *api.ModelDetail) {
	fmt.Fprintf(b, "Instances:\t%d\n", d.Instances)
	line(b, "Batching", batchingDetail(d.Batching))
	for i := range d.Batching.RunTimes {
		line(b, "Run time", runTimeText(&d.Batching.RunTimes[i]))
	}
	line(b, "Warm-up", d.Warmup)
	for _, p := range d.Providers {
		fmt.Fprintf(b, "Provider:\t%s", p.Name)
		for _, option := range slices.Sorted(maps.Keys(p.Options)) {
			fmt.Fprintf(b, " %s=%s", option, p.Options[option])
		}
		b.WriteByte('\n')
	}
	line(b, "Ignored files", strings.Join(d.Ignored, ", "))
	if len(d.ZipMaps) > 0 {
		line(b, "ZipMap", "removed, so that these outputs are tensors: "+strings.Join(d.ZipMaps, ", "))
	}
	line(b, "Labels from", strings.Join(d.LabelsFrom, ", "))
	if p := d.Profile; p != nil {
		line(b, "Profile", oneLine(strings.Join(nonEmpty("from the "+p.From, p.Digest, p.Reason), ", ")))
	}
	printTensors(b, "Input", d.Inputs)
	printTensors(b, "Output", d.Outputs)
}

func printTensors(b *strings.Builder, title string, tensors []api.Tensor) {
	for i := range tensors {
		t := &tensors[i]
		text := fmt.Sprintf("%s %s%v", t.Name, t.Datatype, infer.Shape(t.Shape))
		if names := slices.DeleteFunc(slices.Clone(t.Symbols), func(s string) bool { return s == "" }); len(names) > 0 {
			text += " (" + strings.Join(names, ", ") + ")"
		}
		if t.Optional {
			text += " optional"
		}
		line(b, title, text+labelsText(t.Labels))
	}
}

// labelsText shows the first labels of an output.
func labelsText(labels []string) string {
	const most = 10
	switch n := len(labels); {
	case n == 0:
		return ""
	case n > most:
		return fmt.Sprintf(" labels %s, … (%d)", strings.Join(labels[:most], ", "), n)
	default:
		return " labels " + strings.Join(labels, ", ")
	}
}

// line prints a title and its text, and nothing if the text is empty.
func line(b *strings.Builder, title, text string) {
	if text != "" {
		fmt.Fprintf(b, "%s:\t%s\n", title, text)
	}
}

func memoryText(m *api.ModelMemory) string {
	if m == nil {
		return "-"
	}
	return strconv.FormatInt(m.InstanceBytes, 10)
}

func providersText(d *api.ModelDetail) string {
	if d == nil {
		return "-"
	}
	names := make([]string, len(d.Providers))
	for i, p := range d.Providers {
		names[i] = p.Name
	}
	return orDash(strings.Join(names, ","))
}

// versionText is "-" for a model that has no usable version.
func versionText(v *api.ModelStatus) string {
	if v.Version == 0 {
		return "-"
	}
	return strconv.FormatInt(v.Version, 10)
}

// batchingText summarizes in two words or so whether a version is batched, and why.
func batchingText(s api.BatchingStatus) string {
	switch {
	case s.Summary != "": // older releases do not send one
		return s.Summary
	case s.Enabled:
		return "yes"
	default:
		return "no"
	}
}

// batchingDetail adds the max rows, the reason in a sentence, and what to do.
func batchingDetail(s api.BatchingStatus) string {
	text := batchingText(s)
	if s.Enabled {
		text += fmt.Sprintf(", up to %d rows", s.MaxSize)
	}
	if text += ": " + s.Reason; s.Advice != "" {
		text += "; " + s.Advice
	}
	return text
}

// runTimeText describes the run times of a shape on one line: "x[-1,16] 4µs + 850ns a row, in 1000
// runs of 1 to 64 rows; 5.2 times the rows in runs of 80; joined".
func runTimeText(r *api.RunTime) string {
	text := fmt.Sprintf("%s %v", r.Shape, time.Duration(r.Fixed))
	if r.MinRows < r.MaxRows {
		text += fmt.Sprintf(" + %v a row, in %d runs of %d to %d rows", time.Duration(r.PerRow), r.Runs, r.MinRows, r.MaxRows)
	} else {
		text += fmt.Sprintf(", in %d runs of %d rows", r.Runs, r.MinRows)
	}
	if r.Gain > 0 {
		text += fmt.Sprintf("; %.1f times the rows in runs of %d", r.Gain, r.RunRows)
	}
	if r.Joined {
		return text + "; joined"
	}
	return text + "; one by one"
}

func timeText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}
