package compat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/testing/compat"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func loadCalls(t *testing.T) []compat.Call {
	t.Helper()
	var all []compat.Call
	for _, record := range []string{"grpc", "grpc-more"} {
		calls, err := compat.LoadCalls("../../../testdata/triton-2.51-" + record + ".jsonl")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, calls...)
	}
	return all
}

func TestLoadCalls(t *testing.T) {
	calls, names, streams := loadCalls(t), map[string]bool{}, 0
	for _, c := range calls {
		if names[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		names[c.Name] = true
		if c.Method == "ModelStreamInfer" {
			streams++
		}
	}
	if len(calls) != 598 || streams != 63 {
		t.Errorf("%d calls, %d of them streams", len(calls), streams)
	}
}

// Against a server that replays the record, only the table itself is wrong.
func TestCheckCallsFindsIdleEntries(t *testing.T) {
	calls := loadCalls(t)
	results := make([]compat.CallResult, len(calls))
	for i, c := range calls {
		results[i] = compat.CallResult{Call: c, GotCode: c.Code, GotMessage: c.Message}
		for _, text := range c.Responses {
			var m proto.Message
			switch c.Method {
			case "ModelInfer":
				m = &pb.ModelInferResponse{}
			case "ModelStreamInfer":
				m = &pb.ModelStreamInferResponse{}
			case "ModelConfig":
				m = &pb.ModelConfigResponse{}
			default:
				continue
			}
			if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, m); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			results[i].Got = append(results[i].Got, m)
		}
	}
	wrong := compat.CheckCalls(results, true)
	for _, want := range []string{"model seq_acc: it is in the table (", "dup_output (any): it is in the table (", "D.config_settings (metric_tags): it is in the table ("} {
		found := false
		for _, w := range wrong {
			found = found || strings.HasPrefix(w, want)
		}
		if !found {
			t.Errorf("%q is not reported", want)
		}
	}
	for _, w := range wrong {
		if strings.Contains(w, "(status): want") || strings.Contains(w, "(text): want") {
			t.Errorf("unexpected: %s", w)
		}
	}
}

func TestTranslate(t *testing.T) {
	dir := t.TempDir()
	yaml, err := compat.Translate("../../../testdata/triton-2.51-models", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"auto_batch: {instances: 2, batching: {oversize: reject, max_delay: 0us, max_size: 4}}",
		"fixed23: {instances: 2, batching: {oversize: reject, max_delay: 0us, enabled: false}}",
		"inst2: {instances: 3, batching: {oversize: reject, max_delay: 0us, enabled: true, max_size: 4}}",
		"dyn_pref: {instances: 1, batching: {oversize: reject, max_delay: 100000us, enabled: true, max_size: 4}}",
		"slow_prio: {instances: 1, batching: {oversize: reject, max_delay: 0us, enabled: true, max_size: 1, queue: {max_requests: 2}}, priority_levels: 3, default_priority: 2}",
		"ver_latest2: {instances: 2, batching: {oversize: reject, max_delay: 0us, enabled: true, max_size: 4}, versions: {latest: 2}}",
		"ver_specific: {instances: 2, batching: {oversize: reject, max_delay: 0us, enabled: true, max_size: 4}, versions: [1, 3]}",
		"ver_all: {instances: 2, batching: {oversize: reject, max_delay: 0us, enabled: true, max_size: 4}, versions: all}",
	} {
		if !strings.Contains(yaml, "\n  "+want+"\n") {
			t.Errorf("%s is not in\n%s", want, yaml)
		}
	}
	for _, file := range []string{"settings/1/model.onnx", "labels_nb/1/labels.txt", "ver_long/200/model.onnx"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "labels", "config.pbtxt"), []byte("max_batch_size: four"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := compat.Translate(dir, t.TempDir()); err == nil || !strings.Contains(err.Error(), "labels: ") {
		t.Errorf("got %v", err)
	}
}
