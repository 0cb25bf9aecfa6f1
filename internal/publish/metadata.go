package publish

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/golden"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/registry"
)

// The limits of metadata.
const (
	maxText    = 1 << 10
	maxEntries = 256
	maxKey     = 128
	maxTrials  = 1000
)

// describe makes a record of the model file.
func describe(files *registry.Files) (*api.VersionRecord, error) {
	cut, err := onnxfile.Adapt(files.Root, registry.ModelFile)
	if err != nil {
		return nil, err
	}
	var changed []byte
	if cut != nil {
		changed = cut.Model
	}
	d, err := onnxfile.Describe(files.Root, registry.ModelFile, changed)
	if err != nil {
		return nil, err
	}
	return &api.VersionRecord{
		Inputs: tensors(d.Inputs), Outputs: tensors(d.Outputs), Opsets: d.Opsets, IRVersion: d.IRVersion, Producer: d.Producer,
	}, nil
}

// checkGolden returns an Invalid error if the golden rows of an upload cannot be read.
func checkGolden(files *registry.Files) error {
	file, err := files.Root.Open(registry.GoldenFile)
	if err != nil {
		return infer.Errorf(infer.Invalid, "%s cannot be read", registry.GoldenFile)
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, golden.MaxBytes+1))
	if err == nil {
		_, err = golden.Decode(text)
	}
	return err
}

func tensors(values []onnxfile.Value) []api.Tensor {
	list := make([]api.Tensor, len(values))
	for i, v := range values {
		list[i] = api.Tensor{Name: v.Name, Datatype: v.Datatype, Shape: append([]int64{}, v.Shape...), Optional: v.Optional}
		if slices.ContainsFunc(v.Symbols, func(s string) bool { return s != "" }) {
			list[i].Symbols = v.Symbols
		}
	}
	return list
}

// DecodeMetadata reads the metadata in the RecordFile of an upload. It ignores what the gateway
// finds out itself. The error is Invalid.
func DecodeMetadata(text []byte) (m api.VersionMetadata, err error) {
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&m); err != nil {
		return m, &infer.Error{Code: infer.Invalid, Msg: registry.RecordFile + " in the archive is not valid: expected JSON with lineage, card and tags", Err: err}
	}
	return m, checkMetadata(&m)
}

// merged returns the metadata of an upload, with that of the request over it.
func merged(sent []byte, asked api.VersionMetadata) (m api.VersionMetadata, err error) {
	if sent != nil {
		if m, err = DecodeMetadata(sent); err != nil {
			return m, err
		}
	}
	l, a := &m.Lineage, asked.Lineage
	l.Parent, l.DataSnapshot, l.CodeRevision = cmp.Or(a.Parent, l.Parent), cmp.Or(a.DataSnapshot, l.DataSnapshot), cmp.Or(a.CodeRevision, l.CodeRevision)
	l.Run, l.Source, l.Retrain = cmp.Or(a.Run, l.Run), cmp.Or(a.Source, l.Source), cmp.Or(a.Retrain, l.Retrain)
	l.Metrics, l.Parameters = over(l.Metrics, a.Metrics), over(l.Parameters, a.Parameters)
	m.Card, m.Tags = over(m.Card, asked.Card), over(m.Tags, asked.Tags)
	return m, checkMetadata(&m)
}

// over returns a with the entries of b over it.
func over[V any](a, b map[string]V) map[string]V {
	if len(b) == 0 {
		return a
	}
	next := make(map[string]V, len(a)+len(b))
	maps.Copy(next, a)
	maps.Copy(next, b)
	return next
}

// checkMetadata returns an Invalid error about the first entry that cannot be kept.
func checkMetadata(m *api.VersionMetadata) error {
	if m.Lineage.Parent < 0 {
		return infer.Errorf(infer.Invalid, "parent: expected a version of 1 or more, got %d", m.Lineage.Parent)
	}
	for name, text := range map[string]string{
		"data_snapshot": m.Lineage.DataSnapshot, "code_revision": m.Lineage.CodeRevision, "run": m.Lineage.Run, "source": m.Lineage.Source, "retrain": m.Lineage.Retrain,
	} {
		if err := checkText(name, text); err != nil {
			return err
		}
	}
	if len(m.Lineage.Trials) > maxTrials {
		return infer.Errorf(infer.Invalid, "trials: expected at most %d, got %d", maxTrials, len(m.Lineage.Trials))
	}
	for key, value := range m.Lineage.Metrics {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return infer.Errorf(infer.Invalid, "metric %.100q: expected a finite number", key)
		}
	}
	if err := cmp.Or(checkKeys("metrics", m.Lineage.Metrics), checkKeys("parameters", m.Lineage.Parameters), checkKeys("tags", m.Tags), checkKeys("card", m.Card)); err != nil {
		return err
	}
	return cmp.Or(checkTexts("parameter", m.Lineage.Parameters), checkTexts("tag", m.Tags))
}

func checkKeys[V any](what string, entries map[string]V) error {
	if len(entries) > maxEntries {
		return infer.Errorf(infer.Invalid, "%s: expected at most %d entries, got %d", what, maxEntries, len(entries))
	}
	for key := range entries {
		if !validKey(key) {
			return infer.Errorf(infer.Invalid, "%s: %.100q is not a valid name: expected 1 to %d bytes of UTF-8 without control characters", what, key, maxKey)
		}
	}
	return nil
}

func checkTexts(what string, entries map[string]string) error {
	for key, value := range entries {
		if err := checkText(fmt.Sprintf("%s %.100q", what, key), value); err != nil {
			return err
		}
	}
	return nil
}

func validKey(key string) bool {
	return key != "" && len(key) <= maxKey && utf8.ValidString(key) && !strings.ContainsFunc(key, unicode.IsControl)
}

func checkText(name, text string) error {
	if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return infer.Errorf(infer.Invalid, "%s: expected UTF-8 of at most %d bytes without control characters", name, maxText)
	}
	return nil
}

// cardComplete fails with Invalid if a model card lacks a field that the policy requires.
func (p *Publisher) cardComplete(card map[string]any) error {
	var lacks []string
	for _, name := range p.opts.CardRequired {
		if v, ok := card[name]; !ok || v == nil || v == "" {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) > 0 {
		return infer.Errorf(infer.Invalid, "the model card lacks %s, which registry.card_required names: push with --card FILE, or the parameter card=NAME=TEXT", strings.Join(lacks, ", "))
	}
	return nil
}
