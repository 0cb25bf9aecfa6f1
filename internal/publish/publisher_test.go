package publish_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/publish"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// model returns a model file that multiplies with a factor.
func model(factor float32) []byte {
	return onnxgen.Scale(factor).Bytes()
}

// journal keeps events in memory, and fails if broken is set.
type journal struct {
	events []api.Event
	broken bool
}

func (j *journal) Append(e api.Event) (api.Event, error) {
	if j.broken {
		return e, infer.Errorf(infer.Unavailable, "the journal cannot be written")
	}
	e.Seq = int64(len(j.events)) + 1
	j.events = append(j.events, e)
	return e, nil
}

func (j *journal) types() string {
	list := make([]string, len(j.events))
	for i, e := range j.events {
		list[i] = strings.TrimPrefix(e.Type, "version.")
	}
	return strings.Join(list, " ")
}

// idle is a gateway that serves nothing.
type idle struct{}

func (idle) Look(context.Context, infer.Version) error { return nil }

func (idle) Leave(_ context.Context, _ infer.Version, move func() error) error { return move() }

func (idle) States(string) map[int64]api.ModelStatus { return nil }

func (idle) Names(string) map[int64][]string { return nil }

// side is a publisher with its repository and journal.
type side struct {
	*publish.Publisher

	dir     string
	journal *journal
}

// start returns a publisher that has caught up with a journal.
func start(t *testing.T, dir string, j *journal, change func(*publish.Options)) *side {
	t.Helper()
	repo, err := registry.OpenRepository(dir, onnxfile.DataFiles)
	if err != nil {
		t.Fatal(err)
	}
	fold := publish.NewFold()
	for _, e := range j.events {
		if err := fold.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	o := publish.Options{Repository: repo, Journal: j, Serving: idle{}, Writable: true, MaxUpload: 1 << 20, Quota: 1 << 20, MaxUploads: 2, Logger: zap.NewNop()}
	if change != nil {
		change(&o)
	}
	p, err := publish.New(o, fold)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), repo.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := p.Catchup(); err != nil {
		t.Fatal(err)
	}
	return &side{p, dir, j}
}

func (s *side) push(t *testing.T, p publish.Push) (api.VersionInfo, error) {
	t.Helper()
	if p.Model == "" {
		p.Model = "scale"
	}
	if p.Body == nil && p.From == "" {
		p.Body = bytes.NewReader(model(2))
	}
	info, _, err := s.Push(t.Context(), p)
	return info, err
}

// empty holds that a refused push left nothing behind.
func (s *side) empty(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(s.dir, ".sluice", "staging", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("staging has %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "scale")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the model is there: %v", err)
	}
	if len(s.journal.events) > 0 {
		t.Errorf("the journal has %s", s.journal.types())
	}
}

func refused(t *testing.T, err error, code infer.Code, text string) {
	t.Helper()
	if infer.CodeOf(err) != code || !strings.Contains(infer.Message(err), text) {
		t.Errorf("got %v, want %v with %q", err, code, text)
	}
}

func TestPushRefuses(t *testing.T) {
	size := int64(len(model(2)))
	f := func(code infer.Code, text string, p publish.Push, change func(*publish.Options)) {
		t.Helper()
		s := start(t, t.TempDir(), &journal{}, change)
		_, err := s.push(t, p)
		refused(t, err, code, text)
		s.empty(t)
	}
	f(infer.Conflict, "not writable", publish.Push{}, func(o *publish.Options) { o.Writable = false })
	f(infer.TooLarge, "registry.max_upload", publish.Push{Size: -1}, func(o *publish.Options) { o.MaxUpload = size - 1 })
	f(infer.TooLarge, "registry.max_upload", publish.Push{Size: size}, func(o *publish.Options) { o.MaxUpload = size - 1 })
	f(infer.Conflict, "registry.quota", publish.Push{}, func(o *publish.Options) { o.Quota = size - 1 })
	f(infer.Overloaded, "registry.max_uploads", publish.Push{}, func(o *publish.Options) { o.MaxUploads = 0 })
	needs := func(o *publish.Options) { o.CardRequired = []string{"owner", "purpose"} }
	f(infer.Invalid, "lacks owner, purpose", publish.Push{}, needs)
	f(infer.Invalid, "lacks purpose", publish.Push{Metadata: api.VersionMetadata{Card: map[string]any{"owner": "me", "purpose": ""}}}, needs)
	f(infer.Invalid, "expected sha256:0", publish.Push{Digest: "sha256:0"}, nil)
	f(infer.Invalid, "not a valid name", publish.Push{Model: ".sluice"}, nil)
	f(infer.Invalid, "looks like a version", publish.Push{Model: "7"}, nil)
	f(infer.Invalid, "", publish.Push{Body: strings.NewReader("not ONNX")}, nil)
	f(infer.Invalid, "cannot be made from itself", publish.Push{Number: 3, Metadata: api.VersionMetadata{Lineage: api.Lineage{Parent: 3}}}, nil)
	f(infer.Invalid, "without control characters", publish.Push{Metadata: api.VersionMetadata{Tags: map[string]string{"a": "b\n"}}}, nil)

	s := start(t, t.TempDir(), &journal{broken: true}, nil)
	_, err := s.push(t, publish.Push{})
	refused(t, err, infer.Unavailable, "journal")
	s.empty(t)
}

