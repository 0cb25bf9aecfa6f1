package capture

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"sluice.io/sluice/api"
)

// Delete removes a request of a model and its labels from what waits in memory and from all files, whichever gateway
// wrote them. A file is replaced as a whole. Files that cannot be read are counted. After an error
// some files may still have the request, and Delete can be called again.
func (s *Store) Delete(ctx context.Context, model, id string) (done api.CaptureDeletion, err error) {
	done = api.CaptureDeletion{Model: model, RequestID: id}
	bucket, err := s.hold(ctx)
	if err != nil {
		return done, unreadable(err)
	}
	done.Rows, done.Labels = s.forget(model, id) // no file is being made of it, since this holds writing
	s.release()
	paths, err := modelFiles(ctx, bucket, model)
	if err != nil {
		return done, unreadable(err)
	}
	for _, o := range paths {
		rows, err := s.deleteFrom(ctx, model, o.Key, id)
		switch {
		case errors.Is(err, errDamaged):
			s.skip(model, o.Key, err)
			done.Skipped++
		case err != nil && gcerrors.Code(err) == gcerrors.NotFound: // it has expired
		case err != nil:
			return done, unreadable(err)
		case rows > 0 && kindOf(o.Key) == kindLabels:
			done.Labels += rows
			done.Files++
		case rows > 0:
			done.Rows += rows
			done.Files++
		}
	}
	return done, nil
}

// modelFiles returns the files of requests and of labels of a model.
func modelFiles(ctx context.Context, bucket *Bucket, model string) ([]*blob.ListObject, error) {
	list, err := parquetFiles(ctx, bucket, modelDir(model))
	if err != nil {
		return nil, err
	}
	more, err := parquetFiles(ctx, bucket, labelDir(model))
	return append(list, more...), err
}

// parquetFiles returns the Parquet files in a folder.
func parquetFiles(ctx context.Context, bucket *Bucket, dir string) (list []*blob.ListObject, err error) {
	err = objects(ctx, bucket, &blob.ListOptions{Prefix: dir}, func(o *blob.ListObject) error {
		if strings.HasSuffix(o.Key, ".parquet") {
			list = append(list, o)
		}
		return nil
	})
	return list, err
}

// forget removes a request from what waits, and returns the numbers of its rows and of its labels. The
// caller holds writing.
func (s *Store) forget(model, id string) (rows, labels int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, q := range s.queues {
		if key.model == model {
			n, size := q.forget(id)
			s.held.Add(-size)
			if key.kind == kindLabels {
				labels += n
			} else {
				rows += n
			}
		}
	}
	return rows, labels
}

// forget removes the records of a request.
func (q *queue) forget(id string) (rows, size int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := make([][]byte, 0, len(q.waiting))
	for _, record := range q.waiting {
		if recordID(record) != id {
			kept = append(kept, record)
			continue
		}
		rows += q.rows(record)
		size += int64(len(record) + recordBeside)
	}
	q.waiting = kept
	q.size -= int(size)
	return rows, size
}

// deleteFrom removes a request from a file and returns the number of its rows.
func (s *Store) deleteFrom(ctx context.Context, model, path, id string) (rows int64, err error) {
	bucket, err := s.hold(ctx)
	if err != nil {
		return 0, err
	}
	defer s.release()
	if has, err := mayHave(ctx, bucket, path, id); err != nil || !has {
		return 0, err
	}
	data, err := readAll(ctx, bucket, path, maxFileBytes)
	if err != nil {
		return 0, err
	}
	left, rows, err := without(data, id)
	if err != nil || rows == 0 {
		return 0, err
	}
	if left.rows == 0 {
		if err := bucket.Delete(ctx, path); err != nil {
			return 0, err
		}
		return rows, s.relist(ctx, bucket, model, map[string]*api.CaptureFile{path: nil})
	}
	if err := s.put(ctx, path, left.data); err != nil {
		return 0, err
	}
	f := left.file(path)
	return rows, s.relist(ctx, bucket, model, map[string]*api.CaptureFile{path: &f})
}

// mayHave reports whether a file may have a request. It reads the filter of the ids, not the rows.
func mayHave(ctx context.Context, bucket *Bucket, path, id string) (has bool, err error) {
	at := &ranges{ctx: ctx, bucket: bucket, path: path}
	defer func() { err = at.damaged(err, recover()) }()
	p, err := at.open()
	if err != nil {
		return false, err
	}
	column, found := p.Schema().Lookup("request_id")
	if !found {
		return false, errors.New("it has no request ids")
	}
	for _, group := range p.RowGroups() {
		filter := group.ColumnChunks()[column.ColumnIndex].BloomFilter()
		if filter == nil {
			return true, nil
		}
		if has, err = filter.Check(parquet.ByteArrayValue([]byte(id))); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// without makes a file of the rows of another one but for a request, and returns the number of that
// one's rows.
func without(data []byte, id string) (left built, gone int64, err error) {
	defer func() { err = damaged(err, recover()) }()
	l, p, err := open(data)
	if err != nil {
		return left, 0, err
	}
	var buf bytes.Buffer
	w := newWriter(&buf, l)
	err = eachRow(p, func(row parquet.Row) error {
		if text(row[columnRequest]) == id {
			gone++
			return nil
		}
		left.cover(time.UnixMicro(row[columnTime].Int64()).UTC())
		return w.copy(row)
	}, w.close)
	left.data, left.rows, left.schema = buf.Bytes(), w.rows, l.digest
	return left, gone, err
}

// copy writes a row as it is, such as one of another file with the same layout.
func (w *writer) copy(row parquet.Row) error {
	if _, err := w.w.WriteRows([]parquet.Row{row}); err != nil {
		return err
	}
	w.rows++
	if w.size += sizeOf(row); w.size < rowGroupBytes {
		return nil
	}
	w.size = 0
	return w.w.Flush()
}

// sizeOf returns about the size of the values.
func sizeOf(values []parquet.Value) (n int) {
	const number = 8
	for _, v := range values {
		if n += number; v.Kind() == parquet.ByteArray {
			n += len(v.ByteArray())
		}
	}
	return n
}
