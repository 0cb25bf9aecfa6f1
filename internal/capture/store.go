package capture

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/slot"
)

// Options configure a Store. All except HashKey and Events are required.
type Options struct {
	Open         func(ctx context.Context) (*Bucket, error) // called when there is something to write or read
	Gateway      string                                     // the name of this gateway's manifests
	Version      string                                     // of this program, for the metadata of files
	HashKey      []byte                                     // of the HMAC of hashed fields
	RotateSize   int                                        // of the data of a file
	RotateAge    time.Duration
	MaxBuffer    int64 // of what waits, all models together
	Retention    time.Duration
	WriteTimeout time.Duration // of one file
	FlushTimeout time.Duration // of all files together when Run ends
	Logger       *zap.Logger
	Events       *EventOptions // nil for none
}

// Settings say what is captured of a model.
type Settings struct {
	Sample     int      // of api.TotalWeight, selected by the hash of the request's id
	Redact     []string // fields that are left out
	Hash       []string // fields that are hashed
	MaxRequest int      // in bytes; larger requests are dropped
	Parameters bool     // whether the parameters of requests are captured
}

// Store captures the traffic of all models. Run writes it.
type Store struct {
	o     Options
	held  atomic.Int64 // bytes that wait
	woken chan struct{}

	exporting chan struct{} // a token for each export
	joinBytes int           // of the labels that an export has in memory
	events    *events       // nil if none are sent

	mu     sync.Mutex // guards the next fields
	queues map[queueKey]*queue
	models map[string]*counts

	// writing is held, by sending to it, by whoever changes files or manifests. It guards the
	// fields below.
	writing   chan struct{}
	bucket    *Bucket
	manifests map[string]*manifest // by model
	retryAt   time.Time
	backoff   time.Duration
	problem   string // the last one in the log
}

// queueKey identifies a queue.
type queueKey struct {
	kind, model string
	version     int64
	digest      string // of the layout
}

// counts are the counters of a model.
type counts struct {
	requests, labels    tally
	events              eventCounts
	tooLarge, anonymous atomic.Uint64 // requests
	failures, damaged   atomic.Uint64
	received            atomic.Int64 // the time of the last label, in microseconds
	problem             atomic.Pointer[string]
}

// tally counts requests or labels.
type tally struct{ captured, full, unwritten atomic.Uint64 }

// New returns a store. It opens nothing.
func New(o Options) *Store {
	if o.Open == nil || o.Gateway == "" || o.RotateSize <= 0 || o.RotateAge <= 0 || o.MaxBuffer <= 0 || o.Retention <= 0 ||
		o.WriteTimeout <= 0 || o.FlushTimeout <= 0 || o.Logger == nil {
		panic("BUG: capture.New needs a bucket, limits and a logger")
	}
	s := &Store{
		o: o, woken: make(chan struct{}, 1), writing: make(chan struct{}, 1), exporting: make(chan struct{}, maxExports), joinBytes: maxJoinedBytes,
		queues: map[queueKey]*queue{}, models: map[string]*counts{}, manifests: map[string]*manifest{},
	}
	if o.Events != nil {
		s.events = newEvents(o.Events, &o)
	}
	return s
}

// Tap copies the requests of a version. Capture may be called from any goroutine.
type Tap struct {
	s        *Store
	q        *queue
	l        *layout
	counts   *counts
	sample   int
	most     int
	redacted [2][]bool // inputs and outputs, by index
	// The parts of a request that are copied, apart from its tensors.
	caller, parameters bool
}

