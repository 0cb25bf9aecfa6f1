package main

import (
	"encoding/binary"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/config"
)

func TestWorks(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range works() {
		if seen[w.name] {
			t.Errorf("%s is there twice", w.name)
		}
		seen[w.name] = true
		if _, ok := models.ByName(w.model); !ok {
			t.Errorf("%s: no model %q", w.name, w.model)
		}
	}
	// What the report's targets and the sweeps name.
	for _, name := range []string{"lin binary c=64", "lin JSON c=64", "cnn binary c=8", "enc binary c=8", "enc binary c=16", "lin binary c=64 rows=256"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if n := len(sweepWorks(works())); n != 3 {
		t.Errorf("%d works are swept", n)
	}
}

func TestChooseWorks(t *testing.T) {
	f := func(names string, want ...string) {
		t.Helper()
		list, err := chooseWorks(names)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, workNames(list)); diff != "" {
			t.Error(diff)
		}
	}
	f("", workNames(works())...)
	f("enc", "enc binary c=8", "enc binary c=16")
	f("encdyn JSON c=8,big", "big binary c=8", "encdyn JSON c=8")
	f("cnn, lin JSON", "lin JSON c=64", "cnn binary c=8") // in the order of all
	if list, err := chooseWorks("lin,nothing"); err == nil || !strings.Contains(err.Error(), "enc binary c=16") {
		t.Errorf("%v, %v", list, err)
	}
}

