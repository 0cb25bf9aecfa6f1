package httpapi

import (
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/rows"
)

// predictRows answers POST /v2/models/M[/versions/V]/predict, and /invocations for the default
// model. The body is a data frame, the answer has a prediction for each row.
func (x *exchange) predictRows() error { return x.inference(x.rows) }

// rows answers a data frame.
func (x *exchange) rows(called infer.Called, body []byte) error {
	body, err := x.plainBody(body, x.srv.limits.MaxInflatedBytes)
	if err != nil {
		return err
	}
	frame, err := x.decodeRows(called, body)
	if err != nil {
		return err
	}
	n := frame.Rows
	resp, err := x.askRows(frame, called)
	if err != nil {
		return err
	}
	if err := x.encodeRows(called.Model, n, resp); err != nil {
		return err
	}
	x.writeInference(x.out, -1)
	return nil
}

// decodeRows decodes the body for the version that would serve it.
func (x *exchange) decodeRows(called infer.Called, body []byte) (*rows.Frame, error) {
	csv, header, err := x.frameFormat(body)
	if err != nil {
		return nil, err
	}
	o := x.frameOptions(called)
	if len(body) >= longText {
		x.takeTurn()
	}
	if csv {
		return rows.DecodeCSV(body, header, o)
	}
	return rows.DecodeJSON(body, o)
}

func (x *exchange) frameOptions(called infer.Called) *rows.Options {
	limits := &x.srv.limits
	return &rows.Options{
		Model: called.Model, Columns: called.Columns, Memory: &x.memory,
		Limits: rows.Limits{
			MaxRows: limits.MaxRows, MaxColumns: limits.MaxColumns,
			MaxNesting: limits.Tensors.MaxNesting, MaxTensorBytes: limits.Tensors.MaxTensorBytes,
		},
	}
}

// askRows sends a frame to the predictor. It releases the frame and drops the body.
func (x *exchange) askRows(frame *rows.Frame, called infer.Called) (*infer.Response, error) {
	resp, err := x.ask(&infer.Request{Model: x.target.model, Version: x.target.version, Inputs: frame.Inputs, Memory: &x.memory}, called)
	frame.Release() // not deferred: after a panic something may still use it
	if err != nil {
		return nil, err
	}
	x.dropBody()
	return resp, nil
}

// encodeRows encodes a response to n rows into x.out, and releases it. model is the signature of
// the version that would serve; a fallback may have served.
func (x *exchange) encodeRows(model *infer.Model, n int, resp *infer.Response) (err error) {
	defer resp.Release()
	if err := front.CheckAnswer(resp.ByteSize(), x.srv.limits.MaxResponseBytes); err != nil {
		return err
	}
	if served := x.served.Version.Number; served != model.Version {
		if model, err = x.srv.front.Model(x.target.model, served); err != nil {
			model = nil // the version was unloaded; only the names of classes are lost
		}
	}
	x.out, err = rows.AppendPredictions(x.body(), resp, &rows.Answer{
		Rows: n, NonFinite: x.srv.opts.RowsNonFinite, Bare: x.target.endpoint == endpointInvocations, Model: model, Grow: x.growAnswer,
	})
	return err
}
