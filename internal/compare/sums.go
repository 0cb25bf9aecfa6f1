package compare

import (
	"bytes"
	"fmt"
	"math"
	"sync"

	"sluice.io/sluice/internal/infer"
)

// The kinds of values that Sums knows of answers.
const (
	Share  = "share"  // of the rows that have a class, a label or a value that is not finite; 0 to 1
	Score  = "score"  // the best score of a row; 0 to 1 if the scores are a distribution
	Number = "number" // any other number
)

// The limits of Sums.
const (
	sumRows    = 16 // of a request
	sumClasses = 50 // of an output; further ones count as others
	sumColumns = 8  // of an output of numbers
)

// others is the name of all classes after the first ones.
const others = "others"

// notFinite is the name of the values NaN, Inf and -Inf.
const notFinite = "not finite"

// Mean is the sums of a value that each request has.
type Mean struct {
	Name            string // "label: setosa"
	Output          string // "label"
	Kind            string
	N, Sum, Squares float64
}

// Sums says how the answers of a version are distributed. A request counts once, with the mean of its first rows. It is safe for
// concurrent use.
type Sums struct {
	labels map[string][]string // the names of classes, by output

	mu      sync.Mutex
	outputs []*outputSums
}

// outputSums are the sums of an output.
type outputSums struct {
	name    string
	kind    string  // Score or Number for floats, as its first request was
	n       float64 // requests
	numbers []Mean  // scores and numbers
	shares  []Mean  // N is not used: it is n
	byText  map[string]int
	byValue map[int64]int

	values [sumColumns + 1]float64 // of the present request
	counts []float64               // by class, of the present request
	seen   []int                   // the classes in counts
}

// NewSums returns sums without answers, of versions with those outputs.
func NewSums(outputs []infer.TensorSpec) *Sums {
	return &Sums{labels: LabelsOf(outputs)}
}

// Offer adds an answer. It keeps nothing of it.
func (s *Sums) Offer(_ *infer.Request, resp *infer.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range resp.Outputs {
		t := &resp.Outputs[i]
		if t.Rows() > 0 && len(t.Data) > 0 {
			s.output(t.Name).add(t, s.labels[t.Name])
		}
	}
}

// Means returns the values so far, in the order in which they first appeared.
func (s *Sums) Means() (list []Mean) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.outputs {
		list = append(list, o.numbers...)
		for _, m := range o.shares {
			m.N = o.n
			list = append(list, m)
		}
	}
	return list
}

// Complete adds to the means of each of two versions the classes that only the other one has answered: their share is 0 of all its
// requests. If a version has answered more classes than Sums tells apart, the others may be among them, and nothing is added.
func Complete(a, b []Mean) (completeA, completeB []Mean) {
	return with(a, b), with(b, a)
}

// with returns the means of a version with the classes of the other one.
func with(list, other []Mean) []Mean {
	known, requests, classes := map[string]bool{}, map[string]float64{}, map[string]int{}
	for i := range list {
		m := &list[i]
		known[m.Name] = true
		if m.Kind == Share {
			requests[m.Output] = m.N
			classes[m.Output]++
		}
	}
	for _, m := range other {
		if n := requests[m.Output]; m.Kind == Share && !known[m.Name] && n > 0 && classes[m.Output] <= sumClasses {
			list = append(list, Mean{Name: m.Name, Output: m.Output, Kind: Share, N: n})
		}
	}
	return list
}

func (s *Sums) output(name string) *outputSums {
	for _, o := range s.outputs {
		if o.name == name {
			return o
		}
	}
	o := &outputSums{name: name, byText: map[string]int{}, byValue: map[int64]int{}}
	s.outputs = append(s.outputs, o)
	return o
}

// add adds an output of a request.
func (o *outputSums) add(t *infer.Tensor, labels []string) {
	o.n++
	all := int(t.Rows())
	rows := min(all, sumRows)
	count, _ := t.Shape.Elements()
	perRow := max(1, int(count)/all)
	read := infer.NumberReader(t.DType)
	switch {
	case read == nil:
		o.addTexts(t, rows, perRow)
	case isFloat(t.DType):
		if o.kind != Number && o.addScores(t, rows, labels, read) {
			o.kind = Score
		} else if o.kind != Score {
			o.kind = Number
			o.addNumbers(t, rows, perRow, read)
		}
	case perRow == 1:
		for row := range rows {
			v := read(t.Data[row*t.DType.Size():])
			o.count(o.class(int64(v), labels), 1/float64(rows))
		}
	}
	for _, class := range o.seen {
		o.shares[class].add(o.counts[class])
		o.counts[class] = 0
	}
	o.seen = o.seen[:0]
}

