package registry

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"sluice.io/sluice/internal/infer"
)

// Unpack reads an upload into the staging: a tar archive, also compressed with gzip, or else a
// model file. It returns the RecordFile of the archive, which it does not write, nil if there is
// none. It reads up to the end of r, so that an upload that is cut off is noticed.
//
// It writes plain files only. Errors: Invalid for anything else, for a bad name, a duplicate,
// and an archive that is not whole; those of take.
func (s *Staging) Unpack(r io.Reader) (record []byte, err error) {
	const peeked = 512 // the size of the header of an archive
	in := bufio.NewReaderSize(source{r}, 64<<10)
	head, err := in.Peek(2)
	if err != nil && len(head) == 0 && errors.Is(err, io.EOF) {
		return nil, infer.Errorf(infer.Invalid, "the body is empty; expected a model file, or a tar archive of a version's folder")
	}
	if string(head) == "\x1f\x8b" {
		plain, err := gzip.NewReader(in)
		if err != nil {
			return nil, infer.Errorf(infer.Invalid, "the gzip data is not valid: %v", err)
		}
		defer plain.Close() //nolint:errcheck // only read
		inner := bufio.NewReaderSize(compressed{plain}, 64<<10)
		if record, err = s.unpack(inner, peeked); err != nil {
			return nil, err
		}
		return record, s.drain(in)
	}
	if record, err = s.unpack(in, peeked); err != nil {
		return nil, err
	}
	return record, s.drain(in)
}

// compressed marks the errors of gzip data.
type compressed struct{ io.Reader }

func (c compressed) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if _, ok := errors.AsType[*infer.Error](err); !ok {
		err = infer.Errorf(infer.Invalid, "the gzip data is not valid or is cut off: %v", err)
	}
	return n, err
}

func (s *Staging) unpack(in *bufio.Reader, peeked int) (record []byte, err error) {
	const magicAt, magic = 257, "ustar"
	head, err := in.Peek(peeked)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, asInvalid(err)
	}
	if len(head) < peeked || string(head[magicAt:magicAt+len(magic)]) != magic {
		return nil, s.Write(ModelFile, in, -1)
	}
	end := &ending{Reader: in}
	if record, err = s.untar(tar.NewReader(end)); err != nil {
		return nil, err
	}
	if err := s.drain(end); err != nil {
		return nil, err
	}
	if end.zeros < endBytes { // package tar accepts an archive that ends after any file
		return nil, infer.Errorf(infer.Invalid, "the archive is cut off: it does not end with an empty block")
	}
	return record, nil
}

// endBytes is the number of zeros at the end of an archive.
const endBytes = 1024

// ending counts the zeros at the end of what is read.
type ending struct {
	io.Reader

	zeros int64
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	rest := len(bytes.TrimRight(p[:n], "\x00"))
	if rest > 0 {
		e.zeros = 0
	}
	e.zeros += int64(n - rest)
	return n, err
}

// drain reads the padding after an archive. It counts as if it was written, so that it is not
// endless.
func (s *Staging) drain(in io.Reader) error {
	_, err := io.Copy(counted{io.Discard, s}, in)
	return asInvalid(err)
}

func (s *Staging) untar(t *tar.Reader) (record []byte, err error) {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return record, nil
		}
		if err != nil {
			return nil, asInvalid(err)
		}
		if err := checkEntry(h); err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeXGlobalHeader || h.Typeflag == tar.TypeDir {
			continue // folders are made for their files
		}
		name := path.Clean(h.Name)
		if name != RecordFile {
			if err := s.Write(name, t, h.Size); err != nil {
				return nil, asInvalid(err)
			}
			continue
		}
		if record != nil {
			return nil, infer.Errorf(infer.Invalid, "file '%s' is there twice", name)
		}
		if record, err = io.ReadAll(io.LimitReader(t, MaxRecordBytes+1)); err != nil {
			return nil, asInvalid(err)
		}
		if len(record) > MaxRecordBytes {
			return nil, infer.Errorf(infer.TooLarge, "%s has more than %d bytes", RecordFile, MaxRecordBytes)
		}
	}
}

// checkEntry returns an error for an entry that is not a plain file or a folder. A sparse file
// is refused, since few bytes of an archive can make many of it.
func checkEntry(h *tar.Header) error {
	kind := ""
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeXGlobalHeader:
	case tar.TypeLink, tar.TypeSymlink:
		kind = "a link"
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		kind = "a device or a pipe"
	case tar.TypeGNUSparse:
		kind = "a sparse file"
	default:
		kind = "not a plain file"
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			kind = "a sparse file"
		}
	}
	if kind != "" {
		return infer.Errorf(infer.Invalid, "'%.100s' in the archive is %s; expected plain files only", h.Name, kind)
	}
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if strings.HasPrefix(h.Name, "/") {
		return infer.Errorf(infer.Invalid, "'%.100s' in the archive is an absolute path; expected paths relative to the version's folder", h.Name)
	}
	for part := range strings.SplitSeq(h.Name, "/") {
		if part == ".." {
			return infer.Errorf(infer.Invalid, "'%.100s' in the archive leads out of the version's folder ('..')", h.Name)
		}
	}
	return nil
}

// asInvalid makes an error of package tar one of the upload.
func asInvalid(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*infer.Error](err); ok {
		return e
	}
	return &infer.Error{Code: infer.Invalid, Msg: "the archive is not valid or is cut off", Err: err}
}
