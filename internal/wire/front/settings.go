package front

import (
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Settings are what clients of Triton change at run time: what is traced and what is logged. Its
// errors are *infer.Error with texts for the caller.
type Settings interface {
	// CurrentTraces returns the settings of a called name; an empty one means those of all models.
	CurrentTraces(model string) TraceSettings
	SetTraces(model string, c TraceChange, by api.Actor) error
	CurrentLogs() LogSettings
	SetLogs(c LogChange, by api.Actor) error
}

// TraceSettings say which requests are traced.
type TraceSettings struct {
	On    bool   `json:"on"`
	Rate  uint64 `json:"rate"`  // one of that many requests is traced if its caller has not decided; 0: none
	Count int64  `json:"count"` // how many more of these; negative: any number
}

// TraceChange changes some settings of traces. A cleared setting of a model follows that of all
// models, which follows the configuration if it is cleared itself.
type TraceChange struct {
	On                             *bool
	Rate                           *uint64
	Count                          *int64
	ClearOn, ClearRate, ClearCount bool
}

// LogSettings say which lines are logged.
type LogSettings struct {
	Info    bool   `json:"info"`
	Warning bool   `json:"warning"`
	Error   bool   `json:"error"`
	Verbose uint32 `json:"verbose"` // lines for debugging are logged if it is not 0
	Format  string `json:"format"`  // LogDefault or LogISO8601
}

// The formats of the log. Times are in the format of ISO 8601 in both.
const (
	LogDefault = "default"
	LogISO8601 = "ISO8601"
)

// LogChange changes the settings of the log that are not nil.
type LogChange struct {
	Info, Warning, Error *bool
	Verbose              *uint32
	Format               *string
}

// A TraceSetting is a setting of traces as Triton's clients send it. Without values it is cleared.
type TraceSetting struct {
	Name   string
	Values []string
}

// Read adds a setting to the change. Unknown names are ignored, as Triton does.
func (c *TraceChange) Read(s TraceSetting) error {
	value := ""
	if len(s.Values) > 0 {
		value = s.Values[0]
	}
	switch s.Name {
	case "trace_file":
		return infer.Errorf(infer.Unsupported, "trace file location can not be updated through network protocol")
	case "trace_mode":
		if len(s.Values) > 0 && value != "opentelemetry" {
			return infer.Errorf(infer.Unsupported, "trace mode can not be updated through network protocol: it is always 'opentelemetry'")
		}
	case "log_frequency":
		if len(s.Values) > 0 && value != "0" {
			return infer.Errorf(infer.Unsupported, "'log_frequency' is not supported: traces are exported over OTLP, not written to files; expected 0")
		}
	case "trace_level":
		return c.readLevel(s.Values)
	case "trace_rate":
		if c.ClearRate = len(s.Values) == 0; c.ClearRate {
			return nil
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || len(s.Values) > 1 {
			return unreadable(s, "0", "4294967295")
		}
		c.Rate = &n
	case "trace_count":
		if c.ClearCount = len(s.Values) == 0; c.ClearCount {
			return nil
		}
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || n < -1 || len(s.Values) > 1 {
			return unreadable(s, "-1", "2147483647")
		}
		c.Count = &n
	}
	return nil
}

func (c *TraceChange) readLevel(levels []string) error {
	on := true
	for _, level := range levels {
		switch level {
		case "TIMESTAMPS":
		case "OFF":
			if on = false; len(levels) > 1 {
				return infer.Errorf(infer.Invalid, "Expect only one trace level 'OFF' is specified")
			}
		case "TENSORS", "MIN", "MAX":
			return infer.Errorf(infer.Unsupported, "trace level '%s' is not supported: spans have times only; use TIMESTAMPS or OFF", level)
		default:
			return infer.Errorf(infer.Invalid, "unknown trace level '%s', expected TIMESTAMPS or OFF", Cut(level))
		}
	}
	if c.ClearOn = len(levels) == 0; !c.ClearOn {
		c.On = &on
	}
	return nil
}

func unreadable(s TraceSetting, least, most string) error {
	return infer.Errorf(infer.Invalid, "Unable to parse '%s', expected one whole number from %s to %s, got: %s", s.Name, least, most, Cut(strings.Join(s.Values, ", ")))
}

// List returns the settings in Triton's order.
func (s TraceSettings) List() []TraceSetting {
	level := "OFF"
	if s.On {
		level = "TIMESTAMPS"
	}
	one := func(name, value string) TraceSetting { return TraceSetting{name, []string{value}} }
	return []TraceSetting{
		one("trace_level", level), one("trace_rate", strconv.FormatUint(s.Rate, 10)), one("trace_count", strconv.FormatInt(max(-1, s.Count), 10)),
		one("log_frequency", "0"), one("trace_file", ""), one("trace_mode", "opentelemetry"),
	}
}

// Read adds a setting to the change. value is a bool, a uint32 or a string; any other type is
// wrong. Unknown names are ignored, as Triton does.
func (c *LogChange) Read(name string, value any) error {
	boolean := func(to **bool) error {
		b, ok := value.(bool)
		if !ok {
			return infer.Errorf(infer.Invalid, "expect boolean for '%s'", name)
		}
		*to = &b
		return nil
	}
	switch name {
	case "log_file":
		return infer.Errorf(infer.Unsupported, "log file location can not be updated through network protocol")
	case "log_info":
		return boolean(&c.Info)
	case "log_warning":
		return boolean(&c.Warning)
	case "log_error":
		return boolean(&c.Error)
	case "log_verbose_level":
		n, ok := value.(uint32)
		if !ok {
			return infer.Errorf(infer.Invalid, "expect int32 for 'log_verbose_level'")
		}
		c.Verbose = &n
	case "log_format":
		text, ok := value.(string)
		if !ok {
			return infer.Errorf(infer.Invalid, "expect string for 'log_format'")
		}
		if !slices.Contains([]string{LogDefault, LogISO8601}, text) {
			return infer.Errorf(infer.Invalid, "invalid argument for log_format, got: %s", Cut(text))
		}
		c.Format = &text
	}
	return nil
}

// ChangeTraces changes the settings of a called name, or those of all models, and logs it.
func (f *Front) ChangeTraces(model string, c TraceChange, by api.Actor, requestID []byte) error {
	err := f.SetTraces(model, c, by)
	f.logSetting("trace setting", by, requestID, err, zap.String("model", Printable(model)))
	return err
}

// ChangeLogs changes the settings of the log, and logs it.
func (f *Front) ChangeLogs(c LogChange, by api.Actor, requestID []byte) error {
	err := f.SetLogs(c, by)
	f.logSetting("log setting", by, requestID, err)
	return err
}

func (f *Front) logSetting(what string, by api.Actor, requestID []byte, err error, fields ...zap.Field) {
	f.log.Info(what, append(fields, zap.String("actor", Printable(by.Actor)), zap.Bool("actor_verified", by.Verified),
		zap.String("reason", Printable(by.Reason)), zap.String("request_id", string(requestID)), zap.Stringer("code", infer.CodeOf(err)))...)
}
