package capture

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/internal/infer"
)

// The names of fields besides those of tensors and parameters that can be redacted.
const (
	fieldCaller    = "caller"
	fieldInput     = "input:"
	fieldOutput    = "output:"
	fieldParameter = "parameter:"
)

// signature is the model's part of a file's metadata.
type signature struct {
	Inputs  []signatureTensor `json:"inputs"`
	Outputs []signatureTensor `json:"outputs"`
}

type signatureTensor struct {
	Name     string   `json:"name"`
	DataType string   `json:"datatype"`
	Shape    []int64  `json:"shape"`
	Symbols  []string `json:"symbols,omitempty"`
	Labels   []string `json:"labels,omitempty"`
}

func signatureOf(specs []infer.TensorSpec) []signatureTensor {
	list := make([]signatureTensor, len(specs))
	for i := range specs {
		s := &specs[i]
		list[i] = signatureTensor{s.Name, s.DType.String(), append([]int64{}, s.Shape...), s.Symbols, s.Labels}
	}
	return list
}

func specsOf(list []signatureTensor) ([]infer.TensorSpec, bool) {
	specs := make([]infer.TensorSpec, len(list))
	for i := range list {
		d, ok := infer.ParseDType(list[i].DataType)
		if !ok {
			return nil, false
		}
		specs[i] = infer.TensorSpec{Name: list[i].Name, DType: d, Shape: list[i].Shape, Symbols: list[i].Symbols, Labels: list[i].Labels}
	}
	return specs, true
}

// The keys of the metadata of a file.
const (
	keyFormat    = "sluice.format"
	keyModel     = "sluice.model"
	keyVersion   = "sluice.version"
	keyDigest    = "sluice.digest"
	keySignature = "sluice.signature"
	keyGateway   = "sluice.gateway_version"
	keySample    = "sluice.sample"
	keyRedact    = "sluice.redact"
	keyHash      = "sluice.hash"
	keyKind      = "sluice.kind"

	formatVersion = "1"
)

// layout says how the requests of a version become rows.
type layout struct {
	model  *infer.Model
	redact map[string]bool
	hash   map[string]bool
	meta   [][2]string // the metadata of its files
	byRow  bool        // each row of a request is a row of the file
	tensor []tensorColumn
	// columns has the columns of files in their order. Each has one leaf, with the same index.
	columns []column
	schema  *parquet.Schema
	digest  string
}

// tensorColumn is the column of a tensor, with one of its shape if that varies.
type tensorColumn struct {
	name   string // "in.x"
	spec   *infer.TensorSpec
	output bool
	index  int
	hashed bool
	scalar bool // a row has one element
	shaped bool // the shape of a row varies
	leaf   int  // the index of the values' column; that of the shape is the next
}

// The columns before those of tensors, in this order.
const (
	columnRequest = iota
	columnClient
	columnRow
	columnRows
	columnTime
	columnRole
	columnReason
	columnCaller
	columnParameters
	columnDuration
	columnTensors
)

// newLayout returns the layout of a version with its settings.
func newLayout(m *infer.Model, digest string, s Settings, gateway string) (*layout, error) {
	l := &layout{model: m, redact: set(s.Redact), hash: set(s.Hash), byRow: splits(m)}
	sig, err := json.Marshal(signature{signatureOf(m.Inputs), signatureOf(m.Outputs)})
	if err != nil {
		return nil, err
	}
	l.meta = [][2]string{
		{keyFormat, formatVersion},
		{keyKind, kindRequests},
		{keyModel, m.Name},
		{keyVersion, strconv.FormatInt(m.Version, 10)},
		{keyDigest, digest},
		{keySignature, string(sig)},
		{keyGateway, gateway},
		{keySample, strconv.FormatFloat(float64(s.Sample)/10000, 'f', -1, 64)},
		{keyRedact, strings.Join(s.Redact, "\n")},
		{keyHash, strings.Join(s.Hash, "\n")},
	}
	return l, l.build()
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, name := range names {
		m[name] = true
	}
	return m
}

// splits reports whether the requests of a model consist of rows: all tensors have a free first
// dimension, and it has one name.
func splits(m *infer.Model) bool {
	symbol := ""
	for _, specs := range [][]infer.TensorSpec{m.Inputs, m.Outputs} {
		for i := range specs {
			s := &specs[i]
			if len(s.Shape) == 0 || s.Shape[0] >= 0 {
				return false
			}
			if len(s.Symbols) == 0 || s.Symbols[0] == "" {
				continue
			}
			if symbol != "" && symbol != s.Symbols[0] {
				return false
			}
			symbol = s.Symbols[0]
		}
	}
	return len(m.Inputs)+len(m.Outputs) > 0
}