func TestRawBatches(t *testing.T) {
	if got, want := rawBatches(works(), "mlp"), []int{1, 8, 16, 32, 256}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := rawBatches(works(), "cnn"), []int{1, 8, 32}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTargetHasTheRowsAsked(t *testing.T) {
	one, err := target("http://x/infer", newWork("lin", true, 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	many, err := target("http://x/infer", newWork("lin", true, 1, 16))
	if err != nil {
		t.Fatal(err)
	}
	if more := len(many.Body) - len(one.Body); more < 15*16*4 || more > 15*16*4+20 {
		t.Errorf("%d bytes more for 15 rows more", more)
	}
	if one.Headers[stickyHeader] == "" || one.URL != "http://x/infer" {
		t.Errorf("%+v to %s", one.Headers, one.URL)
	}
}

// Raw ONNX Runtime is given what is in the body, whatever its form.
func TestTensorOf(t *testing.T) {
	var tensors [2][]float32
	for i, binaryForm := range []bool{true, false} {
		one, err := target("", newWork("mlp", binaryForm, 1, 2))
		if err != nil {
			t.Fatal(err)
		}
		data, err := tensorOf(one)
		if err != nil || len(data) != 2*64*4 {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		tensors[i] = make([]float32, 2*64)
		if _, err := binary.Decode(data, binary.LittleEndian, tensors[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range tensors[0] {
		if d := math.Abs(float64(v - tensors[1][i])); d > 1e-5 { // JSON has 7 digits
			t.Errorf("element %d is %g in binary and %g in JSON", i, v, tensors[1][i])
		}
	}
	if data, err := tensorOf(loadgen.Target{Body: []byte("{}")}); err == nil {
		t.Errorf("%v", data)
	}
}

func TestSetups(t *testing.T) {
	f := func(names string, cores int, want ...string) {
		t.Helper()
		got, err := chooseSetups(names, cores)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s on %d: %v, %v; want %v", names, cores, got, err, want)
		}
	}
	f("shared,pinned", 2, record.Shared, record.Pinned)
	f("pinned,shared", 2, record.Shared, record.Pinned) // a core that was given up does not come back
	f("pinned", 2, record.Pinned)
	f("shared,pinned", 1, record.Shared)
	f("pinned", 1, record.Shared)
	if got, err := chooseSetups("shared,both", 2); err == nil {
		t.Errorf("%v", got)
	}
}

func TestContenders(t *testing.T) {
	got := chooseContenders("gateway,noop", "fastapi, node", true)
	if want := []string{"gateway", "noop", "fastapi", "node", record.Triton}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-d", "0s"}, {"-sweep", "-1s"}, {"-works", "x"}, {"-setups", "x"}} {
		if o, err := parse(args); err == nil {
			t.Errorf("%v: %+v", args, o)
		}
	}
	o, err := parse([]string{"-works", "enc", "-peers", "node"})
	if err != nil || o.rounds != 5 || len(o.works) != 2 || !slices.Contains(o.contenders, "node") {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestOthers(t *testing.T) {
	const ms = time.Millisecond
	start := time.Now()
	from := moment{at: start, machine: 10 * time.Second, stolen: time.Second, ours: 4 * time.Second, theirs: 5 * time.Second}
	f := func(want float64, after, machine, stolen, ours, theirs time.Duration) {
		t.Helper()
		got := others(from, moment{start.Add(after), from.machine + machine, from.stolen + stolen, from.ours + ours, from.theirs + theirs})
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%g, want %g", got, want)
		}
	}
	f(0.25, 2000*ms, 3000*ms, 0, 2500*ms, 0)      // nobody that is seen
	f(0.30, 2000*ms, 3000*ms, 0, 2500*ms, 600*ms) // interrupts hide some
	f(0.35, 2000*ms, 3000*ms, 200*ms, 2500*ms, 0) // and the hypervisor
	f(0, 2000*ms, 3000*ms, 0, 3100*ms, -100*ms)   // rounding; one ended whose parent had ended
	f(0, 0, 1000*ms, 0, 0, 0)
}

func TestSplit(t *testing.T) {
	list := map[int]used{1: {0, 1}, 2: {0, 2}, 10: {1, 4}, 11: {10, 8}, 12: {11, 16}, 20: {1, 32}, 30: {99, 64}, 40: {41, 128}, 41: {40, 256}}
	ours, theirs := split(list, 10)
	if ours != 4+8+16 || theirs != 1+2+32+64+128+256 {
		t.Errorf("%d and %d", ours, theirs)
	}
}

// What this process burns is ours.
func TestNow(t *testing.T) {
	before, err := now()
	if err != nil {
		t.Fatal(err)
	}
	after := before
	for end := time.Now().Add(30 * time.Second); err == nil && after.ours == before.ours && time.Now().Before(end); {
		after, err = now() // which reads files
	}
	if err != nil || after.ours <= before.ours || after.machine <= before.machine {
		t.Errorf("%+v, then %+v, %v", before, after, err)
	}
}

func TestPerRequest(t *testing.T) {
	f := func(during, scrapes told, requests int64, want map[string]float64) {
		t.Helper()
		got := map[string]float64{}
		during.perRequest(got, scrapes, requests, 2)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	during := told{mallocs: 2500, bytes: 10_000, gcs: 6, rows: 600, runs: 200}
	f(during, told{mallocs: 500, bytes: 2000}, 1000, map[string]float64{"allocs": 2, "alloc_bytes": 8, "gcs_per_second": 3, "batch_rows": 3})
	f(told{}, told{mallocs: 5}, 1000, map[string]float64{"allocs": 0, "alloc_bytes": 0, "gcs_per_second": 0})
	f(during, told{}, 10, map[string]float64{"gcs_per_second": 3, "batch_rows": 3}) // too few requests
	f(during, told{}, 0, map[string]float64{})
}

func TestParseRaw(t *testing.T) {
	text := `{"model":"m.onnx","threads":2,"batch":8,"arena":true,"runs_per_second":100.5,"rows_per_second":804,"us_per_run":19900}` + "\n"
	got, err := parseRaw([]byte(text+text), "lin")
	want := record.New("raw", "model", "lin", "threads", 2, "batch", 8, "arena", true)
	want.Figures["runs_per_second"] = 100.5
	if err != nil || len(got) != 2 || !cmp.Equal(got[1], want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "error\n", "{}\n"} {
		if got, err := parseRaw([]byte(bad), "lin"); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}

// The gateway must accept the file, with the features that are to be measured on.
func TestGatewayConfig(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	full, err := config.Parse("test", []byte(written("profile.json", false)), none)
	if err != nil {
		t.Fatal(err)
	}
	if !full.Server.AccessLog.Enabled || full.Server.AccessLog.SampleEvery != 1000 || len(full.Routes) != 2 ||
		full.Models["lin"].Drift.Profile != "profile.json" {
		t.Errorf("%+v", full)
	}
	plain, err := config.Parse("test", []byte(written("profile.json", true)), none)
	if err != nil || plain.Server.AccessLog.Enabled || len(plain.Routes) != 0 || len(plain.Models) != 0 {
		t.Errorf("%v, %+v", err, plain)
	}
}

func written(profile string, plain bool) string {
	return gatewayConfig("models", profile, []string{"lin", "cnn"}, plain)
}

func TestNoopAnswersTheSameBytes(t *testing.T) {
	got := noopFlags(answerForm{142, []string{"Content-Type: application/json", "X-Request-Id: ab-12"}})
	if want := []string{"-size", "142", "-header", "Content-Type: application/json", "-header", "X-Request-Id: 00000"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Sluice-Version", "1")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("12345"))
	}))
	defer server.Close()
	form, err := formOfAnswer(t.Context(), loadgen.Target{URL: server.URL})
	if want := []string{"Content-Type: application/json", "Sluice-Version: 1"}; err != nil || form.size != 5 || !slices.Equal(form.fields, want) {
		t.Errorf("%+v, %v", form, err)
	}
}

func TestDims(t *testing.T) {
	if got := dims([]int64{1, 3, 32, 32}) + ";" + dims(nil); got != "1,3,32,32;" {
		t.Error(got)
	}
}