// The quota counts what is there, and refused uploads give their bytes back.
func TestQuota(t *testing.T) {
	const quota = 4 << 10
	s := start(t, t.TempDir(), &journal{}, func(o *publish.Options) { o.Quota = quota })
	for range 2 * quota / len(model(2)) {
		if _, err := s.push(t, publish.Push{Digest: "sha256:0"}); infer.CodeOf(err) != infer.Invalid {
			t.Fatal(err)
		}
	}
	pushed := 0
	for factor := float32(2); ; factor++ {
		_, err := s.push(t, publish.Push{Body: bytes.NewReader(model(factor))})
		if err != nil {
			refused(t, err, infer.Conflict, "registry.quota")
			break
		}
		pushed++
	}
	used := int64(0)
	err := filepath.WalkDir(s.dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		used += info.Size()
		return err
	})
	if err != nil || pushed < 2 || used > quota { // the records count too
		t.Errorf("%d versions with %d bytes, %v", pushed, used, err)
	}
	if err := s.Delete(t.Context(), infer.Version{Model: "scale", Number: 1}, api.Actor{}); err != nil {
		t.Fatal(err)
	}
	if info, err := s.push(t, publish.Push{Body: bytes.NewReader(model(9))}); err != nil || info.Version != int64(pushed)+1 {
		t.Errorf("after a deletion: %+v %v", info, err)
	}
}

func TestImportRoots(t *testing.T) {
	roots, outside := t.TempDir(), t.TempDir()
	write := func(path string, text []byte) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(roots, "a", "any.onnx"), model(2))
	write(filepath.Join(roots, "b", "model.onnx"), model(3))
	write(filepath.Join(roots, "b", "sluice.json"), []byte(`{"tags":{"team":"a"}}`))
	write(filepath.Join(outside, "model.onnx"), model(4))
	write(filepath.Join(roots, "c", "model.onnx"), model(5))
	if err := errors.Join(os.Symlink(outside, filepath.Join(roots, "out")), os.Symlink(filepath.Join(outside, "model.onnx"), filepath.Join(roots, "c", "labels.txt"))); err != nil {
		t.Fatal(err)
	}
	s := start(t, t.TempDir(), &journal{}, func(o *publish.Options) { o.ImportRoots = []string{roots} })
	for _, from := range []string{
		outside, roots, "a/any.onnx", filepath.Join(roots, "..", filepath.Base(outside)), filepath.Join(roots, "none"),
		filepath.Join(roots, "out"), filepath.Join(roots, "out", "model.onnx"), filepath.Join(roots, "c"), roots + "/a/../../x",
	} {
		_, err := s.push(t, publish.Push{From: from})
		refused(t, err, infer.Invalid, "from: ")
	}
	s.empty(t)
	for _, from := range []string{"a/any.onnx", "b"} {
		if _, err := s.push(t, publish.Push{From: filepath.Join(roots, from)}); err != nil {
			t.Error(err)
		}
	}
	list, err := s.Versions("scale")
	if err != nil || len(list) != 2 || list[1].Record.Tags["team"] != "a" || list[0].Record.Digest == list[1].Record.Digest {
		t.Errorf("%+v %v", list, err)
	}
	if _, err := os.Stat(filepath.Join(roots, "a", "any.onnx")); err != nil {
		t.Errorf("the source: %v", err)
	}
}