// build makes the columns and the schema.
func (l *layout) build() error {
	text := parquet.String
	word := func() parquet.Node { return parquet.Encoded(parquet.String(), &parquet.RLEDictionary) }
	columns := []column{
		{name: "request_id", node: text()},
		{name: "id", node: parquet.Optional(text())},
		{name: "row", node: parquet.Int(32)},
		{name: "rows", node: parquet.Int(32)},
		{name: "time", node: parquet.Timestamp(parquet.Microsecond)},
		{name: "role", node: word()},
		{name: "reason", node: word()},
		{name: "caller", node: parquet.Optional(word())},
		{name: "parameters", node: parquet.Optional(text())},
		{name: "duration_us", node: parquet.Int(64)},
	}
	leaf := columnTensors
	add := func(prefix, field string, specs []infer.TensorSpec, output bool) {
		for i := range specs {
			s := &specs[i]
			if l.redact[field+s.Name] {
				continue
			}
			c := tensorColumn{name: prefix + s.Name, spec: s, output: output, index: i, hashed: l.hash[field+s.Name], leaf: leaf}
			c.scalar, c.shaped = rowForm(l.rowShape(s.Shape))
			columns = append(columns, column{c.name, parquet.Optional(c.node()), !c.scalar})
			leaf++
			if c.shaped {
				columns = append(columns, column{c.name + ".shape", parquet.Optional(parquet.List(parquet.Int(64))), true})
				leaf++
			}
			l.tensor = append(l.tensor, c)
		}
	}
	add("in.", fieldInput, l.model.Inputs, false)
	add("out.", fieldOutput, l.model.Outputs, true)
	return l.finish(columns)
}

// finish makes the schema and the digest.
func (l *layout) finish(columns []column) error {
	slices.SortFunc(l.meta, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) }) // so that the digest of a file that is read is the same
	group, err := newGroup(columns)
	if err != nil {
		return err
	}
	l.columns, l.schema = columns, parquet.NewSchema("row", group)
	sum := sha256.New()
	for _, c := range columns {
		sum.Write([]byte(strconv.Quote(c.name) + c.node.String()))
	}
	for _, entry := range l.meta {
		sum.Write([]byte(strconv.Quote(entry[0]) + strconv.Quote(entry[1])))
	}
	l.digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return nil
}

// rowShape returns the shape of a row of a tensor of a given shape.
func (l *layout) rowShape(s infer.Shape) infer.Shape {
	if l.byRow {
		return s[1:]
	}
	return s
}

// rowForm says how a row of a shape is written.
func rowForm(s infer.Shape) (scalar, shaped bool) {
	if slices.Contains(s, -1) {
		return false, true
	}
	for _, d := range s {
		if d != 1 {
			return false, false
		}
	}
	return true, false
}

// node returns the column's node.
func (c *tensorColumn) node() parquet.Node { //nolint:ireturn // nodes are interfaces
	leaf := c.leafNode()
	if c.scalar {
		return leaf
	}
	return parquet.List(leaf)
}

func (c *tensorColumn) leafNode() parquet.Node { //nolint:ireturn // as above
	if c.hashed {
		return parquet.String()
	}
	const byteBits = 8
	switch d := c.spec.DType; d {
	case infer.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case infer.Uint8, infer.Uint16, infer.Uint32, infer.Uint64:
		return parquet.Uint(d.Size() * byteBits)
	case infer.Int8, infer.Int16, infer.Int32, infer.Int64:
		return parquet.Int(d.Size() * byteBits)
	case infer.FP64:
		return parquet.Leaf(parquet.DoubleType)
	case infer.Bytes:
		return parquet.String()
	default: // FP16, BF16, FP32
		return parquet.Leaf(parquet.FloatType)
	}
}

// column is a column with its name.
type column struct {
	name string
	node parquet.Node
	list bool
}

// group is a group whose fields have an order, unlike those of parquet.Group.
type group struct {
	parquet.Group
	fields []parquet.Field
}

func newGroup(columns []column) (group, error) {
	g := group{Group: parquet.Group{}}
	for _, c := range columns {
		if g.Group[c.name] != nil {
			return g, infer.Errorf(infer.Invalid, "two columns would have the name '%s'", c.name)
		}
		g.Group[c.name] = c.node
	}
	ordered := make([]parquet.Field, len(columns))
	for _, f := range g.Group.Fields() {
		ordered[slices.IndexFunc(columns, func(c column) bool { return c.name == f.Name() })] = f
	}
	g.fields = ordered
	return g, nil
}

// Fields implements parquet.Node.
func (g group) Fields() []parquet.Field { return g.fields }
