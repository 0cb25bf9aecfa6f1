package loss

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zeebo/xxh3"
)

// Detector judges the losses of a stream in windows, in the order in which labels come.
type Detector struct {
	o     Options
	state State
}

// New returns a detector of the named losses, without a reference. It panics if there are none.
func New(o Options, names ...string) (*Detector, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if len(names) == 0 || len(names) > maxLosses {
		panic(fmt.Sprintf("BUG: loss: a detector of %d losses", len(names)))
	}
	d := &Detector{o: o}
	for _, name := range names {
		l := Loss{Name: name, State: OK, Scale: 1}
		if name == AbsoluteError {
			l.Scale = 0
		}
		d.state.Losses = append(d.state.Losses, l)
	}
	return d, nil
}

// Restore returns a detector that goes on from a state, with options that may have changed.
func Restore(o Options, s *State) (*Detector, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Detector{o: o, state: *s}, nil
}

// State returns the state. It is valid until the next call of another method.
func (d *Detector) State() *State { return &d.state }

// Pending returns the changes that are not recorded, if the one that ended at a time was recorded last.
func (s *State) Pending(recorded time.Time) []Change {
	at := slices.IndexFunc(s.Changes, func(c Change) bool { return c.End.Equal(recorded) })
	return s.Changes[at+1:]
}

// Recorded forgets the changes up to the one that ended at a time.
func (d *Detector) Recorded(end time.Time) { d.state.Changes = slices.Clone(d.state.Pending(end)) }

// Borrow takes the reference of another stream, whose predictions are of the same form, instead of
// learning one. It reports whether that has one, of the same losses.
func (d *Detector) Borrow(from string, of *State) bool {
	if of.From == "" || len(of.Losses) != len(d.state.Losses) || d.state.Rows > 0 {
		return false
	}
	for i := range of.Losses {
		if of.Losses[i].Name != d.state.Losses[i].Name {
			return false
		}
	}
	for i := range of.Losses {
		l := &d.state.Losses[i]
		l.Scale, l.Reference, l.By = of.Losses[i].Scale, of.Losses[i].Reference, of.Losses[i].By
	}
	d.state.From = from
	return true
}

// OwnRows says that the first labelled rows of a stream are its reference.
const OwnRows = "first labelled rows"

// Count counts the losses of a row, in the order of their names. Values of an absolute error are not
// scaled. NaN counts as the largest loss. If the row is the first one of this time, a
// window that has ended is judged before: so labels that come at once are in one window.
func (d *Detector) Count(now time.Time, request string, losses []float64) {
	s := &d.state
	if !s.Last.Equal(now) {
		d.Judge(now)
	}
	hash := strconv.FormatUint(xxh3.HashString(request), 36)
	same := s.Rows > 0 && hash == s.Request
	s.Rows, s.Last, s.Request = s.Rows+1, now.UTC().Round(0), hash
	learning := s.From == ""
	if !learning && s.Start.IsZero() {
		s.Start = s.Last
	}
	for i := range s.Losses {
		switch l := &s.Losses[i]; {
		case !learning:
			l.Window.add(l.scaled(losses[i]), same)
		case l.Scale == 0:
			l.keep(losses[i], same)
		default:
			l.Reference.add(l.scaled(losses[i]), same)
		}
	}
	if learning && d.learned() {
		for i := range s.Losses {
			s.Losses[i].learn()
		}
		s.From, s.Request = OwnRows, ""
	}
	if d.o.Rows > 0 {
		d.Judge(now)
	}
}

// The min numbers of requests of a window and of a reference: rows of one request may be all alike.
const (
	minRequests          = 10
	minReferenceRequests = 50
)

// learned reports whether there are enough rows for the reference.
func (d *Detector) learned() bool {
	l := &d.state.Losses[len(d.state.Losses)-1]
	requests := l.Reference.Requests + uint64(len(l.Runs))
	return d.state.Rows >= MaxReference || d.state.Rows >= d.o.ReferenceRows && requests >= minReferenceRequests
}

// scaled returns a loss from 0 to 1.
func (l *Loss) scaled(x float64) float64 {
	if x = math.Abs(x) / l.Scale; x < 1 {
		return x
	}
	return 1 // also for NaN
}

// keep keeps a value until the scale is known.
func (l *Loss) keep(x float64, same bool) {
	if x = math.Abs(x); !(x <= largestValue) {
		x = largestValue
	}
	l.Values = append(l.Values, x)
	if same && len(l.Runs) > 0 {
		l.Runs[len(l.Runs)-1]++
		return
	}
	l.Runs = append(l.Runs, 1)
}

