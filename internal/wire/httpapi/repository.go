package httpapi

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// index answers POST /v2/repository/index.
func (x *exchange) index() error {
	var ask struct {
		Ready bool `json:"ready"`
	}
	leave, err := x.readControl(&ask)
	if err != nil {
		return err
	}
	defer leave()
	models := front.Visible(x.srv.front.Index(ask.Ready), x.caller)
	entries := make([]oip.IndexEntry, len(models))
	for i, m := range models {
		entries[i] = oip.IndexEntry{Name: m.Name, State: m.State, Reason: m.Reason}
		if m.Version != 0 {
			entries[i].Version = strconv.FormatInt(m.Version, 10)
		}
	}
	return x.document(oip.AppendRepositoryIndex(x.body(), entries))
}

// control answers POST /v2/repository/models/M/load and unload with 200 and no body, as Triton's
// clients expect.
func (x *exchange) control() error {
	by, err := front.Actor(x.caller, x.field)
	if err != nil {
		return err
	}
	var ask struct {
		Parameters map[string]json.RawMessage `json:"parameters"`
	}
	leave, err := x.readControl(&ask)
	if err != nil {
		return err
	}
	defer leave()
	load := x.target.endpoint == endpointLoad
	for name := range ask.Parameters {
		if err := front.CheckParameter(load, name); err != nil {
			return err
		}
	}
	err = x.srv.front.Control(x.srv.base, &front.Change{Load: load, Model: strings.Clone(x.target.model), By: by, RequestID: x.id, Triton: x.srv.triton})
	if err != nil {
		return err
	}
	x.ctx.SetStatusCode(fasthttp.StatusOK)
	x.setBody(x.body(), "application/json")
	return nil
}

// readControl decodes the body, an object or nothing, into doc. The request counts as a control
// document in progress until leave is called, but not while its body arrives.
func (x *exchange) readControl(doc any) (leave func(), err error) {
	limits := &x.srv.limits
	body, err := x.readBody(limits.MaxControlBytes)
	if err != nil {
		return nil, err
	}
	leave = x.srv.front.EndControl
	if err := x.srv.front.BeginControl(); err != nil {
		leave()
		return nil, err
	}
	if body, err = x.plainBody(body, limits.MaxControlBytes); err == nil {
		err = x.readJSON(body, doc)
	}
	x.endTurn()
	if err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

// inMemory is the max number of bytes in memory for a byte of a control document, for example for
// an object with many short members.
const inMemory = 16

// longControl is longText for a control document, since its decoder is slower.
const longControl = 8 << 10

// readJSON decodes body into doc.
func (x *exchange) readJSON(body []byte, doc any) error {
	if len(body) == 0 {
		return nil
	}
	if limit := x.srv.limits.Tensors.MaxNesting; nesting(body) > limit {
		return infer.Errorf(infer.Invalid, "the body is nested deeper than the limit of %d", limit)
	}
	if err := x.memory.Reserve(inMemory * len(body)); err != nil {
		return err
	}
	if len(body) >= longControl {
		x.takeTurn()
	}
	err := json.Unmarshal(body, doc)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return infer.Errorf(infer.Invalid, "field '%s' of the body must not be a JSON %s", wrong.Field, wrong.Value)
	case errors.As(err, &wrong):
		return infer.Errorf(infer.Invalid, "the body must be a JSON object, got %s", wrong.Value)
	case err != nil:
		return infer.Errorf(infer.Invalid, "the body is not valid JSON: %v", err)
	}
	return nil
}

// nesting returns the depth of nested arrays and objects. For text that is not JSON the result has
// no meaning.
func nesting(text []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}
