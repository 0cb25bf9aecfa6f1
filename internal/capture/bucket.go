package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // buckets of s3:// URLs
)

// CheckURL returns an error unless text can be the URL of a bucket.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("expected a URL")
	}
	if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
		if u.Scheme == "gs" || u.Scheme == "azblob" {
			return fmt.Errorf("this gateway was built without the driver of %s://; build it with -tags %s", u.Scheme, u.Scheme)
		}
		return fmt.Errorf("expected a URL that begins with %s", strings.Join(schemes(), ":// or ")+"://")
	}
	if u.User != nil {
		return errors.New("a URL with a password would be in logs; credentials come from the environment")
	}
	return nil
}

func schemes() []string {
	var list []string
	for _, s := range blob.DefaultURLMux().BucketSchemes() {
		if s != "mem" {
			list = append(list, s)
		}
	}
	return list
}

// Bucket is a place for files.
type Bucket struct {
	*blob.Bucket

	dir string // of a bucket in the file system, else empty
}

// OpenBucket opens the bucket of a URL. Names in it begin with prefix.
func OpenBucket(ctx context.Context, bucketURL, prefix string) (*Bucket, error) {
	u, err := url.Parse(bucketURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == fileblob.Scheme {
		dir := u.Path
		if u.Host == "." {
			dir = strings.TrimPrefix(dir, "/")
		}
		return OpenDir(filepath.Join(filepath.FromSlash(dir), filepath.FromSlash(prefix)))
	}
	b, err := blob.OpenBucket(ctx, bucketURL)
	if err != nil {
		return nil, err
	}
	if prefix != "" {
		b = blob.PrefixedBucket(b, strings.TrimSuffix(prefix, "/")+"/")
	}
	return &Bucket{Bucket: b}, nil
}

// tmpDir has the files of a folder that are being written. Others skip it, since its name begins with _.
const tmpDir = "_tmp"

const onlyUs = 0o700 // captured requests are personal data

// OpenDir opens a folder as a bucket, and makes it if it is missing.
func OpenDir(dir string) (*Bucket, error) {
	if err := os.MkdirAll(filepath.Join(dir, tmpDir), onlyUs); err != nil {
		return nil, err
	}
	b, err := fileblob.OpenBucket(dir, nil)
	return &Bucket{Bucket: b, dir: dir}, err
}

// put writes a file. It appears under its name as a whole, or not at all. In a folder it is on disk
// then: fileblob neither syncs, nor can it have its temporary files where readers do not see them.
func (b *Bucket) put(ctx context.Context, name string, data []byte) error {
	if b.dir == "" {
		return b.WriteAll(ctx, name, data, &blob.WriterOptions{ContentType: "application/octet-stream"})
	}
	final := filepath.Join(b.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(final), onlyUs); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(b.dir, tmpDir), "*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close(), ctx.Err()); err == nil {
		err = os.Rename(f.Name(), final)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(final))
}

// syncDir writes the entries of a folder to disk.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // a folder of the bucket
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sweep removes temporary files that a crash has left.
func (b *Bucket) sweep(now time.Time) error {
	if b.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(b.dir, tmpDir))
	for _, e := range entries {
		if info, ierr := e.Info(); ierr == nil && now.Sub(info.ModTime()) > time.Hour {
			err = errors.Join(err, os.Remove(filepath.Join(b.dir, tmpDir, e.Name())))
		}
	}
	return err
}

// RequestFiles returns the paths of the files of captured requests of a model, by their names, which
// begin with their times.
func (b *Bucket) RequestFiles(ctx context.Context, model string) (paths []string, err error) {
	files, err := parquetFiles(ctx, b, modelDir(model))
	for _, o := range files {
		paths = append(paths, o.Key)
	}
	slices.SortFunc(paths, func(x, y string) int { return cmp.Or(cmp.Compare(path.Base(x), path.Base(y)), cmp.Compare(x, y)) })
	return paths, err
}

// Read returns the content of a file of at most most bytes.
func (b *Bucket) Read(ctx context.Context, name string, most int64) ([]byte, error) {
	return readAll(ctx, b, name, most)
}

// readAll reads a file of at most most bytes.
func readAll(ctx context.Context, bucket *Bucket, name string, most int64) (data []byte, err error) {
	r, err := bucket.NewReader(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if r.Size() > most {
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", errDamaged, r.Size(), most)
	}
	return io.ReadAll(io.LimitReader(r, most+1))
}
