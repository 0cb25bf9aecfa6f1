package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// plans are the segments of the tests, with their codes and the mean of their first feature.
var plans = []struct {
	name  string
	code  int
	share float64
	mean  float64
}{{"free", 1, 0.7, 0}, {"team", 2, 0.2, 1}, {"pro", 3, 0.1, 2}}

// sold is a gateway whose model "sold" has a segment: a text, an integer or a parameter.
type sold struct {
	drifts

	key  string
	most int // drift.max_segments
}

func newSold(t *testing.T, key string) *sold {
	t.Helper()
	s := &sold{key: key, most: 8}
	s.dir, s.rng = t.TempDir(), rand.New(rand.NewPCG(5, 6))
	s.profile = filepath.Join(t.TempDir(), "sold.json")
	g := onnxgen.New("sold")
	g.Output("y", infer.FP32, g.Op("Identity", g.Input("x", infer.FP32, "N", 2)), "N", 2)
	inputs := []infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 2}}}
	if dtype, ok := map[string]infer.DType{"text": infer.Bytes, "integer": infer.Int64}[key]; ok {
		g.Output("of", dtype, g.Op("Identity", g.Input("plan", dtype, "N", 1)), "N", 1)
		inputs = append(inputs, infer.TensorSpec{Name: "plan", DType: dtype, Shape: infer.Shape{-1, 1}})
	}
	put(t, s.dir, "sold", 1, g.Bytes())
	var csv strings.Builder
	csv.WriteString("plan,x[0],x[1]\n")
	for range 30_000 {
		plan, x := s.row(0)
		fmt.Fprintf(&csv, "%v,%v,%v\n", strings.Trim(s.value(plan), `"`), x[0], x[1])
	}
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(csv.String()), offline.ProfileOptions{
		Model: infer.NewModel("sold", 1, inputs, nil), Segment: offline.SegmentOptions{Column: "plan", Most: 8},
	})
	must(t, err)
	writeProfile(t, s.profile, p)
	return s
}

// row makes a row of a plan by chance. shift moves the first feature of pro, whose deviation is 1.
func (s *sold) row(shift float64) (plan int, x [2]float64) {
	u := s.rng.Float64()
	for u > plans[plan].share && plan < len(plans)-1 {
		u -= plans[plan].share
		plan++
	}
	x = [2]float64{plans[plan].mean + s.rng.NormFloat64(), s.rng.NormFloat64()}
	if plans[plan].name == "pro" {
		x[0] += shift
	}
	return plan, x
}

// value returns a plan as it is in JSON.
func (s *sold) value(plan int) string {
	if s.key == "integer" {
		return strconv.Itoa(plans[plan].code)
	}
	return `"` + plans[plan].name + `"`
}

// name returns the segment of a plan.
func (s *sold) name(plan int) string { return strings.Trim(s.value(plan), `"`) }

