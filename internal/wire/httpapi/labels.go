package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
)

// Labels takes what was true of predictions that were kept.
type Labels interface {
	// Labels joins the labels of a body with predictions of a model or a route. When it returns
	// without an error, they are on disk. It has the errors of front.Catalog and those of the body's
	// memory, and Invalid, TooLarge, Conflict if no predictions are kept, and Unavailable if nothing
	// can be written.
	Labels(ctx context.Context, name string, body LabelBody) (api.LabelResult, error)
}

// LabelFormat is the format of a body with labels.
type LabelFormat string

// The formats of labels.
const (
	LabelsJSON    LabelFormat = "json"
	LabelsCSV     LabelFormat = "csv"
	LabelsParquet LabelFormat = "parquet"
)

// LabelBody is a body with labels.
type LabelBody struct {
	Format   LabelFormat
	Data     []byte
	MaxBytes int          // of what a format that is compressed in itself becomes
	Memory   infer.Memory // of the request: it reserves here what is more than labelBytes for each byte of the body
}

// labelBytes is the max size in memory of what becomes of a byte of labels: a row of at least 30
// bytes has a result in memory and in the answer.
const labelBytes = 2

// labels answers POST /v2/models/M/labels.
func (x *exchange) labels() error {
	body, err := x.readBody(x.srv.limits.MaxBodyBytes)
	if err != nil {
		return err
	}
	defer x.srv.front.EndControl()
	if err := x.srv.front.BeginControl(); err != nil {
		return err
	}
	if body, err = x.plainBody(body, x.srv.limits.MaxInflatedBytes); err != nil {
		return err
	}
	format, err := x.labelFormat(body)
	if err != nil {
		return err
	}
	if err := x.memory.Reserve(labelBytes * len(body)); err != nil {
		return err
	}
	result, err := x.srv.opts.Labels.Labels(x.srv.base, strings.Clone(x.target.model), LabelBody{
		Format: format, Data: body, MaxBytes: x.srv.limits.MaxInflatedBytes, Memory: &x.memory,
	})
	if err != nil {
		return err
	}
	x.dropBody()
	text, err := json.Marshal(&result)
	if err != nil {
		return err
	}
	x.setBody(append(x.body(), text...), "application/json")
	return nil
}

// labelFormat returns the format of a body, by its type and its beginning.
func (x *exchange) labelFormat(body []byte) (LabelFormat, error) {
	kind := mediaType(x.header.contentType)
	switch {
	case bytes.EqualFold(kind, []byte("text/csv")):
		return LabelsCSV, nil
	case bytes.EqualFold(kind, []byte("application/vnd.apache.parquet")):
		return LabelsParquet, nil
	case len(kind) == 0, isJSON(kind), beginsAsJSON(body):
		return LabelsJSON, nil
	default:
		return "", infer.Errorf(infer.UnsupportedMedia,
			"a body of type '%s' is not supported; send labels as application/json, text/csv or application/vnd.apache.parquet", front.Cut(view(kind)))
	}
}
