package app

import (
	"encoding/json"
	"sync"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/tracing"
	"sluice.io/sluice/internal/wire/front"
)

// settings are those that clients of Triton change at run time. They implement front.Settings, and
// hold until the next start, or until a reload brings another value from the file.
type settings struct {
	tracer  *tracing.Tracer // nil if nothing is traced
	levels  *LogLevels
	journal *journal.Log
	log     *zap.Logger

	changing sync.Mutex // held while a change is made and written to the journal; locked before mu

	mu   sync.Mutex        // never held while something is written, so that nobody who reads waits for the disk
	logs front.LogSettings // guarded by mu
}

// follow sets the log to a level of the configuration. It does not wait for a change that is being written.
func (s *settings) follow(level string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.levels
	l.From(level)
	s.logs = front.LogSettings{Info: l.Enabled(zap.InfoLevel), Warning: l.Enabled(zap.WarnLevel), Error: true, Format: front.LogDefault}
	if l.Enabled(zap.DebugLevel) {
		s.logs.Verbose = 1
	}
}

// CurrentLogs implements front.Settings.
func (s *settings) CurrentLogs() front.LogSettings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs
}

// SetLogs implements front.Settings.
func (s *settings) SetLogs(c front.LogChange, by api.Actor) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if before, after := s.changeLogs(&c); after != before {
		s.write(api.EventLoggingChanged, "logging", by, before, after)
	}
	return nil
}

func (s *settings) changeLogs(c *front.LogChange) (before, after front.LogSettings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, l := s.logs, &s.logs
	set(&l.Info, c.Info)
	set(&l.Warning, c.Warning)
	set(&l.Error, c.Error)
	set(&l.Verbose, c.Verbose)
	set(&l.Format, c.Format)
	s.levels.Set(l.Verbose > 0, l.Info, l.Warning, l.Error)
	return before, *l
}

// set sets a value if another is given.
func set[T any](value, to *T) {
	if to != nil {
		*value = *to
	}
}

// CurrentTraces implements front.Settings.
func (s *settings) CurrentTraces(model string) front.TraceSettings {
	if s.tracer == nil {
		return front.TraceSettings{Rate: 1000, Count: -1} // Triton's defaults
	}
	return front.TraceSettings(s.tracer.Settings(model))
}

// SetTraces implements front.Settings.
func (s *settings) SetTraces(model string, c front.TraceChange, by api.Actor) error {
	if s.tracer == nil {
		if c.On != nil && *c.On || c.Rate != nil || c.Count != nil {
			return infer.Errorf(infer.Unsupported, "nothing is traced, since the configuration has no receiver of traces; set tracing.exporter to otlp and start again")
		}
		return nil
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	before := s.CurrentTraces(model)
	if err := s.tracer.Change(model, tracing.Change(c)); err != nil {
		return err
	}
	if after := s.CurrentTraces(model); after != before {
		subject := "tracing"
		if model != "" {
			subject += "/" + model
		}
		s.write(api.EventTracingChanged, subject, by, before, after)
	}
	return nil
}

// write writes a change to the journal.
func (s *settings) write(kind, subject string, by api.Actor, before, after any) {
	e := api.Event{Type: kind, Subject: subject, Origin: api.OriginAPI, Actor: by}
	var err error
	if e.Before, err = json.Marshal(before); err == nil {
		e.After, err = json.Marshal(after)
	}
	if err == nil {
		_, err = s.journal.Append(journal.Any, e)
	}
	if err != nil {
		s.log.Error("a change could not be written to the journal", zap.String("type", kind), zap.Error(err))
	}
}
