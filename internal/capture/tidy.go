package capture

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
)

// tidy deletes files that are older than the retention, and what crashes have left. A bucket that
// was never opened is left alone until something is captured.
func (s *Store) tidy(ctx context.Context) {
	if len(s.Counts()) == 0 {
		return
	}
	bucket, err := s.hold(ctx)
	if err == nil {
		err = errors.Join(bucket.sweep(time.Now()), s.expire(ctx, bucket, dayOf(time.Now().Add(-s.o.Retention))))
		s.release()
	}
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Warn("old captured requests cannot be deleted; it is tried again in an hour", zap.Error(err))
	}
}

// expire deletes the files of days before oldest, whichever gateway wrote them, and their entries
// in the manifests. The caller holds writing.
func (s *Store) expire(ctx context.Context, bucket *Bucket, oldest string) (err error) {
	for _, top := range []string{"", kindLabels + "/"} {
		models, lerr := subdirectories(ctx, bucket, top)
		err = errors.Join(err, lerr)
		for _, dir := range models {
			model, uerr := url.PathUnescape(partOf(dir, "model"))
			if uerr != nil || model == "" {
				continue
			}
			expired := map[string]bool{}
			lerr := objects(ctx, bucket, &blob.ListOptions{Prefix: dir}, func(o *blob.ListObject) error {
				if day := partOf(o.Key, "day"); day == "" || day >= oldest || !strings.HasSuffix(o.Key, ".parquet") {
					return nil
				}
				if derr := bucket.Delete(ctx, o.Key); derr != nil && gcerrors.Code(derr) != gcerrors.NotFound {
					return derr
				}
				expired[o.Key] = true
				return nil
			})
			err = errors.Join(err, lerr)
			if len(expired) > 0 {
				err = errors.Join(err, s.unlist(ctx, bucket, model, expired))
			}
		}
	}
	return err
}

// unlist removes files from the manifests of all gateways. One that lists nothing any more is
// deleted, unless it is this gateway's. Another gateway may write its manifest at the same time; it
// removes the entries itself then, in an hour at most.
func (s *Store) unlist(ctx context.Context, bucket *Bucket, model string, gone map[string]bool) error {
	left := func(files []api.CaptureFile) []api.CaptureFile {
		return slices.DeleteFunc(files, func(f api.CaptureFile) bool { return gone[f.Path] })
	}
	err := s.change(ctx, model, left)
	names, lerr := manifests(ctx, bucket, modelDir(model))
	err = errors.Join(err, lerr)
	for _, path := range names {
		if path == s.manifestPath(model) {
			continue
		}
		doc, rerr := readManifest(ctx, bucket, path)
		before := len(doc.Files)
		if doc.Files = left(doc.Files); rerr != nil || len(doc.Files) == before {
			err = errors.Join(err, rerr)
			continue
		}
		if len(doc.Files) == 0 {
			err = errors.Join(err, bucket.Delete(ctx, path))
			continue
		}
		err = errors.Join(err, s.putManifest(ctx, path, &doc))
	}
	return err
}
