package compare

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Pair has the answers of two versions to a request.
type Pair struct {
	ID                   string // the request's
	Inputs               []infer.Tensor
	Named                map[string]bool // outputs that have scores of classes, besides those with labels
	Reference, Candidate []infer.Tensor
	// The times that the versions took, 0 if they are not known.
	ReferenceTook, CandidateTook time.Duration
}

// The limits of what a comparison lists.
const (
	worstRows    = 10
	classChanges = 10
	maxClasses   = 1000 // pairs of classes that are counted
)

// Deviation is the difference from which two numbers disagree, in standard deviations of the reference's
// numbers of that output. It is known from some numbers on.
const (
	Deviation = 0.5
	some      = 30
)

// Comparison compares answers, request by request. It is not safe for concurrent use.
type Comparison struct {
	o                    Options
	compared, differing  int
	outputs              map[string]*output
	worst                []api.RowDifference // the largest first
	sizes                []float64           // of worst
	reference, candidate latencies

	disagreed []bool // rows of the present pair
}

// output is the sums of an output.
type output struct {
	api.OutputDifference

	equal               int // elements
	n, sum, squares     float64
	differences, finite float64 // the sum of the differences, and the number of them
	scores              [2]float64
	changes             map[[2]int]int // rows by their best classes, if these differ
}

// Options configure a Comparison.
type Options struct {
	Tolerance float64 // an element differs if it is further than this · max(1, its size) from the reference's
	Payloads  bool    // show texts and inputs of the rows that differ most
	// Labels has the names of classes by output, see LabelsOf.
	Labels map[string][]string
}

// New returns a comparison without answers.
func New(o Options) *Comparison { return &Comparison{o: o, outputs: map[string]*output{}} }

// Add compares two answers. It returns the share of rows that disagree, as the package says; an output that
// is missing or has another form disagrees in all rows.
func (c *Comparison) Add(p *Pair) (disagreement float64) {
	c.reference.add(p.ReferenceTook)
	c.candidate.add(p.CandidateTook)
	if len(p.Reference) == 0 {
		return 0
	}
	c.compared++
	c.disagreed = c.disagreed[:0]
	same := true
	for i := range p.Reference {
		want := &p.Reference[i]
		d := c.outputs[want.Name]
		if d == nil {
			d = &output{OutputDifference: api.OutputDifference{Name: want.Name}, changes: map[[2]int]int{}}
			c.outputs[want.Name] = d
		}
		at := slices.IndexFunc(p.Candidate, func(t infer.Tensor) bool { return t.Name == want.Name })
		switch {
		case at < 0:
			d.Missing++
		case p.Candidate[at].DType != want.DType || !p.Candidate[at].Shape.Equal(want.Shape):
			d.Reshaped++
		default:
			d.Compared++
			same = c.compare(p, d, want, &p.Candidate[at]) && same
			continue
		}
		same, disagreement = false, 1
	}
	if !same {
		c.differing++
	}
	if disagreement == 1 || len(c.disagreed) == 0 {
		return disagreement
	}
	count := 0
	for _, bad := range c.disagreed {
		if bad {
			count++
		}
	}
	return float64(count) / float64(len(c.disagreed))
}

// disagree marks a row.
func (c *Comparison) disagree(row int) {
	c.cover(row + 1)
	c.disagreed[row] = true
}

// cover makes room for the marks of some rows.
func (c *Comparison) cover(rows int) {
	for len(c.disagreed) < rows {
		c.disagreed = append(c.disagreed, false)
	}
}

// compare compares two tensors of the same form. It is false for a difference beyond the tolerance.
func (c *Comparison) compare(p *Pair, d *output, want, got *infer.Tensor) bool {
	rows := max(1, int(want.Rows()))
	c.cover(rows)
	count, _ := want.Shape.Elements()
	perRow := max(1, int(count)/rows)
	beyond := d.Beyond
	read := infer.NumberReader(want.DType)
	if read == nil {
		c.compareTexts(p, d, want, got, perRow)
		return d.Beyond == beyond
	}
	exact := !isFloat(want.DType)
	near := d.near()
	scored := d.compareScores(c, p.Named[want.Name] || len(c.o.Labels[want.Name]) > 0, want, got, read)
	width := want.DType.Size()
	worst := api.RowDifference{}
	size := -1.0
	for i := 0; (i+1)*width <= len(want.Data) && (i+1)*width <= len(got.Data); i++ {
		row := i / perRow
		if i%perRow == 0 && size >= 0 {
			c.worse(p, worst, size)
			size = -1
		}
		a, b := want.Data[i*width:(i+1)*width], got.Data[i*width:(i+1)*width]
		x, y := read(a), read(b)
		far := d.number(x, y, bytes.Equal(a, b))
		if far > c.o.Tolerance {
			d.Beyond++
			if far > size {
				worst, size = api.RowDifference{RequestID: p.ID, Output: want.Name, Row: row, Element: i % perRow, Reference: numberText(x), Candidate: numberText(y)}, far
			}
		}
		if !scored && (exact && far > 0 || !exact && !(math.Abs(x-y) <= near) && far > 0) {
			c.disagree(row)
		}
	}
	if size >= 0 {
		c.worse(p, worst, size)
	}
	return d.Beyond == beyond
}

func isFloat(d infer.DType) bool {
	return d == infer.FP16 || d == infer.BF16 || d == infer.FP32 || d == infer.FP64
}

