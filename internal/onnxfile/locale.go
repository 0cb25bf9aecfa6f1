package onnxfile

import (
	"io"
	"runtime"

	"google.golang.org/protobuf/encoding/protowire"

	"sluice.io/sluice/internal/infer"
)

const (
	// defaultLocale is the locale of a StringNormalizer without the attribute. Containers
	// seldom have it, and ONNX Runtime then refuses the model.
	defaultLocale = "en_US.UTF-8"
	// plainLocale is part of every glibc that ONNX Runtime runs on. It has the same upper and
	// lower case for all characters of Unicode as en_US.UTF-8: both have one source in glibc.
	plainLocale = "C.UTF-8"

	// maxNormalizer bounds the node in bytes, since it may list words to leave out.
	maxNormalizer = 4 << 20

	attributeString = 3 // the type of an attribute
)

// normalizer sets the plain locale of a StringNormalizer with the default locale.
func (a *adapter) normalizer(f field) error {
	if runtime.GOOS != "linux" || f.to-f.from > maxNormalizer {
		return nil
	}
	locale, attribute := defaultLocale, field{span: span{f.to, f.to}, tag: f.to}
	err := a.fields(f.span, func(x field) error {
		if x.number != nodeAttribute || x.typ != protowire.BytesType {
			return nil
		}
		var name, value string
		if err := a.named(x.span, attributeName, func(s string) { name = s }); err != nil || name != "locale" {
			return err
		}
		attribute = x
		err := a.named(x.span, attributeText, func(s string) { value = s })
		locale = value
		return err
	})
	if err != nil || locale != defaultLocale {
		return err
	}
	node := make([]byte, f.to-f.from)
	if _, err := io.ReadFull(io.NewSectionReader(a.file, f.from, f.to-f.from), node); err != nil {
		return &infer.Error{Code: infer.Internal, Op: "onnxfile: adapt", Msg: "cannot read the model file", Err: err}
	}
	plain := message(nil, nodeAttribute, text(attributeName, "locale"), text(attributeText, plainLocale), number(attributeType, attributeString))
	a.edits = append(a.edits, edit{f, message(nil, graphNode, node[:attribute.tag-f.from], plain, node[attribute.to-f.from:])})
	return nil
}