// The range of a scale, and how many times the mean error of the reference is the largest loss.
const (
	largestValue  = 1e60
	smallestScale = 1e-60
	clipped       = 4
)

// learn completes the reference.
func (l *Loss) learn() {
	if l.Scale == 0 {
		// Without the largest values, so that some absurd ones do not blind it.
		sorted := slices.Sorted(slices.Values(l.Values))
		sorted = sorted[:max(len(sorted)*19/20, 1)]
		sum := 0.0
		for _, x := range sorted {
			sum += x / float64(len(sorted))
		}
		l.Scale = max(clipped*sum, smallestScale)
		i := 0
		for _, n := range l.Runs {
			for k := range n {
				l.Reference.add(l.scaled(l.Values[i]), k > 0)
				i++
			}
		}
		l.Values, l.Runs = nil, nil
	}
	for i, b := range l.Reference.Blocks {
		l.By[i].observe(b.inflation(&l.Reference.Moments))
	}
}

// end returns when the current window ends, and whether it has ended.
func (d *Detector) end(now time.Time) (time.Time, bool) {
	w := &d.state.Losses[0].Window
	rows := w.Rows
	switch {
	case rows == 0, w.Requests < minRequests:
		return now, false
	case d.o.Rows > 0:
		return now, rows >= d.o.Rows
	case rows < d.o.MinRows:
		return now, false
	}
	boundary := d.state.Start.Truncate(d.o.Window).Add(d.o.Window)
	if boundary.After(now) {
		return boundary, now.Before(d.state.Start.Add(-d.o.Window)) // the clock was set back
	}
	return now, true
}

// Due reports whether a window has ended at now.
func (d *Detector) Due(now time.Time) bool {
	_, ended := d.end(now)
	return ended
}

// Judge judges the current window if it has ended at now, and reports whether it has.
func (d *Detector) Judge(now time.Time) bool {
	end, ended := d.end(now)
	if !ended {
		return false
	}
	s := &d.state
	s.Options = d.o
	before := *s
	before.Changes, before.Losses = nil, slices.Clone(s.Losses)
	for i := range before.Losses {
		before.Losses[i].Evidence = slices.Clone(s.Losses[i].Evidence)
	}
	from, stood := s.Status(), s.standing()
	s.Windows++
	s.Judged = end.UTC().Round(0)
	if !s.Judged.After(before.Judged) { // the clock was set back; changes are told apart by their ends
		s.Judged = before.Judged.Add(1)
	}
	for i := range s.Losses {
		s.Losses[i].judge(&d.o, d.o.limits(len(s.Losses)), s.Start)
	}
	if stands := s.standing(); stands != stood {
		c := Change{Window: s.Windows, Start: s.Start, End: s.Judged, From: from, State: s.Status(), Findings: s.Findings(), Before: &before}
		if s.Changes = append(s.Changes, c); len(s.Changes) > maxChanges {
			s.Changes = slices.Delete(s.Changes, 1, 2)
		}
	}
	s.Start, s.Request = time.Time{}, ""
	return true
}

// standing names the losses in alarm, and sets since when there is one.
func (s *State) standing() string {
	var names []string
	var first time.Time
	for i := range s.Losses {
		l := &s.Losses[i]
		if !l.alarmed() {
			continue
		}
		names = append(names, l.Name)
		if first.IsZero() || l.Began.Before(first) {
			first = l.Began
		}
	}
	if s.Since.IsZero() || len(names) == 0 { // it stays as long as any of them lasts
		s.Since = first
	}
	return strings.Join(names, " ")
}

// Status returns the state of the stream: the most serious one of its losses, or Learning.
func (s *State) Status() string {
	if s.From == "" {
		return Learning
	}
	state := OK
	for i := range s.Losses {
		if severity(s.Losses[i].State) > severity(state) {
			state = s.Losses[i].State
		}
	}
	return state
}

func severity(state string) int {
	return slices.Index([]string{OK, Suspected, Recovering, Detected}, state)
}

// Findings returns the findings of the last window, the strongest evidence first.
func (s *State) Findings() []Finding {
	list := make([]Finding, len(s.Losses))
	for i := range s.Losses {
		list[i] = s.Losses[i].Finding
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(severity(b.State), severity(a.State)), cmp.Compare(b.Evidence, a.Evidence))
	})
	return list
}
