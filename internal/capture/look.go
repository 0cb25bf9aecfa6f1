package capture

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/url"
	"slices"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Retain drops the queues of versions that are not served any more, if nothing waits there.
func (s *Store) Retain(served func(model string, version int64) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, q := range s.queues {
		if key.kind == kindRequests && !served(key.model, key.version) && q.close() {
			delete(s.queues, key)
		}
	}
}

// Counts returns the counters of each model, and what waits.
func (s *Store) Counts() []api.Captured {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]api.Captured, 0, len(s.models))
	waiting := map[string]int64{}
	for _, q := range s.queues {
		size, _ := q.state()
		waiting[q.model] += int64(size)
	}
	for model, c := range s.models {
		got := api.Captured{
			Model: model, Captured: c.requests.captured.Load(), Failures: c.failures.Load(), Dropped: c.drops(), Damaged: c.damaged.Load(), Waiting: waiting[model],
			LabelsCaptured: c.labels.captured.Load(), LabelsDropped: c.labelDrops(),
		}
		if s.events != nil {
			got.EventsSent, got.EventsDropped = c.events.sent.Load(), c.eventDrops()
		}
		if p := c.problem.Load(); p != nil {
			got.Problem = *p
		}
		list = append(list, got)
	}
	return list
}

// Captured returns the counters of each model, with what the manifests of all gateways list.
func (s *Store) Captured(ctx context.Context) ([]api.Captured, error) {
	models := map[string]*api.Captured{}
	for _, c := range s.Counts() {
		models[c.Model] = &c
	}
	files, err := s.listed(ctx, "")
	for i := range files {
		f := &files[i]
		c := models[f.model]
		if c == nil {
			c = &api.Captured{Model: f.model, Dropped: map[string]uint64{}, LabelsDropped: map[string]uint64{}}
			models[f.model] = c
		}
		c.Files++
		c.Bytes += f.Bytes
		if f.Kind != kindRequests {
			c.Labels += f.Rows
			continue
		}
		c.Rows += f.Rows
		if c.First.IsZero() || f.First.Before(c.First) {
			c.First = f.First
		}
		if f.Last.After(c.Last) {
			c.Last = f.Last
		}
	}
	list := make([]api.Captured, 0, len(models))
	for _, c := range models {
		list = append(list, *c)
	}
	return list, err
}

// Files returns the files of a model that may have something of a range, by path.
func (s *Store) Files(ctx context.Context, model string, of api.CaptureRange) (list []api.CaptureFile, err error) {
	files, err := s.listed(ctx, model)
	for i := range files {
		if f := &files[i].CaptureFile; of.Selects(f) {
			list = append(list, *f)
		}
	}
	slices.SortFunc(list, func(a, b api.CaptureFile) int { return cmp.Compare(a.Path, b.Path) })
	return list, err
}

// listedFile is an entry of a manifest.
type listedFile struct {
	api.CaptureFile

	model string
}

// listed returns what the manifests of all gateways list, of one model or of all. A bucket that
// was never written is empty.
func (s *Store) listed(ctx context.Context, model string) (list []listedFile, err error) {
	bucket, err := s.hold(ctx)
	if err != nil {
		return nil, unreadable(err)
	}
	s.release() // manifests are whole under their names
	dirs := []string{modelDir(model)}
	if model == "" {
		if dirs, err = subdirectories(ctx, bucket, ""); err != nil {
			return nil, unreadable(err)
		}
	}
	seen := map[string]bool{}
	for _, dir := range dirs {
		name, err := url.PathUnescape(partOf(dir, "model"))
		if err != nil || name == "" {
			continue
		}
		names, err := manifests(ctx, bucket, dir)
		if err != nil {
			return nil, unreadable(err)
		}
		for _, path := range names {
			doc, err := readManifest(ctx, bucket, path)
			if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
				return nil, unreadable(err)
			}
			for _, f := range doc.Files {
				if !seen[f.Path] {
					seen[f.Path] = true
					list = append(list, listedFile{f, name})
				}
			}
		}
	}
	return list, nil
}

// manifests returns the paths of the manifests of a model's folder.
func manifests(ctx context.Context, bucket *Bucket, dir string) (paths []string, err error) {
	err = objects(ctx, bucket, &blob.ListOptions{Prefix: dir, Delimiter: "/"}, func(o *blob.ListObject) error {
		if !o.IsDir && isManifest(o.Key) {
			paths = append(paths, o.Key)
		}
		return nil
	})
	return paths, err
}

// subdirectories returns the folders in a folder.
func subdirectories(ctx context.Context, bucket *Bucket, dir string) (paths []string, err error) {
	err = objects(ctx, bucket, &blob.ListOptions{Prefix: dir, Delimiter: "/"}, func(o *blob.ListObject) error {
		if o.IsDir {
			paths = append(paths, o.Key)
		}
		return nil
	})
	return paths, err
}

// objects calls each with the objects of a bucket.
func objects(ctx context.Context, bucket *Bucket, o *blob.ListOptions, each func(*blob.ListObject) error) error {
	for list := bucket.List(o); ; {
		object, err := list.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := each(object); err != nil {
			return err
		}
	}
}

// hold waits until nobody else changes files, and returns the bucket. release ends it.
func (s *Store) hold(ctx context.Context) (*Bucket, error) {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	bucket, err := s.open(ctx)
	if err != nil {
		s.release()
	}
	return bucket, err
}

func (s *Store) release() { <-s.writing }

// unreadable returns the error of a bucket for a caller: its details are only for the log.
func unreadable(err error) error {
	if _, known := errors.AsType[*infer.Error](err); known || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return &infer.Error{Code: infer.Unavailable, Op: "capture", Msg: "the bucket of captured requests cannot be read; try again later, the log says why", Err: err}
}
