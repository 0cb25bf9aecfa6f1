package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// doubleProfile is a profile of the inputs and the outputs of the model "double":
// x[0] to x[2] are normal, and y is twice x.
func doubleProfile(t *testing.T, version int64, seed uint64) *offline.Profile {
	t.Helper()
	tensor := func(name string) []infer.TensorSpec {
		return []infer.TensorSpec{{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, 3}}}
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	var text strings.Builder
	text.WriteString("x[0],x[1],x[2],y[0],y[1],y[2]\n")
	for range 2000 {
		a, b, c := rng.NormFloat64(), rng.NormFloat64(), rng.NormFloat64()
		fmt.Fprintf(&text, "%v,%v,%v,%v,%v,%v\n", a, b, c, 2*a, 2*b, 2*c)
	}
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(text.String()), offline.ProfileOptions{
		Model: infer.NewModel("double", 1, tensor("x"), tensor("y")), Version: version,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// writeProfile replaces a file by a profile, atomically.
func writeProfile(t testing.TB, file string, p *offline.Profile) {
	t.Helper()
	next, err := os.Create(file + ".next")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(next); err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next.Name(), file); err != nil {
		t.Fatal(err)
	}
}

// drifts is a gateway on fakes whose model "double" is compared with a reference.
type drifts struct {
	*gateway
	fakes   *fakes
	dir     string // the repository
	profile string // the file
	rng     *rand.Rand
}

// driftRows is how many rows a window has, unless a test sets another number.
const driftRows = 400

// compared returns the settings of "double", with more settings of drift. Drift asks for retraining before
// the stream is calibrated, so that one window is enough.
func (d *drifts) compared(more ...string) string {
	rows := fmt.Sprintf("rows: %d", driftRows)
	if len(more) > 0 {
		rows = strings.Join(more, ", ")
	}
	return fmt.Sprintf("models: {double: {%s, drift: {profile: %q, calibration: {unpromised: ask}, %s}}}", fakeModels, d.profile, rows)
}

// newDrifts makes a repository with that many versions, and a profile, and starts nothing.
func newDrifts(t *testing.T, versions int64) *drifts {
	t.Helper()
	d := &drifts{fakes: &fakes{}, dir: doubles(t, versions), profile: filepath.Join(t.TempDir(), "double.json"), rng: rand.New(rand.NewPCG(1, 2))}
	writeProfile(t, d.profile, doubleProfile(t, 0, 1))
	return d
}

func (d *drifts) start(t *testing.T, yaml ...string) {
	t.Helper()
	d.gateway = startOn(t, d.fakes, d.dir, yaml...)
}

// feed sends rows, in requests of up to 10, after spoil has changed each.
func (d *drifts) feed(t *testing.T, path string, rows int, spoil func(row []float64), header ...string) {
	t.Helper()
	for rows > 0 {
		n := min(rows, 10)
		d.request(t, path, n, spoil, header...)
		rows -= n
	}
}

func (d *drifts) request(t *testing.T, path string, rows int, spoil func(row []float64), header ...string) {
	t.Helper()
	data := make([]float64, 0, 3*rows)
	for range rows {
		row := []float64{d.rng.NormFloat64(), d.rng.NormFloat64(), d.rng.NormFloat64()}
		if spoil != nil {
			spoil(row)
		}
		data = append(data, row...)
	}
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,3],"datatype":"FP32","data":%s}]}`, rows, text)
	r, err := d.send(t.Context(), http.MethodPost, d.url+"/v2/models/"+path+"/infer", body, header...)
	if err != nil || r.status != http.StatusOK {
		t.Fatalf("%+v %v", r, err)
	}
}

// higher spoils the second feature.
func higher(row []float64) { row[1]++ }

func (d *drifts) status(t *testing.T) (list []api.DriftStatus) {
	t.Helper()
	if err := json.Unmarshal([]byte(d.must(t, http.MethodGet, d.admin+"/api/v1/drift", "")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// reported checks that the report on the model has the distributions of a stream with a judged window.
func (d *drifts) reported(t *testing.T, want api.DriftStatus) {
	t.Helper()
	var list []api.DriftReport
	if err := json.Unmarshal([]byte(d.must(t, http.MethodGet, d.admin+"/api/v1/drift/"+want.Model+"/report", "")), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		r := &list[i]
		if r.Version != want.Version || r.Role != want.Role {
			continue
		}
		if len(r.Distributions) != want.Features {
			t.Errorf("%d distributions of %d features", len(r.Distributions), want.Features)
		}
		for _, f := range r.Distributions {
			if f.Window == nil || len(f.Window.Bins) != len(f.Edges)+1 || len(f.Reference.Bins) != len(f.Edges)+1 {
				t.Errorf("%+v", f)
				continue
			}
			rows := f.Window.Missing + f.Window.Inf
			for _, n := range f.Window.Bins {
				rows += n
			}
			if rows != r.Last.Rows {
				t.Errorf("%s has %d rows in a window of %d", f.Feature, rows, r.Last.Rows)
			}
		}
		return
	}
	t.Errorf("no report on version %d as %s", want.Version, want.Role)
}

// stream returns the status of one version in a role.
func (d *drifts) stream(t *testing.T, version int64, role string) api.DriftStatus {
	t.Helper()
	for _, s := range d.status(t) {
		if s.Version == version && s.Role == role {
			return s
		}
	}
	t.Fatalf("no version %d as %s: %+v", version, role, d.status(t))
	return api.DriftStatus{}
}

// counted waits until that many rows were counted for a version in a role, and returns its
// status.
func (d *drifts) counted(t *testing.T, version int64, role string, rows uint64) api.DriftStatus {
	t.Helper()
	return d.until(t, version, role, func(s api.DriftStatus) bool { return s.Rows+s.Dropped >= rows })
}

func (d *drifts) until(t *testing.T, version int64, role string, ok func(s api.DriftStatus) bool) api.DriftStatus {
	t.Helper()
	for range 3000 {
		if s := d.stream(t, version, role); ok(s) {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%+v", d.stream(t, version, role))
	return api.DriftStatus{}
}

// signals returns the signals, oldest first.
func (d *drifts) signals(t *testing.T) (list []api.Signal) {
	t.Helper()
	if err := json.Unmarshal([]byte(d.must(t, http.MethodGet, d.admin+"/api/v1/signals", "")), &list); err != nil {
		t.Fatal(err)
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// signalled waits for that many signals and returns them.
func (d *drifts) signalled(t *testing.T, n int) []api.Signal {
	t.Helper()
	for range 3000 {
		if list := d.signals(t); len(list) >= n {
			return list
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%+v", d.signals(t))
	return nil
}
