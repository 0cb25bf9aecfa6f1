package capture

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
)

// tidy deletes files that are older than the retention, and corrects what crashes have left.
func (s *Store) tidy(ctx context.Context) {
	bucket, err := s.hold(ctx)
	if err == nil {
		err = errors.Join(bucket.sweep(time.Now()), s.expire(ctx, bucket, dayOf(time.Now().Add(-s.o.Retention))))
		s.release()
		err = errors.Join(err, s.adopt(ctx))
	}
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Warn("old captured requests cannot be deleted, or files are not listed; it is tried again in an hour", zap.Error(err))
	}
}

// expire deletes the files of days before oldest, whichever gateway wrote them, and their entries
// in the manifests. The caller holds writing.
func (s *Store) expire(ctx context.Context, bucket *Bucket, oldest string) error {
	models, err := subdirectories(ctx, bucket, "")
	for _, dir := range models {
		model, uerr := url.PathUnescape(partOf(dir, "model"))
		if uerr != nil || model == "" {
			continue
		}
		expired := map[string]*api.CaptureFile{}
		err = errors.Join(err, objects(ctx, bucket, &blob.ListOptions{Prefix: dir}, func(o *blob.ListObject) error {
			if day := partOf(o.Key, "day"); day == "" || day >= oldest || !strings.HasSuffix(o.Key, ".parquet") {
				return nil
			}
			if derr := bucket.Delete(ctx, o.Key); derr != nil && gcerrors.Code(derr) != gcerrors.NotFound {
				return derr
			}
			expired[o.Key] = nil
			return nil
		}))
		if len(expired) > 0 {
			err = errors.Join(err, s.relist(ctx, bucket, model, expired))
		}
	}
	return err
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
