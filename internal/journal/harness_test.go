package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// Some tests need a process that they can kill, limit or run without rights. They start
// this program again with a task in the environment.
const (
	childTask = "JOURNAL_TEST_CHILD"
	childDir  = "JOURNAL_TEST_DIR"
)

func TestMain(m *testing.M) {
	task, dir := os.Getenv(childTask), os.Getenv(childDir)
	tasks := map[string]func(dir string) error{"append": childAppend, "fill": childFill, "nobody": childNobody}
	if f := tasks[task]; f != nil {
		if err := f(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child prepares a process that does a task in dir.
func child(t *testing.T, task, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	// The race detector waits a second before the exit, which would be most of the test.
	cmd.Env = append(os.Environ(), childTask+"="+task, childDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// childAppend appends until it is killed and prints each acknowledged number. It cuts at
// the same time.
func childAppend(dir string) error {
	l, err := journal.Open(dir)
	if err != nil {
		return err
	}
	c := journal.NewCutter(l, journal.CutterOptions{
		Events: 7, Bytes: 1 << 40, Logger: zap.NewNop(), Folds: func() []journal.NamedFold { return []journal.NamedFold{count("events")()} },
	})
	go c.Run(context.Background()) //nolint:errcheck // until the process is killed
	for {
		e, err := l.Append(l.Last(), event(l.Last()+1))
		if err != nil {
			return err
		}
		if _, err := fmt.Println(e.Seq); err != nil {
			return err
		}
		if err := l.Beat(e.Time); err != nil {
			return err
		}
	}
}

// childFill limits the file to its size, appends until the log refuses, removes the limit,
// and appends again.
func childFill(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	l, err := journal.Open(dir)
	if err != nil {
		return err
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		return err
	}
	for range 5 {
		info, err := os.Stat(filepath.Join(dir, "journal.db"))
		if err != nil {
			return err
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(info.Size()), Max: before.Max}); err != nil {
			return err
		}
		if err := errors.Join(fill(l), cutFull(l), fill(l)); err != nil {
			return err
		}
		if err := l.Beat(time.Now()); err != nil && infer.CodeOf(err) != infer.Unavailable {
			return fmt.Errorf("a beat on a full disk gives %w", err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			return err
		}
		if _, err := l.Append(l.Last(), event(l.Last()+1)); err != nil {
			return fmt.Errorf("after the limit was removed: %w", err)
		}
	}
	return l.Close()
}

// fill appends until the log refuses, and checks the error and the events.
func fill(l *journal.Log) error {
	for range 10_000 {
		last := l.Last()
		_, err := l.Append(last, event(last+1))
		if err == nil {
			continue
		}
		if infer.CodeOf(err) != infer.Unavailable || strings.Contains(infer.Message(err), string(filepath.Separator)) {
			return fmt.Errorf("a full disk gives %w", err)
		}
		events, err := l.Read(0, int(last)+2, journal.Filter{})
		if err != nil || int64(len(events)) != last || l.Last() != last {
			return fmt.Errorf("after a refused event %d: %d events, Last %d, %w", last+1, len(events), l.Last(), err)
		}
		return nil
	}
	return fmt.Errorf("nothing was refused up to event %d", l.Last())
}

// cutFull cuts on a full disk. The cut may succeed.
func cutFull(l *journal.Log) error {
	c := journal.NewCutter(l, journal.CutterOptions{Events: 30, Bytes: 1 << 40, Logger: zap.NewNop(), Folds: func() []journal.NamedFold { return nil }})
	if err := c.Cut(context.Background()); err != nil && infer.CodeOf(err) != infer.Unavailable {
		return fmt.Errorf("a cut on a full disk gives %w", err)
	}
	return nil
}

// childNobody opens as a user without any rights.
func childNobody(dir string) error {
	if os.Getuid() == 0 {
		if err := syscall.Setgid(65534); err != nil {
			return err
		}
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
	}
	_, err := journal.Open(dir)
	if err == nil || !strings.Contains(messageOf(err), "no permission") {
		return fmt.Errorf("opened without permission: %w", err)
	}
	return nil
}

// event returns the test event with a number.
func event(seq int64) api.Event {
	return api.Event{
		Type: api.EventRouteSet, Subject: fmt.Sprintf("routes/r%d", seq%10), Origin: api.OriginAPI,
		Actor:  api.Actor{Actor: "alice", Verified: true, Reason: fmt.Sprintf("change <%d> & more", seq)},
		Before: state(seq - 1), After: state(seq),
	}
}

// bySubject returns the filter for a subject. An empty subject selects all events.
func bySubject(subject string) journal.Filter {
	if subject == "" {
		return journal.Filter{}
	}
	return journal.Filter{Subjects: []string{subject}}
}

// state has the size of a route with two variants and a shadow.
func state(n int64) json.RawMessage {
	return fmt.Appendf(nil, `{"name":"iris","model":"iris","revision":%d,"variants":[{"version":1,"weight":9500,"role":"stable"},`+
		`{"version":2,"weight":500,"role":"canary"}],"shadows":[{"version":3,"sample":1000}],"sticky":{"header":"X-User-Id"},`+
		`"fallback":"stable","seed":"iris","slots":[[[0,9500]],[[9500,10000]]]}`, n)
}

func open(t *testing.T, dir string) *journal.Log {
	t.Helper()
	l, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// add appends n events.
func add(t testing.TB, l *journal.Log, n int) {
	t.Helper()
	for range n {
		if _, err := l.Append(l.Last(), event(l.Last()+1)); err != nil {
			t.Fatal(err)
		}
	}
}

// made returns a directory with a closed journal of n events.
func made(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	l, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantEvents checks that the log has exactly the events 1 to n, as they were written.
func wantEvents(t testing.TB, l *journal.Log, n int64) {
	t.Helper()
	seq := int64(0)
	err := l.Replay(0, journal.Filter{}, func(e api.Event) error {
		seq++
		want := event(seq)
		want.Seq, want.Time = seq, e.Time
		same := bytes.Equal(e.Before, want.Before) && bytes.Equal(e.After, want.After) && !e.Time.IsZero()
		if e.Before, e.After, want.Before, want.After = nil, nil, nil, nil; !same || !reflect.DeepEqual(e, want) {
			return fmt.Errorf("event %d is %+v, want %+v; its states are the same: %v", seq, e, want, same)
		}
		return nil
	})
	if err != nil || seq != n || l.Last() != n {
		t.Fatalf("%d events with Last %d, want %d: %v", seq, l.Last(), n, err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// messageOf returns the text of an error of Open that people see.
func messageOf(err error) string {
	if e, ok := err.(*infer.Error); ok { //nolint:errorlint // Open returns it as it is
		return e.Msg
	}
	return fmt.Sprintf("not an infer.Error: %v", err)
}

// numbers reads the numbers that a child prints until it ends.
func numbers(t *testing.T, out *bufio.Scanner, each func(seq int64)) {
	t.Helper()
	for out.Scan() {
		var seq int64
		if _, err := fmt.Sscan(out.Text(), &seq); err != nil {
			t.Fatalf("the child printed %q", out.Text())
		}
		each(seq)
	}
}
