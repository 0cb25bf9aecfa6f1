package front

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
)

func TestTraceChange(t *testing.T) {
	yes, no, rate, count, endless := true, false, uint64(100), int64(5), int64(-1)
	f := func(name string, values []string, want TraceChange) {
		t.Helper()
		var got TraceChange
		if err := got.Read(TraceSetting{name, values}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", name, values, diff)
		}
	}
	f("trace_level", []string{"TIMESTAMPS"}, TraceChange{On: &yes})
	f("trace_level", []string{"OFF"}, TraceChange{On: &no})
	f("trace_level", nil, TraceChange{ClearOn: true})
	f("trace_rate", []string{"100"}, TraceChange{Rate: &rate})
	f("trace_rate", nil, TraceChange{ClearRate: true})
	f("trace_count", []string{"5"}, TraceChange{Count: &count})
	f("trace_count", []string{"-1"}, TraceChange{Count: &endless})
	f("trace_count", nil, TraceChange{ClearCount: true})
	f("log_frequency", []string{"0"}, TraceChange{})
	f("log_frequency", nil, TraceChange{})
	f("trace_mode", []string{"opentelemetry"}, TraceChange{})
	f("colour", []string{"red"}, TraceChange{})

	refuse := func(code infer.Code, text, name string, values ...string) {
		t.Helper()
		var c TraceChange
		if err := c.Read(TraceSetting{name, values}); infer.CodeOf(err) != code || !strings.Contains(infer.Message(err), text) {
			t.Errorf("%s %q: %v", name, values, err)
		}
	}
	refuse(infer.Unsupported, "trace file location can not be updated through network protocol", "trace_file", "a")
	refuse(infer.Unsupported, "trace mode can not be updated", "trace_mode", "triton")
	refuse(infer.Unsupported, "log_frequency", "log_frequency", "10")
	refuse(infer.Unsupported, "'TENSORS'", "trace_level", "TIMESTAMPS", "TENSORS")
	refuse(infer.Invalid, "only one trace level 'OFF'", "trace_level", "OFF", "TIMESTAMPS")
	refuse(infer.Invalid, "'LOUD'", "trace_level", "LOUD")
	for _, value := range []string{"-1", "x", "1.5", "4294967296", ""} {
		refuse(infer.Invalid, "Unable to parse 'trace_rate'", "trace_rate", value)
	}
	refuse(infer.Invalid, "got: 1, 2", "trace_rate", "1", "2")
	refuse(infer.Invalid, "Unable to parse 'trace_count'", "trace_count", "-2")
}

func TestTraceSettingsList(t *testing.T) {
	got := TraceSettings{On: true, Rate: 100, Count: -1}.List()
	want := []TraceSetting{
		{"trace_level", []string{"TIMESTAMPS"}},
		{"trace_rate", []string{"100"}},
		{"trace_count", []string{"-1"}},
		{"log_frequency", []string{"0"}},
		{"trace_file", []string{""}},
		{"trace_mode", []string{"opentelemetry"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
