package labels

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// The predictions of shadows are in a bucket of their own, since a request has one of each shadow:
//
//	length of the id u16 | id | version u64            → prediction
//	length of the id u16 | id | version u64 | row u32  → label
//
// They come some time after the one that was answered, also after its labels.

func shadowKey(id []byte) []byte { return appendText(nil, string(id)) }

// keepShadow writes the prediction of a shadow, and joins it with the labels that are known.
func (w *writing) keepShadow(model string, p *part, e *entry, record *prediction) error {
	if p.shadows == nil {
		b, err := w.slices[0].bucket.Bucket([]byte(model)).CreateBucket([]byte(shadowsKey))
		if err != nil {
			return err
		}
		p.shadows = b
	}
	key := binary.BigEndian.AppendUint64(shadowKey(e.id), uint64(record.version)) //nolint:gosec // only compared
	if err := forget(p.shadows, key); err != nil {
		return err
	}
	if err := p.shadows.Put(key, e.record); err != nil {
		return err
	}
	w.grown += uint64(len(key) + len(e.record))
	return w.adopt(model, &target{w.slices[0], p.shadows, e.id, key, *record})
}

// adopt joins the prediction of a shadow with the labels of the one that was answered.
func (w *writing) adopt(model string, t *target) error {
	found, id, record := w.find(model, string(t.id))
	if found == nil {
		return nil
	}
	form, err := w.formOf(record.form)
	if err != nil {
		return err
	}
	b := &batch{model: model, o: JoinOptions{Watermark: math.MaxInt64}}
	known := found.of(model).labels
	for _, key := range rowsOf(known, id) {
		r := Row{Row: int(binary.BigEndian.Uint32(key[len(id):])), Label: form.labelOf(known.Get(key))}
		if _, err := w.label(b, &r, t); err != nil {
			return err
		}
	}
	return nil
}

// shadowsOf returns the predictions that shadows made of a request, the newest of each version.
func (w *writing) shadowsOf(model string, id []byte) (list []target) {
	prefix := shadowKey(id)
	for _, s := range w.slices {
		p := s.of(model)
		if p == nil || p.shadows == nil {
			continue
		}
		c := p.shadows.Cursor()
		for key, value := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, value = c.Next() {
			record, ok := parsePrediction(value)
			known := slices.ContainsFunc(list, func(t target) bool { return bytes.Equal(t.key, key) })
			if len(key) == len(prefix)+8 && ok && !known {
				list = append(list, target{s, p.shadows, id, key, record})
			}
		}
	}
	return list
}

// labelOf returns a stored label as it may be sent again.
func (f *Form) labelOf(stored []byte) Label {
	l, class := f.restore(stored)
	if f.Kind == kindValue || f.Kind == kindClass {
		return l
	}
	return TextLabel(f.Name(class), true)
}
