package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/wire/oip"
)

// captureDir is the folder of captured traffic in the data directory if there is no bucket.
const captureDir = "capture"

// newCapture returns the store of captured traffic. It opens no bucket.
func newCapture(cfg *config.Config, version string, log *zap.Logger) (*capture.Store, error) {
	c := cfg.Capture
	if c.Bucket != "" {
		if err := capture.CheckURL(c.Bucket); err != nil {
			return nil, fmt.Errorf("capture.bucket: %w", err)
		}
	}
	id, err := gatewayID(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	const part = 4 // of the stop, which has other work too
	return capture.New(capture.Options{
		Open: func(ctx context.Context) (*capture.Bucket, error) {
			if c.Bucket != "" {
				return capture.OpenBucket(ctx, c.Bucket, c.Prefix)
			}
			if cfg.DataDir == "" {
				return nil, infer.Errorf(infer.Conflict, "nothing is captured: there is no capture.bucket and no data_dir")
			}
			return capture.OpenDir(filepath.Join(cfg.DataDir, captureDir, filepath.FromSlash(c.Prefix)))
		},
		Gateway: id, Version: version, HashKey: []byte(c.HashKey.Reveal()), RotateSize: int(c.RotateSize), RotateAge: c.RotateAge,
		MaxBuffer: int64(c.MaxBuffer), Retention: c.Retention, WriteTimeout: c.WriteTimeout,
		FlushTimeout: max((cfg.Server.DrainTimeout-cfg.Server.ShutdownDelay)/part, time.Millisecond), Logger: log, Events: captureEvents(cfg),
	}), nil
}

// captureEvents returns the options of events of captured requests, nil for none.
func captureEvents(cfg *config.Config) *capture.EventOptions {
	c := &cfg.Capture.Events
	if c.URL == "" {
		return nil
	}
	how := oip.EncodeOptions{NonFinite: nonFinite(cfg.Server.JSON.NonFinite)}
	return &capture.EventOptions{
		URL: c.URL, Requests: c.Mode != config.EventsResponse, Responses: c.Mode != config.EventsRequest,
		Source: c.Source, Namespace: c.Namespace, MaxBuffer: int64(c.MaxBuffer), Timeout: c.Timeout,
		Encode: func(m *infer.Model, r *capture.Request, answer bool) ([]byte, error) {
			id := cmp.Or(r.ClientID, r.ID)
			if !answer {
				return oip.AppendRequest(nil, id, r.Parameters, r.Inputs, how)
			}
			body, _, err := oip.AppendResponse(nil, &oip.Call{Request: infer.Request{ID: id}}, m.Name, m.Version, &infer.Response{Outputs: r.Outputs}, how)
			return body, err
		},
	}
}

// idFile has the name of this gateway in the data directory, so that a restart continues its manifests.
const idFile = "gateway-id"

// gatewayID returns the name of this gateway. Without a data directory it is a new one.
func gatewayID(dir string) (string, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it never fails
	id := hex.EncodeToString(random[:])
	if dir == "" {
		return id, nil
	}
	path := filepath.Join(dir, idFile)
	text, err := os.ReadFile(path) //nolint:gosec // a file of the data directory
	switch known := strings.TrimSpace(string(text)); {
	case err == nil && regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(known):
		return known, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	const ours = 0o600
	return id, os.WriteFile(path, []byte(id+"\n"), ours)
}

// capturesLabels returns what captures the labels of a model, nil if nothing of it is captured. Labels of
// requests outside of the sample are left out.
func (a *App) capturesLabels(model string) func(labels.Joined) {
	set := a.config.Load().Model(model).Capture
	sample, hidden := int(set.Sample), capture.Shown
	switch {
	case sample == 0:
		return nil
	case slices.Contains(set.Redact, capture.FieldLabel):
		hidden = capture.Redacted
	case slices.Contains(set.Hash, capture.FieldLabel):
		hidden = capture.Hashed
	}
	return func(j labels.Joined) {
		if labels.Sampled(j.RequestID, sample) {
			a.capture.Label(model, &capture.Label{
				RequestID: j.RequestID, Row: j.Row, Version: j.Version, Text: j.Label.Text, Number: j.Label.Number, Numeric: j.Label.Numeric,
				Requested: j.Predicted, Time: j.Time, Contradictory: j.Contradictory, Hidden: hidden,
			})
		}
	}
}

// Captured implements admin.CaptureControl.
func (c control) Captured(ctx context.Context) ([]api.Captured, error) {
	list, err := c.app.capture.Captured(ctx)
	if err != nil {
		return nil, err
	}
	cfg := c.app.config.Load()
	for _, m := range c.app.reconcile.Models() {
		if cfg.Model(m.Name).Capture.Sample > 0 && !slices.ContainsFunc(list, func(x api.Captured) bool { return x.Model == m.Name }) {
			list = append(list, api.Captured{Model: m.Name, Dropped: map[string]uint64{}, LabelsDropped: map[string]uint64{}})
		}
	}
	for i := range list {
		list[i].Sample = int(cfg.Model(list[i].Model).Capture.Sample)
	}
	slices.SortFunc(list, func(a, b api.Captured) int { return strings.Compare(a.Model, b.Model) })
	return list, nil
}

// CaptureFiles implements admin.CaptureControl.
func (c control) CaptureFiles(ctx context.Context, model string, of api.CaptureRange) ([]api.CaptureFile, error) {
	files, err := c.app.capture.Files(ctx, model, of)
	if err == nil && len(files) == 0 && !c.known(model) {
		err = infer.Errorf(infer.NotFound, "there is no model '%.255s'", model)
	}
	return files, err
}

// ExportCapture implements admin.CaptureControl. Nobody reads without an event in the journal.
func (c control) ExportCapture(ctx context.Context, model string, of api.CaptureRead, w io.Writer, by api.Actor) (done api.CaptureExport, err error) {
	if _, err := c.CaptureFiles(ctx, model, of.CaptureRange); err != nil { // it is checked before it is in the journal
		return done, err
	}
	if err := c.tell(api.EventCaptureRead, model, by, nil, of); err != nil {
		return done, err
	}
	return c.app.capture.Export(ctx, model, of, w)
}

// DeleteCaptured implements admin.CaptureControl.
func (c control) DeleteCaptured(ctx context.Context, model, id string, by api.Actor) (done api.CaptureDeletion, err error) {
	if _, err := c.CaptureFiles(ctx, model, api.CaptureRange{}); err != nil {
		return done, err
	}
	if err := c.tell(api.EventCaptureDeleted, model, by, api.CaptureDeleted{RequestID: id}, nil); err != nil {
		return done, err
	}
	return c.app.capture.Delete(ctx, model, id)
}

// tell writes who reads or deletes captured requests to the journal. A nil state is absent.
func (c control) tell(kind, model string, by api.Actor, before, after any) (err error) {
	e := api.Event{Type: kind, Subject: "capture/" + model, Origin: api.OriginAPI, Actor: by}
	for _, state := range []struct {
		of any
		to *json.RawMessage
	}{{before, &e.Before}, {after, &e.After}} {
		if state.of == nil {
			continue
		}
		if *state.to, err = json.Marshal(state.of); err != nil {
			return err
		}
	}
	_, err = c.app.journal.Append(journal.Any, e)
	return err
}
