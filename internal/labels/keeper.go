package labels

import (
	"encoding/binary"
	"sync"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/slot"
)

// KeepOptions say which predictions of a version are kept.
type KeepOptions struct {
	Model    *infer.Model
	Settings Settings
	Sample   int // of api.TotalWeight, selected by the hash of the request's id
	MaxRows  int // of one request; the first ones are kept
	MaxBytes int // of the predictions of the version that wait to be written
}

// Sampled reports whether a sample has the predictions of a request.
func Sampled(requestID string, sample int) bool { return slot.Sampled(requestID, sample) }

// Keeper copies the predictions of a version. Keep may be called from any goroutine, and costs a
// hash, a short lock and a copy of some numbers.
type Keeper struct {
	o      KeepOptions
	form   Form
	formID uint64
	output int
	read   func([]byte) float64 // reads a number of the output; nil if it has text
	queue  *queue
	then   Copier
}

// Copier copies a request and its answer, or drops it. It must not block.
type Copier interface {
	Offer(req *infer.Request, resp *infer.Response)
}

// Then sets who gets the requests whose predictions are kept. It is called before the first Keep.
func (k *Keeper) Then(c Copier) { k.then = c }

// queue has the predictions of a version that wait to be written.
type queue struct {
	wake func() // tells the writer that the queue is half full

	mu      sync.Mutex
	waiting []byte // entries, see put
	taken   []byte // belongs to the writer
	rows    int    // in waiting
	dropped int    // rows without room, since the last take
	unread  int    // requests whose answers have no prediction
	cut     int    // rows beyond the limit of a request

	unexpected int // rows whose expected loss had no room
}

// Keep copies the predictions of an answered request, if it is in the sample. role is that of the
// version that answered.
func (k *Keeper) Keep(req *infer.Request, resp *infer.Response, role string) {
	if Sampled(req.RequestID, k.o.Sample) && k.keep(req, resp, role) && k.then != nil {
		k.then.Offer(req, resp)
	}
}

// keep is Keep for a request in the sample. It reports whether the prediction is kept.
func (k *Keeper) keep(req *infer.Request, resp *infer.Response, role string) bool {
	var output *infer.Tensor
	for i := range resp.Outputs {
		if resp.Outputs[i].Index == k.output {
			output = &resp.Outputs[i]
		}
	}
	k.queue.mu.Lock()
	defer k.queue.mu.Unlock()
	if output == nil || req.RequestID == "" {
		k.queue.unread++
		return false
	}
	n := k.form.rows(output)
	take := min(n, k.o.MaxRows)
	k.queue.cut += n - take
	return k.queue.put(k, req, output, role, take)
}

// rows returns the number of rows of an output.
func (f *Form) rows(t *infer.Tensor) int {
	elements := int64(1)
	for _, d := range t.Shape {
		elements *= d
	}
	return int(elements / int64(f.Width))
}

// put appends an entry: its length as u32, the request id, the V2 id if it is another one, and the
// prediction. It reports whether there was room. The lock is held.
func (q *queue) put(k *Keeper, req *infer.Request, t *infer.Tensor, role string, rows int) bool {
	alias := req.ID
	if alias == req.RequestID || len(alias) > maxAlias {
		alias = ""
	}
	start := q.begin(req.RequestID, alias)
	q.waiting = appendPrediction(q.waiting, &prediction{
		form: k.formID, time: req.Arrived, version: k.o.Model.Version, role: role, segment: cut(req.Segment, maxSegment), rows: rows,
	})
	var ok bool
	q.waiting, ok = k.form.appendRows(q.waiting, t, rows, k.read)
	switch {
	case !ok:
		q.unread++
		q.waiting = q.waiting[:start]
		return false
	case !q.end(start, k.o.MaxBytes):
		q.dropped += rows
		return false
	}
	q.rows += rows
	return true
}

// begin appends the beginning of an entry.
func (q *queue) begin(id, alias string) (start int) {
	start = len(q.waiting)
	q.waiting = append(q.waiting, 0, 0, 0, 0)
	q.waiting = appendText(appendText(q.waiting, id), alias)
	return start
}

// end ends an entry, or takes it out if there is no room.
func (q *queue) end(start, most int) bool {
	if len(q.waiting) > most {
		q.waiting = q.waiting[:start]
		return false
	}
	binary.LittleEndian.PutUint32(q.waiting[start:], uint32(len(q.waiting)-start)) //nolint:gosec // at most MaxBytes
	if half := most / 2; start < half && len(q.waiting) >= half {
		q.wake()
	}
	return true
}

// expect appends the losses that a loss model expects for the rows of a request, after its
// prediction.
func (q *queue) expect(k *Keeper, req *infer.Request, s LossSource, shadow bool, losses []float64) {
	version := int64(0)
	if shadow {
		version = k.o.Model.Version
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	start := q.begin(req.RequestID, "")
	q.waiting = appendExpected(q.waiting, s, req.Arrived, version, losses)
	if !q.end(start, k.o.MaxBytes) {
		q.unexpected += len(losses)
	}
}

// The max lengths in bytes of an id that is kept besides the request id, and of a segment.
const (
	maxAlias   = 1 << 10
	maxSegment = 64
)

func cut(s string, most int) string { return s[:min(len(s), most)] }

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)+q.dropped+q.unread+q.cut+q.unexpected == 0
}

// taken is what a queue had.
type taken struct {
	entries              []byte
	rows                 int
	dropped, unread, cut int
	unexpected           int
}

// some reports whether there is anything.
func (t *taken) some() bool {
	return len(t.entries)+t.dropped+t.unread+t.cut+t.unexpected > 0
}

// take returns what waits. It is valid until the next call.
func (q *queue) take() taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := taken{q.waiting, q.rows, q.dropped, q.unread, q.cut, q.unexpected}
	q.waiting, q.taken = q.taken[:0], q.waiting
	q.rows, q.dropped, q.unread, q.cut, q.unexpected = 0, 0, 0, 0, 0
	return t
}

// entry is a kept request that waits to be written.
type entry struct {
	id, alias, record []byte
}

// next splits the first entry off.
func (t *taken) next() (e entry, ok bool) {
	if len(t.entries) == 0 {
		return e, false
	}
	n := binary.LittleEndian.Uint32(t.entries)
	r := reader{b: t.entries[4:n]}
	t.entries = t.entries[n:]
	e.id = r.bytes(int(r.uint16()))
	e.alias = r.bytes(int(r.uint16()))
	e.record = r.b
	return e, true
}
