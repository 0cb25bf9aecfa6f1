package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// The limits of a document for a trainer.
const (
	inlineProfile = 64 << 10
	listedFiles   = 1000
	ancestors     = 20
)

// Document implements pipeline.Gateway.
func (t retrainer) Document(ctx context.Context, r api.Retraining, deadline time.Time) (doc api.TrainingRequest, parts map[string][]byte, err error) {
	a := t.app
	signal, err := a.outbox.Get(r.ID)
	if err != nil {
		return doc, nil, err
	}
	cfg := a.config.Load()
	m := cfg.Model(r.Model).Retrain
	now := time.Now().UTC()
	base := a.controlURL()
	one := base + "/api/v1/signals/" + url.PathEscape(r.ID)
	doc = api.TrainingRequest{
		Format: 1, ID: r.ID, Gateway: cmp.Or(cfg.Retrain.Source, config.Default().Retrain.Source), Model: r.Model, Cause: r.Cause,
		Reason: signal.Asked, CreatedAt: now, Signal: signal.SignalData, Seed: seedOf(r.ID), Grid: gridOf(m.Parameters), Trials: m.Trials,
		Budget: api.Duration(m.TrialTime), Metric: m.Metric, Deadline: deadline.UTC(), Lineage: []api.TrainingParent{},
		Calls: api.TrainingCalls{
			Push:     base + "/api/v1/models/" + url.PathEscape(r.Model) + "/versions?retrain=" + url.QueryEscape(r.ID) + "&parent=" + strconv.FormatInt(r.Parent, 10),
			Progress: one + "/progress", Fail: one + "/fail", Document: one + "/training",
		},
	}
	doc.Parent, err = a.ancestor(ctx, infer.Version{Model: r.Model, Number: r.Parent})
	if err != nil {
		return doc, nil, err
	}
	for parent := doc.Parent.Lineage.Parent; parent > 0 && len(doc.Lineage) < ancestors; {
		next, err := a.ancestor(ctx, infer.Version{Model: r.Model, Number: parent})
		if err != nil { // it was deleted
			break
		}
		doc.Lineage, parent = append(doc.Lineage, next), next.Lineage.Parent
	}
	parts = map[string][]byte{}
	if doc.Reference, err = a.referenceFor(&doc, one, parts); err != nil {
		return doc, nil, err
	}
	if doc.Window, err = a.windowFor(&doc, one, parts); err != nil {
		return doc, nil, err
	}
	doc.Data = a.dataFor(ctx, cfg, &m, &doc, base)
	return doc, parts, nil
}

// seedOf derives the seed from an id: the first 4 bytes of its SHA-256, as a big-endian number.
func seedOf(id string) uint32 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint32(sum[:])
}

// gridOf returns the values of parameters as JSON has them: numbers and booleans as such.
func gridOf(parameters map[string][]string) map[string]any {
	grid := map[string]any{}
	for name, texts := range parameters {
		list := make([]any, len(texts))
		for i, text := range texts {
			if json.Unmarshal([]byte(text), &list[i]) == nil {
				switch list[i].(type) {
				case float64, bool, nil:
					continue
				}
			}
			list[i] = text
		}
		grid[name] = list
	}
	return grid
}

// ancestor describes a version for a trainer.
func (a *App) ancestor(ctx context.Context, v infer.Version) (p api.TrainingParent, err error) {
	info, err := a.publisher.Version(v)
	if err != nil {
		return p, err
	}
	p.Version = v.Number
	if rec := info.Record; rec != nil {
		p.Digest, p.Inputs, p.Outputs, p.Opsets, p.Lineage, p.Card, p.Tags = rec.Digest, rec.Inputs, rec.Outputs, rec.Opsets, rec.Lineage, rec.Card, rec.Tags
		return p, nil
	}
	rec, err := a.publisher.Described(v)
	if err != nil {
		return p, err
	}
	p.Inputs, p.Outputs, p.Opsets = rec.Inputs, rec.Outputs, rec.Opsets
	files, err := a.repo.Open(v)
	if err != nil {
		return p, err
	}
	defer files.Close() //nolint:errcheck // only read
	p.Digest, err = files.Digest(ctx)
	return p, err
}

// placed puts a profile into the document if it is small, and beside it if it is not.
func placed(text []byte, digest, one, part string, parts map[string][]byte) *api.TrainingProfile {
	if text = bytes.TrimSpace(text); len(text) <= inlineProfile {
		return &api.TrainingProfile{Digest: digest, Profile: text}
	}
	parts[part] = text
	return &api.TrainingProfile{Digest: digest, URL: one + "/training?part=" + part}
}