// Tap returns what copies the requests of a version. digest is that of its files.
func (s *Store) Tap(m *infer.Model, digest string, set Settings) (*Tap, error) {
	l, err := newLayout(m, digest, set, s.o.Version)
	if err != nil {
		return nil, err
	}
	if len(set.Hash) > 0 && len(s.o.HashKey) == 0 {
		return nil, infer.Errorf(infer.Invalid, "fields are hashed with a key, and there is none")
	}
	t := &Tap{s: s, l: l, sample: set.Sample, most: set.MaxRequest, counts: s.counts(m.Name), caller: !l.redact[fieldCaller], parameters: set.Parameters}
	for i, specs := range [][]infer.TensorSpec{m.Inputs, m.Outputs} {
		for j := range specs {
			t.redacted[i] = append(t.redacted[i], l.redact[[]string{fieldInput, fieldOutput}[i]+specs[j].Name])
		}
	}
	t.q = s.queue(queueKey{kindRequests, m.Name, m.Version, l.digest}, func() *queue {
		return &queue{
			counts: t.counts, tally: &t.counts.requests, model: m.Name, dir: modelDir(m.Name) + "version=" + strconv.FormatInt(m.Version, 10),
			build: func(records [][]byte) (built, error) { return buildRequests(l, s.o.HashKey, records) },
			rows:  func(record []byte) int64 { n, _ := l.count(decodeRecord(record, l.model)); return int64(n) },
		}
	})
	s.wake() // the first one begins to look after the bucket
	return t, nil
}

// Capture copies an answered request, if it is in the sample and there is room. role is that of
// the version that answered.
func (t *Tap) Capture(req *infer.Request, resp *infer.Response, role string, elapsed time.Duration) {
	if !slot.Sampled(req.RequestID, t.sample) {
		return
	}
	if req.RequestID == "" {
		t.counts.anonymous.Add(1)
		return
	}
	of, parameters := textsOf(req, role), req.Parameters
	if !t.caller {
		of[4] = ""
	}
	if !t.parameters {
		parameters = nil
	}
	size := recordHead + len(parameters) + tensorsSize(req.Inputs, t.redacted[0]) + tensorsSize(resp.Outputs, t.redacted[1])
	for i := range of {
		size += len(of[i])
	}
	if size > t.most {
		t.counts.tooLarge.Add(1)
		return
	}
	file, sent := t.s.reserve(size+recordBeside), t.s.events.reserve(t.counts, size+recordBeside)
	if !file {
		t.counts.requests.full.Add(1)
	}
	if !file && !sent {
		return
	}
	record := appendRecord(make([]byte, 0, size), &of, parameters, req, resp, elapsed, &t.redacted)
	if sent {
		t.s.events.push(t, record)
	}
	if file {
		t.counts.requests.captured.Add(1)
		t.s.push(t.q, record)
	}
}

// reserve takes n bytes of the buffer, if it has them.
func (s *Store) reserve(n int) bool { return reserve(&s.held, s.o.MaxBuffer, n) }

func reserve(held *atomic.Int64, most int64, n int) bool {
	for {
		now := held.Load()
		if now+int64(n) > most {
			return false
		}
		if held.CompareAndSwap(now, now+int64(n)) {
			return true
		}
	}
}

// push queues a record whose bytes are reserved.
func (s *Store) push(q *queue, record []byte) {
	size, cost := q.push(record), len(record)+recordBeside
	if size == 0 { // the version is not served any more
		s.held.Add(-int64(cost))
		q.tally.captured.Add(^uint64(0))
		q.tally.full.Add(1)
		return
	}
	// Run must know of the first one, since it waits until that is old enough.
	if half := s.o.MaxBuffer / 2; size == cost || passes(int64(size), int64(cost), int64(s.o.RotateSize)) || passes(s.held.Load(), int64(cost), half+1) {
		s.wake()
	}
}

// passes reports whether a sum reached a limit when its last part was added. Others may have been
// added since, which at most wakes Run too early.
func passes(sum, last, limit int64) bool { return sum >= limit && sum-last < limit }

// crowded reports whether files are made early, since half of the buffer is in use.
func (s *Store) crowded() bool { return s.held.Load() > s.o.MaxBuffer/2 }

func (s *Store) wake() {
	select {
	case s.woken <- struct{}{}:
	default: // Run has not seen the last one yet
	}
}

// used reports whether something is or was captured. If not, the bucket is left alone.
func (s *Store) used() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.models) > 0
}