// feed sends rows, several in a request if they can be of different plans.
func (s *sold) feed(t *testing.T, rows int, shift float64) {
	t.Helper()
	for rows > 0 {
		n := min(rows, 16)
		if s.key == "parameter" {
			n = 1
		}
		rows -= n
		var x, of []string
		last := 0
		for range n {
			plan, values := s.row(shift)
			x, of, last = append(x, fmt.Sprint(values[0]), fmt.Sprint(values[1])), append(of, s.value(plan)), plan
		}
		body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,2],"datatype":"FP32","data":[%s]}`, n, strings.Join(x, ","))
		if dtype := map[string]string{"text": "BYTES", "integer": "INT64"}[s.key]; dtype != "" {
			body += fmt.Sprintf(`,{"name":"plan","shape":[%d,1],"datatype":"%s","data":[%s]}`, n, dtype, strings.Join(of, ","))
		}
		body += "]"
		if s.key == "parameter" {
			body += `,"parameters":{"plan":` + s.value(last) + `}`
		}
		s.must(t, http.MethodPost, s.url+"/v2/models/sold/infer", body+"}")
	}
}

func (s *sold) begin(t *testing.T, yaml ...string) {
	t.Helper()
	s.gateway = startOn(t, nil, s.dir, append(yaml, fmt.Sprintf("models: {sold: {drift: {profile: %q, rows: 400, max_segments: %d, calibration: {unpromised: ask}}}}", s.profile, s.most))...)
}

// segment returns the status of a segment, "" for all rows.
func (s *sold) segment(t *testing.T, segment string) api.DriftStatus {
	t.Helper()
	list := s.status(t)
	at := slices.IndexFunc(list, func(d api.DriftStatus) bool { return d.Segment == segment })
	if at < 0 {
		t.Fatalf("no segment %q in %+v", segment, list)
	}
	return list[at]
}

func (s *sold) await(t *testing.T, segment string, ok func(d api.DriftStatus) bool) api.DriftStatus {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		d := s.segment(t, segment)
		if ok(d) {
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", d)
		}
	}
}

// TestDriftOfASegment: a tenth of the rows moves by a standard deviation. Their segment is detected and named in the status, in the event
// and in the signal, and the others are not. The state survives a restart, and the event can be judged again.
func TestDriftOfASegment(t *testing.T) {
	for _, key := range []string{"text", "integer", "parameter"} {
		t.Run(key, func(t *testing.T) {
			s := newSold(t, key)
			data := dataIn(t.TempDir())
			s.begin(t, data)
			pro := s.name(2)
			const rows = 4800
			s.feed(t, rows, 1)
			s.await(t, "", func(d api.DriftStatus) bool { return d.Rows == rows })
			found := s.await(t, pro, func(d api.DriftStatus) bool { return d.Windows >= 1 })
			if found.State != "DETECTED" || found.Features >= s.segment(t, "").Features && key != "parameter" {
				t.Errorf("%+v", found)
			}
			for _, plan := range []int{0, 1} {
				other := s.await(t, s.name(plan), func(d api.DriftStatus) bool { // all rows are in one of the segments
					return d.Rows+s.segment(t, pro).Rows+s.segment(t, s.name(1-plan)).Rows == rows
				})
				if other.State == "DETECTED" {
					t.Errorf("%+v", other)
				}
			}
			s.named(t, pro)
			must(t, s.stop())
			s.begin(t, data)
			if after := s.segment(t, pro); after.State != "DETECTED" || after.Last == nil || !after.Last.Window.End.Equal(found.Last.Window.End) {
				t.Errorf("%+v", after)
			}
		})
	}
}

// named checks that the event and the signals of a detected segment name it.
func (s *sold) named(t *testing.T, segment string) {
	t.Helper()
	file, err := os.Open(s.profile)
	must(t, err)
	defer file.Close() //nolint:errcheck // only read
	p, err := offline.ReadProfile(file)
	must(t, err)
	replayed := false
	for _, e := range s.events(t, 0) {
		var d api.DriftEvidence
		if e.Type != api.EventDriftState || json.Unmarshal(e.After, &d) != nil || d.Segment != segment {
			continue
		}
		if e.Subject != "drift/sold/1/default/"+segment {
			t.Errorf("subject %s", e.Subject)
		}
		r, err := offline.ReplayDrift(p, &d)
		if replayed = true; err != nil || !r.Same {
			t.Errorf("%+v %v", r, err)
		}
	}
	if !replayed {
		t.Error("no event about the segment")
	}
	requests := 0
	for _, x := range s.signalled(t, 1) {
		if x.Type != api.TypeRetrainRequested {
			continue
		}
		requests++
		also := slices.ContainsFunc(x.Also, func(a api.SignalAlso) bool { return a.Segment == segment })
		if x.Segment != segment && !also {
			t.Errorf("%+v", x)
		}
	}
	if requests != 1 {
		t.Errorf("%d requests", requests)
	}
}

// TestSegmentsOfHostileRequests: a million values, a value of 1 MB, none at all and ones of a wrong kind neither make streams nor end requests.
func TestSegmentsOfHostileRequests(t *testing.T) {
	s := newSold(t, "parameter")
	s.begin(t)
	streams := len(s.status(t))
	send := func(parameters string) {
		t.Helper()
		s.must(t, http.MethodPost, s.url+"/v2/models/sold/infer", `{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0,0]}]`+parameters+`}`)
	}
	send("")
	send(`,"parameters":{"plan":"` + strings.Repeat("x", 1<<20) + `"}`)
	send(`,"parameters":{"plan":17}`)
	send(`,"parameters":{"plan":true}`)
	for i := range 1000 {
		send(fmt.Sprintf(`,"parameters":{"plan":"user %d"}`, i))
	}
	send(`,"parameters":{"plan":"team"}`)
	s.await(t, "", func(d api.DriftStatus) bool { return d.Rows == 1005 })
	if d := s.await(t, "team", func(d api.DriftStatus) bool { return d.Rows == 1 }); d.Dropped != 0 {
		t.Errorf("%+v", d)
	}
	if list := s.status(t); len(list) != streams {
		t.Errorf("%d streams of %d", len(list), streams)
	}
}

// TestFewerSegments: the configuration says how many segments are streams; all rows are one in any case.
func TestFewerSegments(t *testing.T) {
	s := newSold(t, "text")
	for s.most = range 4 {
		s.begin(t)
		var list []string
		for _, d := range s.status(t) {
			list = append(list, d.Segment)
		}
		if want := []string{"", "free", "team", "pro"}[:1+s.most]; !slices.Equal(slices.Sorted(slices.Values(list)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%d: %q", s.most, list)
		}
		s.feed(t, 160, 0)
		s.await(t, "", func(d api.DriftStatus) bool { return d.Rows == 160 })
		must(t, s.stop())
	}
}