// addScores adds the best scores of the rows and their classes. It is false if there is a row without scores.
func (o *outputSums) addScores(t *infer.Tensor, rows int, labels []string, read func([]byte) float64) bool {
	sum, n, kind := 0.0, 0, Score
	row, all := scoreRows(t)
	for ; row.index < min(all, rows*row.perRow); row = row.next() {
		class, score, distribution := row.best(t, read)
		if !distribution && len(labels) == 0 {
			return n > 0
		}
		if sum, n = sum+score, n+1; !distribution {
			kind = Number // of logits
		}
		o.count(o.class(int64(class), labels), 1/float64(rows*row.perRow))
	}
	if n == 0 {
		return false
	}
	if len(o.numbers) == 0 {
		o.numbers = append(o.numbers, Mean{Name: o.name + ": best score", Output: o.name, Kind: kind})
	}
	o.numbers[0].add(sum / float64(n))
	return true
}

// addNumbers adds the means of the first columns, and the share of rows with a value that is not finite.
func (o *outputSums) addNumbers(t *infer.Tensor, rows, perRow int, read func([]byte) float64) {
	columns, width := min(perRow, sumColumns), t.DType.Size()
	values := o.values[:columns]
	clear(values)
	bad := 0
	for row := range rows {
		finite := true
		for c := range values {
			at := (row*perRow + c) * width
			if at+width > len(t.Data) {
				return
			}
			x := read(t.Data[at:])
			if math.IsNaN(x) || math.IsInf(x, 0) {
				finite = false
				continue
			}
			values[c] += x / float64(rows)
		}
		if !finite {
			bad++
		}
	}
	for c, x := range values {
		if c == len(o.numbers) {
			name := o.name
			if perRow > 1 {
				name += fmt.Sprintf("[%d]", c)
			}
			o.numbers = append(o.numbers, Mean{Name: name, Output: o.name, Kind: Number})
		}
		o.numbers[c].add(x)
	}
	if len(o.shares) == 0 {
		o.newClass(notFinite)
	}
	o.count(0, float64(bad)/float64(rows))
}

func (o *outputSums) addTexts(t *infer.Tensor, rows, perRow int) {
	data := t.Data
	for range rows * perRow {
		element, rest, ok := infer.NextElement(data)
		if !ok {
			return
		}
		data = rest
		o.count(o.text(element), 1/float64(rows*perRow))
	}
}

func (m *Mean) add(x float64) { m.N, m.Sum, m.Squares = m.N+1, m.Sum+x, m.Squares+x*x }

// count counts a share of the rows of the present request.
func (o *outputSums) count(class int, share float64) {
	for len(o.counts) <= class {
		o.counts = append(o.counts, 0)
	}
	if o.counts[class] == 0 {
		o.seen = append(o.seen, class)
	}
	o.counts[class] += share
}

// class returns the index of a class with a number.
func (o *outputSums) class(value int64, labels []string) int {
	if i, ok := o.byValue[value]; ok {
		return i
	}
	i := o.newClass(classOf(labels, value))
	if i < sumClasses { // the others would fill the map
		o.byValue[value] = i
	}
	return i
}

// text returns the index of a class with a text, of which the beginning counts.
func (o *outputSums) text(b []byte) int {
	const most = 40
	b = b[:min(len(b), most)]
	if i, ok := o.byText[string(b)]; ok {
		return i
	}
	i := o.newClass(string(bytes.ToValidUTF8(b, []byte("?"))))
	if i < sumClasses {
		o.byText[string(b)] = i
	}
	return i
}

// newClass returns the index of a new class, or of the others.
func (o *outputSums) newClass(name string) int {
	if len(o.shares) > sumClasses {
		return sumClasses
	}
	if len(o.shares) == sumClasses {
		name = others
	}
	o.shares = append(o.shares, Mean{Name: o.name + ": " + name, Output: o.name, Kind: Share})
	return len(o.shares) - 1
}