func (s *Store) counts(model string) *counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.models[model] == nil {
		s.models[model] = &counts{}
	}
	return s.models[model]
}

// queue returns the queue of a key. It opens it again if it was closed.
func (s *Store) queue(key queueKey, fresh func() *queue) *queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[key]
	if q == nil {
		q = fresh()
		s.queues[key] = q
	}
	return q
}

// snapshot returns the queues, the largest first.
func (s *Store) snapshot() []*queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*queue, 0, len(s.queues))
	sizes := make(map[*queue]int, len(s.queues))
	for _, q := range s.queues {
		if size, _ := q.state(); size > 0 {
			list = append(list, q)
			sizes[q] = size
		}
	}
	slices.SortFunc(list, func(a, b *queue) int { return cmp.Compare(sizes[b], sizes[a]) })
	return list
}

// queue has the records that wait for their file.
type queue struct {
	counts *counts
	tally  *tally
	model  string
	dir    string // of its files
	build  func(records [][]byte) (built, error)
	rows   func(record []byte) int64 // the number of rows that a record would have in a file

	mu      sync.Mutex
	waiting [][]byte
	size    int       // of what waits, with what it costs besides
	since   time.Time // the oldest one waits
	name    string    // of the file of a batch that could not be written
	closed  bool
}

// push queues a record. It returns 0 if the queue is closed.
func (q *queue) push(record []byte) (size int) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0
	}
	if len(q.waiting) == 0 {
		q.since = now
	}
	q.waiting = append(q.waiting, record)
	q.size += len(record) + recordBeside
	return q.size
}

// close closes the queue, unless something waits there.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = q.size == 0
	return q.closed
}

// state returns the bytes that wait, and since when.
func (q *queue) state() (size int, since time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size, q.since
}

// batch has the records of one file.
type batch struct {
	records [][]byte
	size    int
	since   time.Time
	name    string // of the file; empty for a new one
}

// take takes the records of the next file: of one day, and about most bytes.
func (q *queue) take(most int) (b batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return b
	}
	day, n := dayOf(recordTime(q.waiting[0])), 0
	for n < len(q.waiting) && (n == 0 || b.size < most) && dayOf(recordTime(q.waiting[n])) == day {
		b.size += len(q.waiting[n]) + recordBeside
		n++
	}
	b.records, b.since, b.name = slices.Clone(q.waiting[:n]), q.since, q.name
	q.waiting = slices.Delete(q.waiting, 0, n)
	if len(q.waiting) == 0 {
		q.waiting = nil // it may have been long
	}
	q.size -= b.size
	q.since, q.name = time.Now(), ""
	return b
}

// putBack returns a batch that could not be written. Its file keeps its name, since a write that
// failed may have been done.
func (q *queue) putBack(b batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = slices.Concat(b.records, q.waiting)
	q.size += b.size
	q.since, q.name = b.since, b.name
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Waiting returns the bytes that wait in memory.
func (s *Store) Waiting() int64 { return s.held.Load() }

// drops returns the counters of what was dropped.
func (c *counts) drops() map[string]uint64 {
	return map[string]uint64{
		api.CaptureFull: c.requests.full.Load(), api.CaptureTooLarge: c.tooLarge.Load(), api.CaptureUnwritten: c.requests.unwritten.Load(), api.CaptureNoID: c.anonymous.Load(),
	}
}

// eventDrops returns the counters of events that were dropped.
func (c *counts) eventDrops() map[string]uint64 {
	return map[string]uint64{api.CaptureFull: c.events.full.Load(), api.CaptureUnwritten: c.events.unwritten.Load(), api.CaptureFailed: c.events.failed.Load()}
}

// labelDrops returns the counters of labels that were dropped.
func (c *counts) labelDrops() map[string]uint64 {
	return map[string]uint64{api.CaptureFull: c.labels.full.Load(), api.CaptureUnwritten: c.labels.unwritten.Load()}
}
