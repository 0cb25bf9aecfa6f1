package capture

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
)

// maxAdopted is the max number of files that are read to be listed in an hour.
const maxAdopted = 1000

// adopt makes this gateway's manifests fit to the files: a crash between a file and its manifest
// leaves one that is not listed, or listed as it was. Others may change both at any time, so that each
// file is looked at again while nobody does.
func (s *Store) adopt(ctx context.Context) (err error) {
	bucket, err := s.hold(ctx)
	if err != nil {
		return err
	}
	s.release()
	left := maxAdopted
	for _, c := range s.Counts() {
		files, ferr := modelFiles(ctx, bucket, c.Model) // before the manifests: a file that is not listed then is older than they are
		listed, lerr := s.listed(ctx, c.Model)
		if ferr != nil || lerr != nil {
			err = errors.Join(err, ferr, lerr)
			continue
		}
		entries := make(map[string]int64, len(listed))
		for i := range listed {
			entries[listed[i].Path] = listed[i].Bytes
		}
		for _, o := range files {
			size, known := entries[o.Key]
			delete(entries, o.Key)
			if known && size == o.Size || left == 0 {
				continue
			}
			left--
			err = errors.Join(err, s.adoptFile(ctx, c.Model, o.Key, o.Size))
		}
		for path := range entries { // the files that were not found
			err = errors.Join(err, s.adoptFile(ctx, c.Model, path, -1))
		}
	}
	return err
}

// adoptFile lists a file as it is. size is that of the file, negative if it was not found.
func (s *Store) adoptFile(ctx context.Context, model, path string, size int64) error {
	bucket, err := s.hold(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	m, err := s.manifest(ctx, model)
	if err != nil {
		return err
	}
	for i := range m.doc.Files {
		if f := &m.doc.Files[i]; f.Path == path && f.Bytes == size {
			return nil // it was written in between
		}
	}
	data, err := readAll(ctx, bucket, path, maxFileBytes)
	if err != nil && gcerrors.Code(err) == gcerrors.NotFound {
		return s.relist(ctx, bucket, model, map[string]*api.CaptureFile{path: nil})
	}
	if err != nil {
		return err
	}
	b, _, err := without(data, "")
	if err != nil {
		s.skip(model, path, err)
		return nil
	}
	b.data = data
	s.o.Logger.Info("a file of captured requests is listed again, since its manifest did not fit", zap.String("model", model), zap.String("path", path))
	f := b.file(path)
	if err := s.relist(ctx, bucket, model, map[string]*api.CaptureFile{path: &f}); err != nil {
		return err
	}
	return s.list(ctx, model, f)
}
