package httpapi

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
)

// setting answers the endpoints of settings.
func (x *exchange) setting() error {
	if x.target.endpoint == endpointLogging {
		return x.logging()
	}
	return x.traceSetting()
}

// traceSetting answers GET and POST /v2/trace/setting and /v2/models/M/trace/setting.
func (x *exchange) traceSetting() error {
	model := strings.Clone(x.target.model)
	if model != "" {
		if _, err := x.srv.front.Model(model, 0); err != nil {
			return err
		}
	}
	if x.ctx.IsPost() {
		err := x.changeSetting(func(settings map[string]json.RawMessage, by api.Actor) error {
			var change front.TraceChange
			for name, raw := range settings {
				values, err := traceValues(name, raw)
				if err != nil {
					return err
				}
				if err := change.Read(front.TraceSetting{Name: name, Values: values}); err != nil {
					return err
				}
			}
			return x.srv.front.ChangeTraces(model, change, by, x.id)
		})
		if err != nil {
			return err
		}
	}
	doc := map[string]any{}
	for _, s := range x.srv.front.CurrentTraces(model).List() {
		if doc[s.Name] = any(s.Values[0]); s.Name == "trace_level" {
			doc[s.Name] = s.Values
		}
	}
	return x.settings(doc)
}

// traceValues returns the values of a setting: of text, a number, or a list of texts. null has none.
func traceValues(name string, raw json.RawMessage) ([]string, error) {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case string:
		return []string{v}, nil
	case json.Number:
		return []string{v.String()}, nil
	default:
		return nil, infer.Errorf(infer.Invalid, "trace setting '%s' is not text, a list of texts or null", front.Cut(name))
	}
}

// logging answers GET and POST /v2/logging.
func (x *exchange) logging() error {
	if x.ctx.IsPost() {
		err := x.changeSetting(func(settings map[string]json.RawMessage, by api.Actor) error {
			var change front.LogChange
			for name, raw := range settings {
				if err := change.Read(name, logValue(raw)); err != nil {
					return err
				}
			}
			return x.srv.front.ChangeLogs(change, by, x.id)
		})
		if err != nil {
			return err
		}
	}
	s := x.srv.front.CurrentLogs()
	return x.settings(struct {
		File    string `json:"log_file"`
		Info    bool   `json:"log_info"`
		Warning bool   `json:"log_warning"`
		Error   bool   `json:"log_error"`
		Verbose uint32 `json:"log_verbose_level"`
		Format  string `json:"log_format"`
	}{"", s.Info, s.Warning, s.Error, s.Verbose, s.Format})
}

// logValue returns a setting as front.LogChange reads it; nil if it can be none.
func logValue(raw json.RawMessage) any {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return nil
	}
	if n, ok := value.(float64); ok {
		if n < 0 || n > math.MaxUint32 || n != math.Trunc(n) {
			return nil
		}
		return uint32(n)
	}
	return value
}

// changeSetting reads the body, an object or nothing, and calls change with it, for a caller that
// may change settings.
func (x *exchange) changeSetting(change func(settings map[string]json.RawMessage, by api.Actor) error) error {
	by, err := front.Actor(x.caller, x.field)
	if err != nil {
		return err
	}
	var ask map[string]json.RawMessage
	leave, err := x.readControl(&ask)
	if err != nil {
		return err
	}
	defer leave()
	return change(ask, by)
}

func (x *exchange) settings(doc any) error {
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return x.document(append(x.body(), body...))
}
