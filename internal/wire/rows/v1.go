package rows

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"sluice.io/sluice/internal/infer"
)

// base64Key is the only key of an object for bytes: {"b64": "AAEC"}.
const base64Key = "b64"

// bytesSuffix is the end of the names of outputs that TensorFlow Serving writes as base64.
const bytesSuffix = "_bytes"

// DecodeV1 decodes the body of a predict call of TensorFlow Serving or KServe V1: "instances" (row
// format) or "inputs" (column format), and {"b64": "AAEC"} as an element of BYTES. Other members,
// such as signature_name, are ignored. It has the same errors as DecodeJSON.
func DecodeV1(body []byte, o *Options) (*Frame, error) {
	v1 := *o
	v1.v1 = true
	return DecodeJSON(body, &v1)
}

// element reads one value of a frame: a scalar, or base64.
func (d *jsonFrame) element() (value, error) {
	if !d.v1 || d.peek() != '{' {
		return d.scalar()
	}
	var found value
	n := 0
	err := d.object(func(key value) (err error) {
		if n++; n > 1 || string(key.text) != base64Key {
			return invalid("expected a value, or an object with the only key '%s'", base64Key)
		}
		if found, err = d.scalar(); err == nil && found.kind != text {
			return invalid("'%s' must be a string, got %v", base64Key, found)
		}
		return err
	})
	if err == nil && n == 0 {
		err = invalid("expected a value, or an object with the key '%s'", base64Key)
	}
	found.base64 = true
	return found, err
}

// isBase64 reports whether the first instance is an element of the only input and not a record. The
// syntax must have been checked.
func (d *jsonFrame) isBase64(first reader) bool {
	if _, column := d.columns.Find([]byte(base64Key)); !d.v1 || column {
		return false
	}
	keys, match := 0, false
	err := first.object(func(key value) error {
		keys++
		match = string(key.text) == base64Key
		return first.skip()
	})
	return err == nil && keys == 1 && match
}

// joinBase64 appends the decoded bytes of an element of a string tensor. They are fewer than the
// encoded characters, for which there is room.
func (b *builder) joinBase64(in *input, at int, encoded []byte, escaped bool) (err error) {
	if escaped { // PHP writes a slash as \/
		if err := b.reserve(len(encoded)); err != nil {
			return err
		}
		encoded = b.plain(make([]byte, 0, len(encoded)), encoded)
	}
	start := len(in.data)
	in.data = infer.AppendElement(in.data, "")
	elements := len(in.data)
	if in.data, err = base64.StdEncoding.AppendDecode(in.data, encoded); err != nil {
		return invalid("row %d, value %d of input '%s': '%s' is not valid base64", at/in.elements, at%in.elements, in.spec.Name, base64Key)
	}
	binary.LittleEndian.PutUint32(in.data[start:], uint32(len(in.data)-elements)) //nolint:gosec // of a body
	return nil
}

// AppendOutputs appends {"outputs": ...} to dst, the answer to the column format of TensorFlow
// Serving: the only output, or an object with the outputs by name. Each is nested like its shape,
// and need not have the rows of the request. Errors are Invalid (data that JSON cannot express),
// Internal and those of Answer.Grow.
func AppendOutputs(dst []byte, resp *infer.Response, a *Answer) ([]byte, error) {
	start := len(dst)
	dst, err := a.appendOutputs(dst, resp)
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

func (a *Answer) appendOutputs(dst []byte, resp *infer.Response) (_ []byte, err error) {
	if dst, err = a.grow(dst, len(`{"outputs":{`)); err != nil {
		return dst, err
	}
	dst = append(dst, `{"outputs":`...)
	named := len(resp.Outputs) != 1
	if named {
		dst = append(dst, '{')
	}
	for i := range resp.Outputs {
		t := &resp.Outputs[i]
		n, ok := t.Shape.Elements()
		if !ok {
			return dst, infer.Errorf(infer.Internal, "output '%s' has shape %v", t.Name, t.Shape)
		}
		c := &column{Tensor: t, dims: t.Shape, elements: int(n), base64: strings.HasSuffix(t.Name, bytesSuffix)}
		if named {
			key := appendKey(t.Name)
			if dst, err = a.grow(dst, len(key)+punctuation); err != nil {
				return dst, err
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, key...)
		}
		if dst, err = a.appendValues(dst, c, wholeOutput); err != nil {
			return dst, err
		}
	}
	if named {
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

// appendBase64 appends an element of BYTES as {"b64":"..."}.
func (a *Answer) appendBase64(dst, element []byte) ([]byte, error) {
	dst, err := a.grow(dst, len(`{"b64":""}`)+base64.StdEncoding.EncodedLen(len(element)))
	if err != nil {
		return dst, err
	}
	dst = append(dst, `{"b64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, element)
	return append(dst, `"}`...), nil
}