// near returns the largest difference of numbers that agree. It is infinite while too few are known.
func (d *output) near() float64 {
	if d.n < some {
		return math.Inf(1)
	}
	mean := d.sum / d.n
	return Deviation * math.Sqrt(max(0, d.squares/d.n-mean*mean))
}

// number counts an element, and returns its difference in parts of max(1, its size).
func (d *output) number(x, y float64, identical bool) float64 {
	d.Elements++
	finite := !math.IsNaN(x) && !math.IsInf(x, 0)
	if finite {
		d.n, d.sum, d.squares = d.n+1, d.sum+x, d.squares+x*x
	}
	if math.IsNaN(x) {
		d.NaNReference++
	}
	if math.IsNaN(y) {
		d.NaNCandidate++
	}
	switch {
	case identical, x == y && math.Abs(x) < 1<<53, math.IsInf(x, 0) && x == y, math.IsNaN(x) && math.IsNaN(y):
		d.equal++
		if finite {
			d.finite++
		}
		return 0
	case math.IsNaN(x) || math.IsNaN(y):
		return math.Inf(1)
	}
	diff := math.Abs(x - y)
	d.MaxAbsolute = max(d.MaxAbsolute, api.Number(diff))
	if relative := diff / max(math.Abs(x), math.Abs(y)); !math.IsNaN(relative) {
		d.MaxRelative = max(d.MaxRelative, api.Number(relative))
	}
	if math.IsInf(diff, 0) {
		return diff
	}
	d.finite, d.differences = d.finite+1, d.differences+y-x
	return diff / max(1, math.Abs(x))
}

// compareTexts compares tensors of BYTES: an element is equal or not.
func (c *Comparison) compareTexts(p *Pair, d *output, want, got *infer.Tensor, perRow int) {
	for i, x, y := 0, want.Data, got.Data; len(x) > 0; i++ {
		var a, b []byte
		var ok, found bool
		if a, x, ok = infer.NextElement(x); !ok {
			return
		}
		b, y, found = infer.NextElement(y)
		d.Elements++
		if found && bytes.Equal(a, b) {
			d.equal++
			continue
		}
		d.Beyond++
		c.disagree(i / perRow)
		c.worse(p, api.RowDifference{RequestID: p.ID, Output: want.Name, Row: i / perRow, Element: i % perRow, Reference: c.text(a), Candidate: c.text(b)}, math.Inf(1))
	}
}

// compareScores compares the best class of each row, if an output has scores of classes. It is false if no row has.
func (d *output) compareScores(c *Comparison, named bool, want, got *infer.Tensor, read func([]byte) float64) (scored bool) {
	row, rows := scoreRows(want)
	for ; row.index < rows; row = row.next() {
		before, score, distribution := row.best(want, read)
		if !named && !distribution {
			continue
		}
		now, other, _ := row.best(got, read)
		scored = true
		d.Top1Rows++
		d.scores[0] += score
		d.scores[1] += other
		if before == now {
			d.Top1Agree++
			continue
		}
		c.disagree(row.index / row.perRow)
		if change := [2]int{before, now}; d.changes[change] > 0 || len(d.changes) < maxClasses {
			d.changes[change]++
		}
	}
	return scored
}

// worse adds a difference, if it is one of the largest.
func (c *Comparison) worse(p *Pair, d api.RowDifference, size float64) {
	i, _ := slices.BinarySearchFunc(c.sizes, size, func(a, b float64) int { return cmp.Or(cmp.Compare(b, a), -1) })
	if i < worstRows {
		if c.o.Payloads {
			d.Inputs = inputsOf(p.Inputs, d.Row)
		}
		c.worst = slices.Insert(c.worst[:min(len(c.worst), worstRows-1)], i, d)
		c.sizes = slices.Insert(c.sizes[:min(len(c.sizes), worstRows-1)], i, size)
	}
}

// Report returns the differences so far.
func (c *Comparison) Report() api.Comparison {
	r := api.Comparison{
		Compared: c.compared, Differing: c.differing, Tolerance: c.o.Tolerance, Outputs: []api.OutputDifference{}, Worst: append([]api.RowDifference{}, c.worst...),
		Reference: c.reference.summary(), Candidate: c.candidate.summary(),
	}
	for _, o := range c.outputs {
		d := o.OutputDifference
		d.Equal = api.Number(float64(o.equal) / float64(o.Elements)) // NaN if there is none
		d.MeanDifference = api.Number(o.differences / o.finite)
		d.Top1Reference, d.Top1Candidate = api.Number(o.scores[0]/float64(o.Top1Rows)), api.Number(o.scores[1]/float64(o.Top1Rows))
		d.Changes = o.largestChanges(c.o.Labels[o.Name])
		r.Outputs = append(r.Outputs, d)
	}
	slices.SortFunc(r.Outputs, func(a, b api.OutputDifference) int { return cmp.Compare(a.Name, b.Name) })
	return r
}

func (d *output) largestChanges(labels []string) []api.ClassChange {
	list := make([]api.ClassChange, 0, len(d.changes))
	for change, rows := range d.changes {
		list = append(list, api.ClassChange{From: classOf(labels, int64(change[0])), To: classOf(labels, int64(change[1])), Rows: rows})
	}
	slices.SortFunc(list, func(a, b api.ClassChange) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return list[:min(len(list), classChanges)]
}

// text shows an element of text, or only its length.
func (c *Comparison) text(b []byte) string {
	if !c.o.Payloads {
		return strconv.Itoa(len(b)) + " bytes"
	}
	return shortText(b)
}

func shortText(b []byte) string {
	const most = 40
	return strconv.Quote(string(b[:min(len(b), most)]))
}

func numberText(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }
