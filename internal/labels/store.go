package labels

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Options configure a Store. All but Losses are required.
type Options struct {
	Dir      string        // the data directory; "": nothing can be kept
	MaxBytes int64         // of the file
	MaxAge   time.Duration // of a prediction
	Logger   *zap.Logger

	Losses Losses // counts the losses of labelled rows; may be nil
}

// commitEvery is the time for which predictions wait in memory if no labels come.
const commitEvery = time.Second

// Store keeps predictions and their labels in one file. One goroutine, that of Run, writes.
type Store struct {
	o       Options
	batches chan *batch
	woken   chan struct{}
	stopped chan struct{} // closed when Run has ended

	mu     sync.Mutex // guards the next fields
	queues map[infer.Version]*queue
	forms  map[uint64][]byte          // of the keepers
	totals map[string]*api.KeptCounts // by model, since the start
	losses map[LossStream][]byte      // states that were written and not taken yet

	opening sync.Mutex
	file    atomic.Pointer[file]
	failed  error // why the file cannot be opened; guarded by opening

	reported string // the last error in the log; used by Run only
}

// batch is a part of the labels of a call.
type batch struct {
	model   string
	o       JoinOptions
	rows    []Row
	judge   []LossStream // whose losses are to be judged; there are no rows then
	results []Result     // filled when done
	joined  []Joined     // likewise, if o.Joined is set
	err     error
	done    chan struct{}
}

// Result is what became of a row.
type Result struct {
	Status     string // api.LabelJoined and so on
	NotSampled bool
	Before     bool // the label's time is before that of the prediction
	Problem    string

	at time.Time // when the truth became known, if it joined
}

// New returns a store. It opens nothing: the file is made when there is something to keep.
func New(o Options) *Store {
	if o.MaxBytes <= 0 || o.MaxAge <= 0 || o.Logger == nil {
		panic("BUG: labels.New needs limits and a logger")
	}
	return &Store{
		o: o, batches: make(chan *batch), woken: make(chan struct{}, 1), stopped: make(chan struct{}),
		queues: map[infer.Version]*queue{}, forms: map[uint64][]byte{}, totals: map[string]*api.KeptCounts{},
		losses: map[LossStream][]byte{},
	}
}

// Keeper returns what copies the predictions of a version. Errors are those of FormOf.
func (s *Store) Keeper(v infer.Version, o KeepOptions) (*Keeper, error) {
	form, output, err := FormOf(o.Model, o.Settings)
	if err != nil {
		return nil, err
	}
	k := &Keeper{o: o, form: form, output: output, read: infer.NumberReader(o.Model.Outputs[output].DType)}
	text, id := form.encoded()
	k.formID = id
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.queue = s.queues[v]; k.queue == nil {
		k.queue = &queue{wake: s.wake}
		s.queues[v] = k.queue
	}
	s.forms[id] = text
	return k, nil
}

// Retain drops the queues of versions that are not served any more, if nothing waits there.
func (s *Store) Retain(served func(v infer.Version) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v, q := range s.queues {
		if !served(v) && q.empty() {
			delete(s.queues, v)
		}
	}
}

func (s *Store) wake() {
	select {
	case s.woken <- struct{}{}:
	default: // the writer has not seen the last one yet
	}
}

// Run writes what comes until ctx ends, and what waits then.
func (s *Store) Run(ctx context.Context) error {
	defer close(s.stopped)
	ticker := time.NewTicker(commitEvery)
	defer ticker.Stop()
	for {
		var first *batch
		select {
		case first = <-s.batches:
		case <-s.woken:
		case <-ticker.C:
		case <-ctx.Done():
			s.commit(nil)
			return nil
		}
		s.commit(s.gather(first))
	}
}

// maxTransaction is about the number of labels that one transaction writes.
const maxTransaction = 1 << 14

// gather returns the batches that wait, so that one transaction writes all of them.
func (s *Store) gather(first *batch) (list []*batch) {
	if first == nil {
		return nil
	}
	list = append(list, first)
	for n := len(first.rows); n < maxTransaction; {
		select {
		case b := <-s.batches:
			list = append(list, b)
			n += len(b.rows)
		default:
			return list
		}
	}
	return list
}