// referenceFor returns the profile with which the parent is compared, nil if there is none.
func (a *App) referenceFor(doc *api.TrainingRequest, one string, parts map[string][]byte) (*api.TrainingProfile, error) {
	profile := a.watch.ReferenceOf(infer.Version{Model: doc.Model, Number: doc.Parent.Version})
	if profile == nil {
		return nil, nil //nolint:nilnil // no reference is not an error
	}
	var text bytes.Buffer
	if err := profile.Write(&text); err != nil {
		return nil, err
	}
	digest, err := profile.Digest()
	return placed(text.Bytes(), digest, one, api.PartReference, parts), err
}

// windowFor returns the counts of the window in which the problem was detected, as the journal has them; nil if it does not.
func (a *App) windowFor(doc *api.TrainingRequest, one string, parts map[string][]byte) (*api.TrainingProfile, error) {
	s := &doc.Signal
	const most = 1000
	events, err := a.journal.Read(0, most, journal.Filter{
		Types: []string{api.EventDriftState}, Subjects: []string{driftwatch.Subject(drift.Stream{Version: infer.Version{Model: s.Model, Number: s.Version}, Role: s.Role, Segment: s.Segment})}, Since: s.Began,
	})
	if err != nil {
		return nil, err
	}
	for _, e := range slices.Backward(events) {
		var evidence api.DriftEvidence
		if json.Unmarshal(e.After, &evidence) != nil || len(evidence.Window) == 0 || string(evidence.Window) == "null" || evidence.Verdict.Window.Start.After(s.Window.Start) {
			continue
		}
		sum := sha256.Sum256(evidence.Window)
		return placed(evidence.Window, "sha256:"+hex.EncodeToString(sum[:]), one, api.PartWindow, parts), nil
	}
	return nil, nil //nolint:nilnil // not every request comes from a window
}

// dataFor says which captured requests the trainer gets.
func (a *App) dataFor(ctx context.Context, cfg *config.Config, m *config.Retraining, doc *api.TrainingRequest, base string) api.TrainingData {
	until := doc.CreatedAt
	d := api.TrainingData{Since: until.Add(-m.Lookback), Until: until, Changed: doc.Signal.Began, Files: []api.CaptureFile{}, Bucket: cfg.Capture.Bucket}
	if d.Changed.Before(d.Since) || doc.Cause == api.CauseManual || doc.Cause == api.CauseSchedule {
		d.Changed = d.Since
	}
	flush, cancel := context.WithTimeout(ctx, cfg.Retrain.FlushTimeout)
	defer cancel()
	if left := a.capture.Flush(flush, doc.Model); left.Why != "" {
		d.Unwritten = &left
	}
	files, err := a.capture.Files(ctx, doc.Model, api.CaptureRange{Since: d.Since, Until: d.Until})
	switch {
	case err != nil:
		d.Problem = infer.Message(err)
	case len(files) == 0:
		d.Problem = "no requests were captured; set capture.sample of the model"
	}
	d.Holdout = holdoutOf(files, d.Changed, until, m.Holdout)
	h := sha256.New()
	for i := range files {
		_, _ = io.WriteString(h, files[i].Path+"\n"+files[i].SHA256+"\n") // it never fails
	}
	d.Rows, d.Labels = rowsOf(files)
	d.FilesTotal, d.Manifest = len(files), "sha256:"+hex.EncodeToString(h.Sum(nil))
	d.Files = append(d.Files, files[:min(len(files), listedFiles)]...)
	q := url.Values{"since": {d.Since.Format(time.RFC3339Nano)}, "until": {d.Until.Format(time.RFC3339Nano)}, "format": {api.CaptureParquet}, "labels": {"true"}}
	d.Export = base + "/api/v1/capture/" + url.PathEscape(doc.Model) + "/export?" + q.Encode()
	return d
}

// holdoutOf returns the time from which on a share of the rows since a time has arrived, the last ones. Rows are taken to be spread evenly
// within their file.
func holdoutOf(files []api.CaptureFile, since, until time.Time, share float64) time.Time {
	var list []api.CaptureFile // of requests
	rows := 0.0
	for _, f := range files {
		if f.Version == 0 || !f.Last.After(since) {
			continue
		}
		if f.First.Before(since) { // the part of the file after that
			f.Rows = int64(float64(f.Rows) * f.Last.Sub(since).Seconds() / f.Last.Sub(f.First).Seconds())
			f.First = since
		}
		list, rows = append(list, f), rows+float64(f.Rows)
	}
	slices.SortFunc(list, func(a, b api.CaptureFile) int { return b.Last.Compare(a.Last) })
	for left := share * rows; len(list) > 0; list = list[1:] {
		f := &list[0]
		if n := float64(f.Rows); n < left {
			left -= n
			continue
		}
		return f.Last.Add(-time.Duration(left / max(float64(f.Rows), 1) * float64(f.Last.Sub(f.First)))).UTC()
	}
	return until
}
