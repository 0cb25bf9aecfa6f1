package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
)

// FuzzDecode checks that any stored bytes give an event or an error, and that an event
// that was read can be stored and read again.
func FuzzDecode(f *testing.F) {
	add := func(seq int64, text string) { f.Add(seq, append(make([]byte, sha256.Size), text...)) }
	add(1, `{"seq":1,"time":"2026-01-02T03:04:05.6Z","type":"route.set","subject":"routes/a","origin":"api","actor":"a","actor_verified":true,"reason":"r","before":{"x":1},"after":null}`)
	add(2, `{"seq":1}`)
	add(0, `{}`)
	add(0, `null`)
	add(0, `{"seq":1e3,"after":[[[[`)
	add(3, `{"seq":3,"SEQ":4}`)
	add(1, `{"seq":1,"x":true,"after":}`)
	add(1, `{"seq":1,"x":true,"before":,"after":1}`)
	add(3, `{"seq":3,"time":"0000-01-01T00:00:00+23:59"}`)
	f.Add(int64(1), []byte(nil))
	f.Add(int64(1), make([]byte, sha256.Size))
	m, err := newMatcher(Filter{Subjects: []string{"routes/"}, Types: []string{"route."}, Since: time.Unix(0, 0)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seq int64, record []byte) {
		_, _ = m.fits(seq, record) // must not panic
		e, err := decode(seq, record)
		if err != nil {
			return
		}
		if e.Seq != seq {
			t.Fatalf("event %d was read as %d", seq, e.Seq)
		}
		text, err := encode(e)
		if err != nil {
			return // a state that is not JSON, or a time whose zone JSON cannot express
		}
		h, again := head{seq: seq - 1}.seal(text)
		if _, err := (head{seq: seq - 1}).follow(seq, again); err != nil || h.seq != seq {
			t.Fatalf("the sealed record does not follow: %v", err)
		}
		got, err := decode(seq, again)
		if err != nil || !got.Time.Equal(e.Time) {
			t.Fatalf("%v, the time %v was %v", err, got.Time, e.Time)
		}
		got.Time = e.Time
		compact(t, &e)
		if d := cmp.Diff(e, got); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzSplit checks that cutting out the states does not change the event.
func FuzzSplit(f *testing.F) {
	f.Add("route.set", `why ,"before":{}`, `{"a":[1,"}\\"",{}]}`, `null`)
	f.Add(`,"after":`, `\`, ``, `"x,\"}"`)
	f.Add("", "", ` [ ] `, "")
	f.Add("", "", "1.5e3", "true")
	f.Fuzz(func(t *testing.T, kind, reason, before, after string) {
		subject, kind := strings.ToValidUTF8(reason, "\uFFFD"), strings.ToValidUTF8(kind, "\uFFFD") // as Append does
		e := api.Event{Seq: 7, Type: kind, Subject: subject, Actor: api.Actor{Actor: kind, Reason: reason}, Before: []byte(before), After: []byte(after)}
		text, err := encode(e)
		if err != nil {
			return
		}
		var want api.Event
		if json.Unmarshal(text, &want) != nil {
			return // nested too deeply
		}
		_, record := head{seq: 6}.seal(text)
		got, err := decode(7, record)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Fatal(err, d)
		}
		if rest, _, _ := split(text); len(rest) == len(text) && before+after != "" {
			t.Fatalf("nothing was cut out of %s", text)
		}
		m, err := newMatcher(Filter{Subjects: []string{want.Subject}, Types: []string{want.Type}, Until: want.Time.Add(1), Since: want.Time})
		if err != nil {
			t.Fatal(err)
		}
		if fits, err := m.fits(7, record); err != nil || !fits {
			t.Fatalf("not found by its subject, type and time: %s, %v", text, err)
		}
	})
}

// compact converts before and after to their stored form.
func compact(t *testing.T, e *api.Event) {
	t.Helper()
	for _, state := range []*json.RawMessage{&e.Before, &e.After} {
		if *state == nil {
			continue
		}
		var b bytes.Buffer
		if err := json.Compact(&b, *state); err != nil {
			t.Fatal(err)
		}
		*state = b.Bytes()
	}
}

// FuzzFile changes bytes and whole pages of a small journal's file, and truncates it. A
// file that check accepts must not panic or fault in bbolt.
func FuzzFile(f *testing.F) {
	dir := f.TempDir()
	l, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	for i := range int64(12) {
		if _, err := l.Append(i, api.Event{Subject: "s", After: json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), 700)) + `"`)}); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(len(whole)), uint32(0), []byte(nil))
	f.Add(uint32(len(whole)), uint32(4096+16), []byte{1, 2, 3})
	f.Add(uint32(len(whole)), uint32(3*4096), bytes.Repeat([]byte{0xff}, 64))
	f.Add(uint32(4096), uint32(8), []byte{2})
	f.Add(uint32(len(whole)), uint32(8192), whole[3*4096:4*4096])
	f.Fuzz(func(t *testing.T, size, at uint32, change []byte) {
		data := bytes.Clone(whole)
		copy(data[int(at)%len(data):], change)
		data = data[:min(int(size), len(data))]
		dir := t.TempDir()
		path := filepath.Join(dir, fileName)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := openFile(path, os.O_RDWR)
		if err != nil {
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
				t.Fatalf("a file that Open refused has changed, %v", err)
			}
			return
		}
		_, _, err = file.verify()
		if file.bolt.Panicked() {
			t.Errorf("check accepted a file that makes bbolt panic: %v", err)
		}
		if err := file.close(); err != nil {
			t.Error(err)
		}
	})
}

// FuzzSegment changes bytes of a small segment, and truncates it. The hash detects each
// change. A read without the hash gives an error or consecutive records, and never panics.
func FuzzSegment(f *testing.F) {
	var file bytes.Buffer
	var h head
	w, err := newSegmentWriter(&file, h)
	if err != nil {
		f.Fatal(err)
	}
	for i := range int64(12) {
		var record []byte
		h, _, record, err = h.add(api.Event{Subject: "s", After: json.RawMessage(`"` + strings.Repeat("x", int(i)*7_000) + `"`)})
		if err != nil {
			f.Fatal(err)
		}
		if err := w.add(h.seq, record); err != nil {
			f.Fatal(err)
		}
	}
	s, err := w.end()
	if err != nil {
		f.Fatal(err)
	}
	whole := file.Bytes()
	f.Add(uint32(len(whole)), uint32(0), []byte(nil), int64(0))
	f.Add(uint32(len(whole)), uint32(segmentHeader), []byte{0xff, 0xff, 0xff, 0xff}, int64(3))
	f.Add(uint32(len(whole)), uint32(segmentHeader+8), []byte{0, 0, 0, 0}, int64(3))
	f.Add(uint32(len(whole)), uint32(segmentHeader+4), []byte{0xff, 0xff, 0xff, 0xff}, int64(3))
	f.Add(uint32(segmentHeader), uint32(0), []byte(nil), int64(11))
	f.Fuzz(func(t *testing.T, size, at uint32, change []byte, after int64) {
		data := bytes.Clone(whole)
		copy(data[int(at)%len(data):], change)
		data = data[:min(int(size), len(data))]
		same := bytes.Equal(data, whole)
		if err := s.checkSum(bytes.NewReader(data)); (err == nil) != same {
			t.Fatalf("the file is the same: %v, and its hash says %v", same, err)
		}
		last := max(after, 0)
		_, err := s.read(bytes.NewReader(data), last, func(seq int64, _ []byte) (bool, error) {
			if seq != last+1 {
				t.Fatalf("event %d after %d", seq, last)
			}
			last = seq
			return true, nil
		})
		if same && (err != nil || last != max(after, s.Last)) {
			t.Fatalf("read up to %d, %v", last, err)
		}
	})
}
