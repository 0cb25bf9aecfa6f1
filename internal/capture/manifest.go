package capture

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
)

// maxManifestBytes is the max size of a manifest that is read.
const maxManifestBytes = 64 << 20

// manifest lists the files of a model that this gateway has written.
type manifest struct {
	doc   api.CaptureManifest
	dirty bool // it could not be written
}

// manifestPath returns a name that pyarrow and Spark do not take for data, since it begins with _.
func (s *Store) manifestPath(model string) string {
	return "model=" + escape(model) + "/_manifest-" + escape(s.o.Gateway) + ".json"
}

// manifest returns this gateway's manifest of a model. The caller holds writing.
func (s *Store) manifest(ctx context.Context, model string) (*manifest, error) {
	if m := s.manifests[model]; m != nil {
		return m, nil
	}
	bucket, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	m.doc, err = readManifest(ctx, bucket, s.manifestPath(model))
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return nil, err
	}
	m.doc.Format, m.doc.Model, m.doc.Gateway = 1, model, s.o.Gateway
	s.manifests[model] = m
	return m, nil
}

func readManifest(ctx context.Context, bucket *Bucket, path string) (doc api.CaptureManifest, err error) {
	data, err := readAll(ctx, bucket, path, maxManifestBytes)
	if err != nil {
		return doc, err
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return api.CaptureManifest{}, nil //nolint:nilerr // a damaged manifest is made again from the files
	}
	return doc, nil
}

// list adds a file to the manifest.
func (s *Store) list(ctx context.Context, model string, f api.CaptureFile) error {
	return s.change(ctx, model, func(files []api.CaptureFile) []api.CaptureFile {
		files = slices.DeleteFunc(files, func(x api.CaptureFile) bool { return x.Path == f.Path })
		return append(files, f)
	})
}

// change changes the list of a model's files, and writes the manifest.
func (s *Store) change(ctx context.Context, model string, change func([]api.CaptureFile) []api.CaptureFile) error {
	m, err := s.manifest(ctx, model)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	m.doc.Files = change(m.doc.Files)
	slices.SortFunc(m.doc.Files, func(a, b api.CaptureFile) int { return cmp.Compare(a.Path, b.Path) })
	m.dirty = true
	return s.save(ctx, model, m)
}

// save writes a manifest.
func (s *Store) save(ctx context.Context, model string, m *manifest) error {
	err := s.putManifest(ctx, s.manifestPath(model), &m.doc)
	m.dirty = err != nil
	return err
}

func (s *Store) putManifest(ctx context.Context, path string, doc *api.CaptureManifest) error {
	doc.Updated = time.Now().UTC()
	data, err := json.MarshalIndent(doc, "", " ")
	if err == nil {
		err = s.put(ctx, path, data)
	}
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return nil
}

// isManifest reports whether a path is that of a manifest.
func isManifest(path string) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	return strings.HasPrefix(name, "_manifest-") && strings.HasSuffix(name, ".json")
}
