package loss

// Moments are the sums of losses and of their squares.
type Moments struct {
	Rows    uint64  `json:"rows"`
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
}

func (m *Moments) add(x float64) {
	m.Rows++
	m.Sum += x
	m.Squares += x * x
}

func (m *Moments) merge(o *Moments) {
	m.Rows, m.Sum, m.Squares = m.Rows+o.Rows, m.Sum+o.Sum, m.Squares+o.Squares
}

func (m *Moments) mean() float64 { return m.Sum / float64(max(1, m.Rows)) }

func (m *Moments) variance() float64 {
	n := float64(m.Rows)
	if n < 2 {
		return 0
	}
	mean := m.Sum / n
	return max((m.Squares-n*mean*mean)/(n-1), 0)
}

// blockRows are the numbers of rows of a block. Rows of one request are never in two blocks.
var blockRows = [...]uint64{16, 256}

// Sums are the sums of a sample, with those of its blocks of rows that came one after another.
type Sums struct {
	Moments

	Requests uint64                 `json:"requests"`
	Blocks   [len(blockRows)]Blocks `json:"blocks"`
}

// Blocks are sums over blocks: of the squares of their rows, of rows times losses, and of the squares
// of their losses.
type Blocks struct {
	Closed  int     `json:"closed"`
	Rows    float64 `json:"rows"`
	Product float64 `json:"product"`
	Sum     float64 `json:"sum"`
	Open    block   `json:"open"` // not yet in the sums
}

type block struct {
	Rows float64 `json:"rows"`
	Sum  float64 `json:"sum"`
}

// add adds a loss. same says that the row is of the same request as the one before.
func (s *Sums) add(x float64, same bool) {
	s.Moments.add(x)
	if !same {
		s.Requests++
	}
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if !same && b.Open.Rows >= float64(blockRows[i]) {
			b.close()
		}
		b.Open.Rows++
		b.Open.Sum += x
	}
}

func (b *Blocks) close() {
	b.Closed++
	b.Rows += b.Open.Rows * b.Open.Rows
	b.Product += b.Open.Rows * b.Open.Sum
	b.Sum += b.Open.Sum * b.Open.Sum
	b.Open = block{}
}

// inflation estimates the design effect: by how much the sums of blocks vary more than those of
// independent rows do. It also returns its degrees of freedom, 0 if nothing can be said.
func (b *Blocks) inflation(m *Moments) (ratio, freedom float64) {
	all := *b
	if b = &all; b.Open.Rows > 0 {
		b.close()
	}
	variance, mean, n := m.variance(), m.mean(), float64(m.Rows)
	expected := variance * (n - b.Rows/n)
	if b.Closed < 2 || !(expected > 0) {
		return 0, 0
	}
	found := b.Sum - 2*mean*b.Product + mean*mean*b.Rows
	return max(found/expected, 0), float64(b.Closed - 1)
}

// History is an average of design effects.
type History struct {
	Sum     float64 `json:"sum"` // of effects times freedom
	Freedom float64 `json:"freedom"`
}

// The weight in degrees of freedom of the assumption that rows are independent, and that of the
// most that is remembered.
const (
	assumed    = 4
	remembered = 512
)

func (h *History) value() float64 { return (h.Sum + assumed) / (h.Freedom + assumed) }

// observe adds an estimate. One counts with three times the average at most, so that a change does
// not look like dependence for long.
func (h *History) observe(ratio, freedom float64) {
	h.Sum += freedom * min(ratio, 3*h.value())
	h.Freedom += freedom
	if h.Freedom > remembered {
		h.Sum *= remembered / h.Freedom
		h.Freedom = remembered
	}
}

// with is the average together with an estimate that was not observed yet.
func (h *History) with(ratio, freedom float64) float64 {
	return (h.value()*(assumed+min(h.Freedom, freedom)) + ratio*freedom) / (assumed + min(h.Freedom, freedom) + freedom)
}