// commit writes the waiting predictions, then the labels of batches, in one transaction.
func (s *Store) commit(batches []*batch) {
	waiting, some := s.take()
	if len(batches) == 0 && !some {
		s.count(waiting, nil, nil)
		if f := s.file.Load(); f != nil && time.Now().After(f.due) {
			s.report(f.write(s.o, s.form, func(*writing) error { return nil }))
		}
		return
	}
	written := map[string]int{} // requests with a repeated id, by model
	var losses map[LossStream][]byte
	f, err := s.open(true)
	if err == nil {
		err = f.write(s.o, s.form, func(w *writing) error {
			losses = w.losses
			for model, list := range waiting {
				for i := range list {
					n, err := w.keep(model, list[i])
					if err != nil {
						return err
					}
					written[model] += n
				}
			}
			for _, b := range batches {
				if err := w.join(b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	s.report(err)
	s.count(waiting, written, err)
	if err == nil {
		s.lost(losses)
	}
	for _, b := range batches {
		if b.err = err; err != nil {
			b.err = writeError(err)
		}
		close(b.done)
	}
}

// report logs an error of the file, once until there is another one or none.
func (s *Store) report(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != s.reported {
		s.o.Logger.Error("predictions and labels cannot be written", zap.Error(err))
	}
	s.reported = text
}

// take takes what waits in the queues.
func (s *Store) take() (waiting map[string][]taken, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting = map[string][]taken{}
	for v, q := range s.queues {
		if t := q.take(); t.some() {
			waiting[v.Model] = append(waiting[v.Model], t)
			some = some || len(t.entries) > 0
		}
	}
	return waiting, some
}

// count adds to the totals.
func (s *Store) count(waiting map[string][]taken, repeated map[string]int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for model, list := range waiting {
		t := s.totals[model]
		if t == nil {
			t = &api.KeptCounts{}
			s.totals[model] = t
		}
		for _, x := range list {
			if err != nil {
				x.dropped, x.rows = x.dropped+x.rows, 0
			}
			t.Kept += count(int64(x.rows))
			t.Dropped += count(int64(x.dropped))
			t.Unread += count(int64(x.unread))
			t.Cut += count(int64(x.cut))
			t.EstimatesDropped += count(int64(x.unexpected))
		}
		if err == nil {
			t.Repeated += count(int64(repeated[model]))
		}
	}
}

// form returns a form of a keeper by its number.
func (s *Store) form(id uint64) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forms[id]
}

// open returns the file. It makes it if there is none and create is set; otherwise it returns nil.
// If the file cannot be opened it does not try again: a restart does.
func (s *Store) open(create bool) (*file, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if f := s.file.Load(); f != nil || s.failed != nil {
		return f, s.failed
	}
	if s.o.Dir == "" {
		return nil, errNoDirectory
	}
	f, err := openFile(s.o.Dir, create)
	if err != nil {
		s.failed = err
		return nil, err
	}
	if f != nil {
		s.file.Store(f)
	}
	return f, nil
}

// Close closes the file. Run must have ended.
func (s *Store) Close() error {
	s.opening.Lock()
	defer s.opening.Unlock()
	f := s.file.Swap(nil)
	s.failed = errClosed
	if f == nil {
		return nil
	}
	return f.close()
}

// JoinOptions say which labels of a model count.
type JoinOptions struct {
	Sample    int // of the model's keepers, to tell ids that they leave out
	Watermark time.Duration

	// Joined is told of each label that joined a prediction, when it is on disk. It may be nil.
	Joined func(Joined)
}

// Joined is a label with its prediction.
type Joined struct {
	RequestID     string // of the prediction, also if the label came with another id of it
	Row           int
	Version       int64
	Label         Label
	Predicted     time.Time
	Time          time.Time // when the truth became known
	Contradictory bool      // it replaced another label
}

// Joining takes the labels of one call.
type Joining struct {
	s     *Store
	model string
	o     JoinOptions
	rows  []Row
}

// Join begins a call. If the store has no predictions of the model, all labels are unknown.
func (s *Store) Join(model string, o JoinOptions) *Joining {
	return &Joining{s: s, model: model, o: o}
}

// maxBatch is the number of labels that a call has in memory.
const maxBatch = 1 << 12

// Add adds a label. If enough wait it writes them, and returns what became of them, in their
// order. Labels whose results were returned survive a crash.
func (j *Joining) Add(ctx context.Context, r Row) ([]Result, error) {
	if j.rows = append(j.rows, r); len(j.rows) < maxBatch {
		return nil, nil
	}
	return j.Flush(ctx)
}

// Flush writes the labels that wait.
func (j *Joining) Flush(ctx context.Context) ([]Result, error) {
	if len(j.rows) == 0 {
		return nil, nil
	}
	b := &batch{model: j.model, o: j.o, rows: j.rows, results: make([]Result, 0, len(j.rows)), done: make(chan struct{})}
	select {
	case j.s.batches <- b:
	case <-j.s.stopped:
		return nil, writeError(errClosed)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	<-b.done
	j.rows = j.rows[:0]
	if b.err == nil {
		for i := range b.joined {
			j.o.Joined(b.joined[i])
		}
	}
	return b.results, b.err
}
