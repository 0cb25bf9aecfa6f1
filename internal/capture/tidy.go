package capture

import (
	"context"
	"errors"
	"net/url"
	"time"

	"go.uber.org/zap"
	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
)

// tidyWhen tidies at each signal until ctx ends. It holds the writer up only while it changes manifests.
func (s *Store) tidyWhen(ctx context.Context, due <-chan struct{}) {
	for {
		select {
		case <-due:
			s.tidy(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// tidy deletes files that are older than the retention, and corrects what crashes have left.
func (s *Store) tidy(ctx context.Context) {
	bucket, err := s.hold(ctx)
	if err == nil {
		s.release()
		err = errors.Join(bucket.sweep(time.Now()), s.expire(ctx, bucket, dayOf(time.Now().Add(-s.o.Retention))), s.adopt(ctx))
	}
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Warn("old captured requests cannot be deleted, or files are not listed; it is tried again in an hour", zap.Error(err))
	}
}

// expire deletes the files of days before oldest, whichever gateway wrote them, and their entries
// in the manifests.
func (s *Store) expire(ctx context.Context, bucket *Bucket, oldest string) error {
	var failed error
	for _, of := range []string{"", labelsDir} {
		models, err := subdirectories(ctx, bucket, of)
		failed = errors.Join(failed, err)
		for _, dir := range models {
			model, err := url.PathUnescape(partOf(dir, "model"))
			if err != nil || model == "" {
				continue
			}
			days, err := daysBefore(ctx, bucket, dir, oldest)
			failed = errors.Join(failed, err)
			for _, day := range days {
				failed = errors.Join(failed, s.expireDay(ctx, bucket, model, day))
			}
		}
	}
	return failed
}

// daysBefore returns the folders of days before oldest below a folder of a model, which may have
// folders of versions.
func daysBefore(ctx context.Context, bucket *Bucket, dir, oldest string) (days []string, err error) {
	below, err := subdirectories(ctx, bucket, dir)
	for _, path := range below {
		switch day := partOf(path, "day"); {
		case day == "" && partOf(path, "version") != "":
			more, merr := daysBefore(ctx, bucket, path, oldest)
			days, err = append(days, more...), errors.Join(err, merr)
		case day != "" && day < oldest:
			days = append(days, path)
		}
	}
	return days, err
}

// expireDay deletes the files of a day. A deletion by id may write one of them again at the same time;
// that one is found in an hour.
func (s *Store) expireDay(ctx context.Context, bucket *Bucket, model, dir string) error {
	files, err := parquetFiles(ctx, bucket, dir)
	expired := map[string]*api.CaptureFile{}
	for _, o := range files {
		if derr := bucket.Delete(ctx, o.Key); derr != nil && gcerrors.Code(derr) != gcerrors.NotFound {
			err = errors.Join(err, derr)
			break
		}
		expired[o.Key] = nil
	}
	if len(expired) == 0 {
		return err
	}
	if _, herr := s.hold(ctx); herr != nil {
		return errors.Join(err, herr)
	}
	defer s.release()
	return errors.Join(err, s.relist(ctx, bucket, model, expired))
}

// relist changes the entries of files in the manifests of all gateways that list them. No entry means
// that the file is gone. A manifest that lists nothing any more is deleted, unless it is this
// gateway's. Another gateway may write its manifest at the same time; it finds the difference itself
// then, in an hour at most. The caller holds writing.
func (s *Store) relist(ctx context.Context, bucket *Bucket, model string, files map[string]*api.CaptureFile) error {
	own, err := s.manifest(ctx, model)
	if err == nil && (relisted(&own.doc, files) || own.dirty) {
		err = s.save(ctx, model, own)
	}
	names, lerr := manifests(ctx, bucket, modelDir(model))
	err = errors.Join(err, lerr)
	for _, path := range names {
		if path == s.manifestPath(model) {
			continue
		}
		doc, rerr := readManifest(ctx, bucket, path)
		switch {
		case rerr != nil:
			err = errors.Join(err, rerr)
		case !relisted(&doc, files):
		case len(doc.Files) == 0:
			err = errors.Join(err, bucket.Delete(ctx, path))
		default:
			err = errors.Join(err, s.putManifest(ctx, path, &doc))
		}
	}
	return err
}

// relisted changes the entries of files in a manifest, and reports whether it has any of them.
func relisted(doc *api.CaptureManifest, files map[string]*api.CaptureFile) (changed bool) {
	kept := doc.Files[:0]
	for _, f := range doc.Files {
		now, found := files[f.Path]
		switch {
		case !found:
			kept = append(kept, f)
		case now != nil:
			kept = append(kept, *now)
		}
		changed = changed || found
	}
	doc.Files = kept
	return changed
}
