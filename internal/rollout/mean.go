package rollout

// Mean is the sums of values from 0 to 1, one for each request.
type Mean struct{ N, Sum, Squares float64 }

// Add adds a value.
func (m *Mean) Add(x float64) { m.N, m.Sum, m.Squares = m.N+1, m.Sum+x, m.Squares+x*x }

// Plus returns the sums of both.
func (m Mean) Plus(o Mean) Mean { return Mean{m.N + o.N, m.Sum + o.Sum, m.Squares + o.Squares} }
