package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/mlflow"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// fetch copies a version of an MLflow registry, and returns what that knows of it, as the RecordFile of an archive.
func (p *Publisher) fetch(ctx context.Context, s *registry.Staging, reference string) (record []byte, err error) {
	if p.opts.MLflow == nil {
		return nil, infer.Errorf(infer.Invalid, "from: the gateway has no MLflow registry to import from: set registry.mlflow.url")
	}
	m, err := p.opts.MLflow.Find(ctx, reference)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := take(ctx, s, m, "", registry.ModelFile); err != nil {
		return nil, err
	}
	data, err := onnxfile.DataFiles(s.Files().Root, registry.ModelFile)
	if err != nil {
		return nil, err
	}
	beside, err := m.Beside(ctx, []string{registry.LabelsFile, registry.ProfileFile, registry.GoldenFile})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Concat(data, beside) {
		if s.Has(name) {
			continue // labels.txt may be external data, for what the model says
		}
		if err := take(ctx, s, m, name, name); err != nil {
			return nil, err
		}
	}
	p.opts.Logger.Info("version copied from MLflow", zap.Stringer("reference", m.Reference), zap.Int64("bytes", s.Size()))
	fit(&m.Metadata)
	return json.Marshal(m.Metadata)
}

// take copies a file beside the model file.
func take(ctx context.Context, s *registry.Staging, m *mlflow.Model, from, to string) error {
	file, size, err := m.Open(ctx, from)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	return s.Write(to, file, size)
}

// fit cuts what another registry says of a version to what this one keeps: long texts, control characters, many entries.
func fit(m *api.VersionMetadata) {
	l := &m.Lineage
	for _, text := range []*string{&l.DataSnapshot, &l.CodeRevision, &l.Run, &l.Source} {
		*text = fitText(*text)
	}
	same := func(x float64) float64 { return x }
	l.Metrics, l.Parameters, m.Tags = fitEntries(l.Metrics, same), fitEntries(l.Parameters, fitText), fitEntries(m.Tags, fitText)
	for name, value := range m.Card {
		if text, ok := value.(string); ok {
			m.Card[name] = fitText(text)
		}
	}
}

// fitEntries returns the first entries by name that have room, without those whose names cannot be kept.
func fitEntries[V any](entries map[string]V, fit func(V) V) map[string]V {
	const room = registry.MaxRecordBytes / 8 // of the file that all of it is written to
	kept, size := map[string]V{}, 0
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		value := fit(entries[key])
		size += len(fmt.Sprintf("%q: %q,", key, fmt.Sprint(value)))
		if len(kept) == maxEntries || size > room {
			break
		}
		if validKey(key) {
			kept[key] = value
		}
	}
	return kept
}

// fitText returns a text without control characters, and not too long.
func fitText(text string) string {
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxText {
		const mark = "…"
		text = strings.ToValidUTF8(text[:maxText-len(mark)], "") + mark
	}
	return text
}
