package journal_test

import (
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

const manyEvents = 100_000

// BenchmarkAppend appends one event to a file.
func BenchmarkAppend(b *testing.B) {
	l, err := journal.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the directory is removed next
	for b.Loop() {
		add(b, l, 1)
	}
}

// BenchmarkStart opens a journal of 100,000 events and reads them all, as the
// gateway does when it starts. It writes them first, which takes some minutes.
func BenchmarkStart(b *testing.B) {
	dir := made(b, manyEvents)
	b.ReportAllocs()
	for b.Loop() {
		l, err := journal.Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if err := l.Replay(0, journal.Filter{}, func(api.Event) error { n++; return nil }); err != nil || n != manyEvents {
			b.Fatalf("%d events, %v", n, err)
		}
		_, size := l.Size()
		b.ReportMetric(float64(size), "file_bytes")
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads from a journal of 100,000 events.
func BenchmarkRead(b *testing.B) {
	l := journal.Memory()
	add(b, l, manyEvents)
	f := func(name string, after int64, limit int, subject string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Read(after, limit, bySubject(subject)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("tail", manyEvents-100, 100, "")
	f("history", 0, 100, "routes/r7")
	f("history of nothing", 0, 100, "routes/none")
}