// Card and tags change at a revision, and the policy of cards holds for changes too.
func TestDescribe(t *testing.T) {
	s := start(t, t.TempDir(), &journal{}, func(o *publish.Options) { o.CardRequired = []string{"owner"} })
	info, err := s.push(t, publish.Push{Metadata: api.VersionMetadata{Card: map[string]any{"owner": "me"}}})
	if err != nil {
		t.Fatal(err)
	}
	v := infer.Version{Model: "scale", Number: 1}
	tag := func(m *api.VersionMetadata) { m.Tags = map[string]string{"stage": "tested"} }
	_, err = s.Describe(v, 7, tag, api.Actor{})
	refused(t, err, infer.Precondition, "revision 1 now")
	_, err = s.Describe(v, 1, func(m *api.VersionMetadata) { m.Card = nil }, api.Actor{})
	refused(t, err, infer.Invalid, "lacks owner")
	_, err = s.Describe(infer.Version{Model: "scale", Number: 2}, 1, tag, api.Actor{})
	refused(t, err, infer.NotFound, "no version 2")
	s.journal.broken = true
	_, err = s.Describe(v, 1, tag, api.Actor{})
	refused(t, err, infer.Unavailable, "journal")
	s.journal.broken = false
	if got, err := s.Version(v); err != nil || got.Record.Revision != 1 || len(got.Record.Tags) > 0 {
		t.Errorf("after changes that failed: %+v %v", got, err)
	}
	got, err := s.Describe(v, 1, tag, api.Actor{Actor: "ada"})
	if err != nil || got.Record.Revision != 2 || got.Record.Tags["stage"] != "tested" || got.Record.Digest != info.Record.Digest {
		t.Errorf("%+v %v", got.Record, err)
	}
	if got := s.journal.types(); got != "registered described" {
		t.Errorf("the journal has %s", got)
	}
}

// A start writes the events that a crash left out: between a change of the folder and its event.
func TestCatchup(t *testing.T) {
	dir, j := t.TempDir(), &journal{}
	v := infer.Version{Model: "scale", Number: 1}
	func() {
		s := start(t, dir, j, nil)
		if _, err := s.push(t, publish.Push{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Describe(v, 1, func(m *api.VersionMetadata) { m.Tags = map[string]string{"a": "b"} }, api.Actor{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Archive(t.Context(), v, api.Actor{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	all := j.types()
	if all != "registered described archived" {
		t.Fatal(all)
	}
	for known := range len(j.events) + 1 {
		crashed := &journal{events: append([]api.Event{}, j.events[:known]...)}
		start(t, dir, crashed, nil)
		got := crashed.types()
		if want := map[int]string{0: "registered archived"}[known]; got != want && (want != "" || got != all) {
			t.Errorf("after %d events: %s", known, got)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"lineage":{"parent":1,"metrics":{"accuracy":0.97}},"card":{"owner":"me"},"tags":{"a":"b"}}`))
	f.Add([]byte(`{"lineage":{"parent":-1}}`))
	f.Add([]byte(`{"tags":{"":"b"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := publish.DecodeMetadata(text)
		if err != nil && infer.CodeOf(err) != infer.Invalid {
			t.Fatalf("%v", err)
		}
		if err == nil && (m.Lineage.Parent < 0 || len(m.Tags) > 256 || len(m.Card) > 256) {
			t.Fatalf("%+v", m)
		}
	})
}

// A snapshot leads to the same snapshot, and one that is not valid changes nothing.
func FuzzFold(f *testing.F) {
	f.Add([]byte(`[{"model":"scale","version":1,"digest":"sha256:0","revision":2,"archived":true}]`))
	f.Add([]byte(`[{"model":"","version":1}]`))
	f.Fuzz(func(t *testing.T, state []byte) {
		fold := publish.NewFold()
		if err := fold.Restore(state); err != nil {
			if text, err := fold.Snapshot(); err != nil || string(text) != "[]" {
				t.Fatalf("%s %v", text, err)
			}
			return
		}
		text, err := fold.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := publish.NewFold().Restore(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}
