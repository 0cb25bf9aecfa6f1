package capture

import (
	"context"
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"
)

// ranges reads parts of a file in a bucket, so that its metadata can be read without the rest.
type ranges struct {
	ctx    context.Context //nolint:containedctx // of one call; io.ReaderAt has none
	bucket *Bucket
	path   string
	failed error // of the bucket, which is not about the content of the file
}

// open opens the file. Other methods of the file read what they need.
func (r *ranges) open() (*parquet.File, error) {
	a, err := r.bucket.Attributes(r.ctx, r.path)
	if err != nil {
		r.failed = err
		return nil, err
	}
	return parquet.OpenFile(r, a.Size, parquet.SkipPageIndex(true), parquet.OptimisticRead(true), parquet.ReadBufferSize(footerBytes))
}

const footerBytes = 32 << 10 // the metadata of most files

// ReadAt implements io.ReaderAt.
func (r *ranges) ReadAt(b []byte, off int64) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	in, err := r.bucket.NewRangeReader(r.ctx, r.path, off, int64(len(b)), nil)
	if err == nil {
		n, err = io.ReadFull(in, b)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		err = errors.Join(err, in.Close())
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
	}
	return n, err
}

// damaged is the function of that name, except for errors of the bucket.
func (r *ranges) damaged(err error, panicked any) error {
	if r.failed != nil {
		return r.failed
	}
	return damaged(err, panicked)
}
