//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// labeller sends predictions and their labels until the gateway is killed.
type labeller struct {
	name         string
	n            int
	acknowledged []api.LabelRow
}

// TestKillDuringLabels kills the gateway while labels come. What was answered 200 must be there
// after the next start, and measured once.
func TestKillDuringLabels(t *testing.T) {
	dir := t.TempDir()
	if err := onnxgen.Scale(1).As("model").Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	k := killable(t, dir, filepath.Join(t.TempDir(), "data"), "defaults: {instances: 1, warmup: false, labels: {sample: 100%}}\n")
	senders := []*labeller{{name: "a"}, {name: "b"}, {name: "c"}}
	rounds := max(*kills/3, 3)
	for i := range rounds + 1 {
		k.start(t)
		total := 0
		for _, s := range senders {
			k.checkLabels(t, s)
			total += len(s.acknowledged)
		}
		k.checkReport(t, total, total+len(senders)*i)
		if i == rounds || t.Failed() {
			break
		}
		var wg sync.WaitGroup
		for _, s := range senders {
			wg.Go(func() { k.label(t, s) })
		}
		time.Sleep(time.Duration(20+i*17%80) * time.Millisecond) // the test varies this time
		k.stop(t)
		wg.Wait()
	}
	k.stop(t)
}

// label sends rows and their labels, each true or false by one, until the gateway is killed.
func (k *killed) label(t *testing.T, s *labeller) {
	for {
		s.n++
		id := fmt.Sprintf("%s-%d", s.name, s.n)
		var answer any
		err := k.call(http.MethodPost, k.data+"/v2/models/model/infer", strings.NewReader(`{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}`),
			&answer, "X-Request-Id", id)
		if err != nil {
			return // killed
		}
		row := api.LabelRow{RequestID: id, Label: s.n % 2}
		var result api.LabelResult
		if err := k.send(row, &result); err != nil {
			return // killed
		}
		if result.Joined != 1 {
			t.Errorf("%s: %+v", id, result)
		}
		s.acknowledged = append(s.acknowledged, row)
	}
}

func (k *killed) send(row api.LabelRow, result *api.LabelResult) error {
	body, err := json.Marshal(api.LabelRows{Labels: []api.LabelRow{row}})
	if err != nil {
		return err
	}
	return k.call(http.MethodPost, k.data+"/v2/models/model/labels", strings.NewReader(string(body)), result)
}

// checkLabels sends the acknowledged labels again: the gateway must have all of them.
func (k *killed) checkLabels(t *testing.T, s *labeller) {
	t.Helper()
	if len(s.acknowledged) == 0 {
		return
	}
	body, err := json.Marshal(api.LabelRows{Labels: s.acknowledged})
	if err != nil {
		t.Fatal(err)
	}
	var result api.LabelResult
	if err := k.call(http.MethodPost, k.data+"/v2/models/model/labels", strings.NewReader(string(body)), &result); err != nil {
		t.Fatal(err)
	}
	if int(result.Duplicate) != len(s.acknowledged) {
		t.Errorf("%s: %d labels were acknowledged: %+v", s.name, len(s.acknowledged), result.LabelCounts)
	}
}

// checkReport checks that labels are measured once. Those that were on their way when the gateway
// was killed may count.
func (k *killed) checkReport(t *testing.T, least, most int) {
	t.Helper()
	var report api.LabelReport
	if err := k.call(http.MethodGet, k.admin+"/api/v1/labels/model", nil, &report); err != nil {
		t.Fatal(err)
	}
	if least == 0 {
		return
	}
	s := &report.Streams[0]
	if n := int(s.Labels); n < least || n > most || s.Predictions < s.Labels {
		t.Errorf("%d labels of %d predictions are measured, acknowledged were %d", n, s.Predictions, least)
	}
	t.Logf("%d labels of %d predictions", s.Labels, s.Predictions)
}
