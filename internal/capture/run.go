package capture

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Times that are not configurable.
const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
	tidyEvery    = time.Hour
)

// Run writes and sends what comes until ctx ends, and then what waits, for at most Options.FlushTimeout.
func (s *Store) Run(ctx context.Context) error {
	var (
		tidied           time.Time
		tidying, sending sync.WaitGroup
	)
	due := make(chan struct{}, 1)
	tidying.Go(func() { s.tidyWhen(ctx, due) })
	if s.events != nil {
		sending.Go(func() { s.events.run(ctx, s.o.FlushTimeout) })
	}
	defer sending.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.woken:
		case <-timer.C:
		case <-ctx.Done():
			tidying.Wait()
			return s.finish(ctx)
		}
		s.pass(ctx)
		now := time.Now()
		if now.Sub(tidied) >= tidyEvery && s.used() {
			tidied = now
			select {
			case due <- struct{}{}:
			default: // the last time has not come to its turn yet
			}
		}
		timer.Reset(time.Until(s.next(now.Add(tidyEvery))))
	}
}

// next returns when there is something to do, if nothing comes: at the latest at a time.
func (s *Store) next(at time.Time) time.Time {
	for _, q := range s.snapshot() {
		_, since := q.state()
		due := since.Add(s.o.RotateAge)
		if s.due(q) {
			due = time.Now()
		}
		if due.Before(at) {
			at = due
		}
	}
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if at.Before(s.retryAt) {
		at = s.retryAt
	}
	return at
}

// pass writes the files that are due.
func (s *Store) pass(ctx context.Context) {
	s.writing <- struct{}{}
	wait := time.Now().Before(s.retryAt)
	<-s.writing
	if wait {
		return
	}
	for _, q := range s.snapshot() {
		for s.due(q) {
			if _, err := s.write(ctx, q); err != nil {
				return
			}
		}
	}
}

// due reports whether a file is made of what waits in a queue.
func (s *Store) due(q *queue) bool {
	size, since := q.state()
	return size > 0 && (size >= s.o.RotateSize || time.Since(since) >= s.o.RotateAge || s.crowded())
}

// finish writes what waits when Run ends.
func (s *Store) finish(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.FlushTimeout)
	defer cancel()
	for _, q := range s.snapshot() {
		for size, _ := q.state(); size > 0; size, _ = q.state() {
			if _, err := s.write(ctx, q); err != nil {
				s.o.Logger.Error("captured requests are lost, since they could not be written before the end", zap.Int64("bytes", s.held.Load()), zap.Error(err))
				return s.Close()
			}
		}
	}
	return s.Close()
}

// Close closes the bucket.
func (s *Store) Close() error {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	b := s.bucket
	s.bucket = nil
	if b == nil {
		return nil
	}
	return b.Close()
}

// open returns the bucket. The caller holds writing.
func (s *Store) open(ctx context.Context) (*Bucket, error) {
	if s.bucket == nil {
		b, err := s.o.Open(ctx)
		if err != nil {
			return nil, err
		}
		s.bucket = b
	}
	return s.bucket, nil
}

// write makes a file of the first records of a queue, writes it and lists it in the manifest. It returns the number of records.
func (s *Store) write(ctx context.Context, q *queue) (n int, err error) {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer s.release()
	b := q.take(s.o.RotateSize)
	if len(b.records) == 0 {
		return 0, nil // a deletion was faster
	}
	file, err := q.make(b.records)
	if err != nil { // it would fail again
		q.tally.unwritten.Add(uint64(len(b.records)))
		s.held.Add(-int64(b.size))
		s.report(q, fmt.Errorf("requests cannot be made into a file, and are dropped: %w", err))
		return len(b.records), nil
	}
	day := dayOf(recordTime(b.records[0]))
	if b.name == "" {
		b.name = time.Now().UTC().Format("20060102T150405.000Z") + "-" + random() + ".parquet"
	}
	path := q.dir + "/day=" + day + "/" + b.name
	if err := s.put(ctx, path, file.data); err != nil {
		q.counts.failures.Add(1)
		q.putBack(b)
		s.backoff = min(max(2*s.backoff, firstBackoff), maxBackoff)
		s.retryAt = time.Now().Add(s.backoff)
		s.report(q, err)
		return 0, err
	}
	s.backoff, s.retryAt = 0, time.Time{}
	q.tally.unwritten.Add(uint64(file.broken)) //nolint:gosec // not negative
	s.held.Add(-int64(b.size))
	s.report(q, s.list(ctx, q.model, file.file(path)))
	return len(b.records), nil
}

// file returns the entry of the file in a manifest.
func (b *built) file(path string) api.CaptureFile {
	sum := sha256.Sum256(b.data)
	return api.CaptureFile{
		Path: path, Kind: kindOf(path), Version: versionOf(path), Day: partOf(path, "day"), Rows: int64(b.rows), Bytes: int64(len(b.data)),
		SHA256: hex.EncodeToString(sum[:]), First: b.first, Last: b.last, Schema: b.schema,
	}
}

// make is build without panics, which would end the gateway.
func (q *queue) make(records [][]byte) (b built, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return q.build(records)
}

// put writes a file. It appears under its name as a whole, or not at all.
func (s *Store) put(ctx context.Context, path string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.WriteTimeout)
	defer cancel()
	bucket, err := s.open(ctx)
	if err != nil {
		return err
	}
	return bucket.put(ctx, path, data)
}

// report logs a problem of a model, once until there is another one or none, and keeps it for the
// API without what is only for the log.
func (s *Store) report(q *queue, err error) {
	if err == nil {
		q.counts.problem.Store(nil)
		s.problem = ""
		return
	}
	text := infer.Message(err)
	if _, known := errors.AsType[*infer.Error](err); !known {
		text = "the bucket cannot be written; the log says why"
	}
	q.counts.problem.Store(&text)
	if err.Error() != s.problem {
		s.o.Logger.Error("captured requests cannot be written; they wait, and are dropped if there is no room", zap.String("model", q.model), zap.Error(err))
	}
	s.problem = err.Error()
}

func random() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// The kinds of files.
const (
	kindRequests = "requests"
	kindLabels   = "labels"
)

// Folders of a model. Labels are outside of the one of requests, which readers take as one table.
func modelDir(model string) string { return "model=" + escape(model) + "/" }
func labelDir(model string) string { return labelsDir + modelDir(model) }

const labelsDir = "labels/"

func kindOf(path string) string {
	if strings.HasPrefix(path, labelsDir) {
		return kindLabels
	}
	return kindRequests
}

// escape returns a name as a part of a path, as Hive escapes it.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// part returns the value of a part of a path, "day" of "day=2026-12-01/…" for example.
func partOf(path, key string) string {
	for part := range strings.SplitSeq(path, "/") {
		if value, ok := strings.CutPrefix(part, key+"="); ok {
			return value
		}
	}
	return ""
}

func versionOf(path string) int64 {
	n, _ := strconv.ParseInt(partOf(path, "version"), 10, 64)
	return n
}
