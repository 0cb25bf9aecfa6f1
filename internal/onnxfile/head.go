package onnxfile

import (
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Head is a model file's information about itself besides its graph.
type Head struct {
	Producer string            // the library that wrote it, "skl2onnx" for example
	Labels   map[string]string // the metadata that may list class labels, by key
}

// Fields of ModelProto for a head.
const modelProducer, modelMetadata = 2, 14

// LabelKeys are the keys of metadata that may have class labels, in the order of use: "names"
// is from ultralytics, "id2label" from Hugging Face configurations, and "class_to_idx" from
// torchvision's data sets.
func LabelKeys() []string {
	return []string{"labels", "classes", "names", "class_names", "class_labels", "id2label", "class_to_idx"}
}

// ReadHead reads the head of the model at path in root. It leaves out metadata whose value is
// longer than maxBytes. The error is that of VerifyExternalData if the file cannot be read or
// is not an ONNX model.
func ReadHead(root *os.Root, path string, maxBytes int) (Head, error) {
	h := Head{Labels: map[string]string{}}
	err := open(root, path, nil, func(w *walker, size int64) error {
		return w.fields(span{0, size}, func(f field) (err error) {
			switch {
			case f.typ != protowire.BytesType:
			case f.number == modelProducer:
				f.to = min(f.to, f.from+maxTextBytes)
				h.Producer, err = w.text(f.span)
			case f.number == modelMetadata:
				err = w.metadata(f.span, h.Labels, maxBytes)
			}
			return err
		})
	})
	return h, err
}

// metadata reads an entry if it may list class labels.
func (w *walker) metadata(s span, found map[string]string, maxBytes int) error {
	var key string
	var value span
	err := w.fields(s, func(f field) (err error) {
		switch {
		case f.typ != protowire.BytesType:
		case f.number == entryKey && f.to-f.from <= maxTextBytes:
			key, err = w.text(f.span)
		case f.number == entryValue:
			value = f.span
		}
		return err
	})
	if err != nil || !slices.Contains(LabelKeys(), key) || value.to-value.from > int64(maxBytes) {
		return err
	}
	found[key], err = w.long(value)
	return err
}

// long returns a text that may be longer than the window.
func (w *walker) long(s span) (string, error) {
	b := make([]byte, 0, s.to-s.from)
	for s.from < s.to {
		part := span{s.from, min(s.to, s.from+windowBytes)}
		p, err := w.bytes(part)
		if err != nil {
			return "", err
		}
		b = append(b, p...)
		s.from = part.to
	}
	return string(b), nil
}
